# SPDX-License-Identifier: Apache-2.0
"""The pipeline configuration: its actions, its cookie."""

from __future__ import annotations

import copy

from finsy.proto import p4r

from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import Session, contract, ids, outcome, refusal

COOKIE = 0xC00C1E
UNKNOWN_DEVICE = 77
Kind = p4r.GetForwardingPipelineConfigRequest


def _kept(s: Session) -> str:
    return "kept" if s.is_there(refusal(1)) else "gone"


@case("VERIFY", "OK, entries kept")
def _(s: Session) -> str:
    s.insert(refusal(1))
    return f"{s.set_config('VERIFY')}, entries {_kept(s)}"


@case("VERIFY_AND_SAVE, then COMMIT", "OK, entries kept, OK")
def _(s: Session) -> str:
    s.insert(refusal(1))
    saved = s.set_config("VERIFY_AND_SAVE")
    return f"{saved}, entries {_kept(s)}, {s.set_config('COMMIT', given=False)}"


@case("COMMIT with nothing saved", "NOT_FOUND")
def _(s: Session) -> str:
    return s.set_config("COMMIT", given=False)


@case("COMMIT with a configuration", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    s.set_config("VERIFY_AND_SAVE")
    told = s.set_config("COMMIT")
    s.set_config("COMMIT", given=False)
    return told


@case("VERIFY_AND_COMMIT", "OK, entries gone")
def _(s: Session) -> str:
    s.insert(refusal(1))
    return f"{s.set_config('VERIFY_AND_COMMIT')}, entries {_kept(s)}"


@case("RECONCILE_AND_COMMIT", "OK, entries kept", ruins=True)
def _(s: Session) -> str:
    s.insert(refusal(1))
    return f"{s.set_config('RECONCILE_AND_COMMIT')}, entries {_kept(s)}"


@case("an action of configuration that is not given", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.set_config("UNSPECIFIED")


@case("VERIFY without a configuration", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.set_config("VERIFY", given=False)


@case("VERIFY of another P4Info", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    other = copy.deepcopy(contract())
    other.tables[0].match_fields[0].bitwidth += 1
    return s.set_config("VERIFY", other)


@case("a configuration for an unknown device", "NOT_FOUND")
def _(s: Session) -> str:
    return s.set_config("VERIFY", device=UNKNOWN_DEVICE)


@case("a cookie", "given back")
def _(s: Session) -> str:
    s.set_config("VERIFY_AND_COMMIT", cookie=COOKIE)
    return "given back" if s.config(Kind.COOKIE_ONLY).cookie.cookie == COOKIE else "lost"


@case("the configuration's parts", "P4Info, device data; neither; P4Info; device data")
def _(s: Session) -> str:
    s.set_config("VERIFY_AND_COMMIT")
    told = []
    for kind in (Kind.ALL, Kind.COOKIE_ONLY, Kind.P4INFO_AND_COOKIE, Kind.DEVICE_CONFIG_AND_COOKIE):
        config = s.config(kind)
        parts = {"P4Info": bool(config.p4info.tables), "device data": bool(config.p4_device_config)}
        told.append(", ".join(name for name, there in parts.items() if there) or "neither")
    return "; ".join(told)


@case("the P4Info", "that of the contract")
def _(s: Session) -> str:
    info = s.config(Kind.P4INFO_AND_COOKIE).p4info
    same = {t.preamble.alias: t.preamble.id for t in info.tables}.items() <= ids().items()
    return "that of the contract" if same and info == contract() else "another"


@case("the configuration of an unknown device", "NOT_FOUND")
def _(s: Session) -> str:
    return outcome(lambda: s.config(device=UNKNOWN_DEVICE))


@case("capabilities", "1.4.0")
def _(s: Session) -> str:
    return str(s.stub.Capabilities(p4r.CapabilitiesRequest()).p4runtime_api_version)
