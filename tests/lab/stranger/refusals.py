# SPDX-License-Identifier: Apache-2.0
"""What a node must refuse, entry by entry and client by client, and with which code."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import p4runtime_sh.shell as sh
from entries import IDLE_NS, ROWS, WAIT, code_of, codes_in, message, seen, update, wanted, write
from p4.v1 import p4runtime_pb2 as p4r
from p4.v1 import p4runtime_pb2_grpc
from p4runtime_sh.p4runtime import SSLOptions

ELECTION = (1, 0)
"""Above any that a controller takes by itself: those are numbers of 64 bits."""


def spoiled(table: str, spoil: Callable[[p4r.TableEntry], Any]) -> p4r.TableEntry:
    entry = message(table)
    spoil(entry)
    return entry


def first_value(value: bytes) -> Callable[[p4r.TableEntry], Any]:
    return lambda entry: setattr(entry.match[0].exact, "value", value)


def masked(value: bytes, mask: bytes) -> Callable[[p4r.TableEntry], Any]:
    ternary = p4r.FieldMatch.Ternary(value=value, mask=mask)
    return lambda entry: entry.match[0].ternary.CopyFrom(ternary)


def first_param(value: bytes) -> Callable[[p4r.TableEntry], Any]:
    return lambda entry: setattr(entry.action.action.params[0], "value", value)


def as_lpm(entry: p4r.TableEntry) -> None:
    entry.match[0].lpm.value = b"\1"
    entry.match[0].lpm.prefix_len = 1


def only_default(entry: p4r.TableEntry) -> None:
    entry.action.action.action_id = sh.Action("unknown_scid").msg().action_id
    del entry.action.action.params[:]


SPOILERS: dict[str, tuple[str, Callable[[p4r.TableEntry], Any]]] = {
    "unknown table": ("scid", lambda e: setattr(e, "table_id", 0x02FFFFFF)),
    "no table": ("scid", lambda e: setattr(e, "table_id", 0)),
    "unknown field": ("scid", lambda e: setattr(e.match[0], "field_id", 9)),
    "missing field": ("connection", lambda e: e.match.pop()),
    "field twice": ("connection", lambda e: e.match.add().CopyFrom(e.match[0])),
    "field of another kind": ("scid", as_lpm),
    "field too wide": ("scid", first_value(b"\1" + bytes(8))),
    "field too wide by a bit": ("port_role", first_value(b"\2\0")),
    "field empty": ("scid", first_value(b"")),
    "priority": ("scid", lambda e: setattr(e, "priority", 1)),
    "no priority": ("classifier", lambda e: setattr(e, "priority", 0)),
    "mask of zeros": ("classifier", masked(b"\0", b"\0")),
    "ones outside the mask": ("classifier", masked(b"\7", b"\3")),
    "prefix of no bits": ("route", lambda e: setattr(e.match[1].lpm, "prefix_len", 0)),
    "no action": ("scid", lambda e: e.ClearField("action")),
    "unknown action": ("scid", lambda e: setattr(e.action.action, "action_id", 0x01FFFFFF)),
    "action of another table": (
        "scid",
        lambda e: e.action.action.CopyFrom(sh.Action("open").msg()),
    ),
    "action of the default entry": ("scid", only_default),
    "action profile": ("scid", lambda e: setattr(e.action, "action_profile_member_id", 1)),
    "missing parameter": ("scid", lambda e: e.action.action.params.pop()),
    "unknown parameter": ("scid", lambda e: setattr(e.action.action.params[0], "param_id", 99)),
    "parameter too wide": ("scid", first_param(b"\2\0")),
    "parameter empty": ("scid", first_param(b"")),
    "idle time-out in a table without": ("locator", lambda e: setattr(e, "idle_timeout_ns", IDLE_NS)),
    "constant entry": ("scid", lambda e: setattr(e, "is_const", True)),
    "default entry": ("scid", lambda e: (setattr(e, "is_default_action", True), e.ClearField("match"))),
    "meter": ("scid", lambda e: setattr(e.meter_config, "cir", 1)),
}
"""Entries that nobody may insert."""


def refusals() -> dict[str, str]:
    """The codes of everything that must be refused."""
    insert, modify, delete = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
    codes = {name: write(insert, spoiled(*spoiler)) for name, spoiler in SPOILERS.items()}
    codes["modify what is absent"] = write(modify, message("connection"))
    codes["delete what is absent"] = write(delete, message("connection"))
    codes["insert"] = write(insert, message("connection"))
    codes["insert again"] = write(insert, message("connection", 2))
    codes["delete"] = write(delete, message("connection"))
    constant = p4r.TableEntry(table_id=message("scid").table_id, is_default_action=True)
    constant.action.action.CopyFrom(sh.Action("unknown_scid").msg())
    codes["modify a constant default entry"] = write(modify, constant)
    codes["no kind of update"] = write(p4r.Update.UNSPECIFIED, message("scid"))
    codes["no entity"] = code_of(lambda: sh.client.write_update(p4r.Update(type=insert)))
    register = p4r.Entity(register_entry=p4r.RegisterEntry(register_id=1))
    codes["register"] = code_of(lambda: sh.client.write_update(p4r.Update(type=modify, entity=register)))
    cells = p4r.CounterEntry(counter_id=sh.CounterEntry("port_events").id)
    cells.index.index = 1 << 30
    codes["cell beyond the counter"] = code_of(
        lambda: list(sh.client.read_one(p4r.Entity(counter_entry=cells)))
    )
    return codes


def non_canonical() -> list[Any]:
    """Leading zeros are taken, and gone when the entry is read; what the two reads show."""
    entry = message("uplink")
    entry.match[0].exact.value = b"\0\0\0\x28"
    for param in entry.action.action.params:
        param.value = bytes(3) + param.value
    code = write(p4r.Update.INSERT, entry)
    found = seen("uplink", ROWS["uplink"][0])
    write(p4r.Update.DELETE, message("uplink"))
    return [code, found, wanted(message("uplink"))]


def full_tables() -> dict[str, str]:
    """A table that takes no more, and a slot that is taken."""
    entries = [
        spoiled("terminate", first_value(bytes([0x20, 1]) + number.to_bytes(14, "big")))
        for number in range(100)
    ]
    codes = list(
        itertools.takewhile(lambda code: code == "OK", (write(p4r.Update.INSERT, e) for e in entries))
    )
    refused = write(p4r.Update.INSERT, entries[len(codes)])
    after = [write(p4r.Update.DELETE, entry) for entry in entries[: len(codes)]]
    write(p4r.Update.INSERT, message("uplink"))
    taken = write(p4r.Update.INSERT, spoiled("uplink", first_value(bytes([40 + 64]))))
    write(p4r.Update.DELETE, message("uplink"))
    return {"full": refused, "emptied": "OK" if set(after) == {"OK"} else "not", "slot": taken}


def batch(atomicity: int, *entries: p4r.TableEntry) -> list[str]:
    """The codes of a batch of insertions, one each."""
    request = p4r.WriteRequest(device_id=1, atomicity=atomicity)
    request.election_id.high, request.election_id.low = ELECTION
    request.updates.extend(update(p4r.Update.INSERT, entry) for entry in entries)
    try:
        sh.client.stub.Write(request)
    except grpc.RpcError as error:
        return codes_in(error)
    return ["OK"] * len(entries)


def batches() -> dict[str, Any]:
    """A bad entry between two good ones, by each kind of atomicity; what stands afterwards."""
    story: dict[str, Any] = {}
    bad = spoiled("scid", first_value(b""))
    good = [message("connection"), message("uplink")]
    for name in ("CONTINUE_ON_ERROR", "ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"):
        codes = batch(p4r.WriteRequest.Atomicity.Value(name), good[0], bad, good[1])
        standing = [bool(seen(table, ROWS[table][0])) for table in ("connection", "uplink")]
        story[name] = [codes, standing]
        for entry, stands in zip(good, standing, strict=True):
            if stands:
                write(p4r.Update.DELETE, entry)
    return story


def arbitration(situation: dict[str, Any], options: SSLOptions) -> dict[str, str]:
    """What others at the same port may do while there is a primary."""
    backup = sh.P4RuntimeClient(1, situation["address"], (0, 1), None, options)
    insertion = update(p4r.Update.INSERT, message("connection"))
    codes = {
        "write of a backup": code_of(lambda: backup.write_update(insertion)),
        "read of a backup": code_of(lambda: list(backup.read_one(p4r.Entity(table_entry=p4r.TableEntry())))),
    }
    backup.election_id = (2, 0)
    codes["write with an id that was never announced"] = code_of(lambda: backup.write_update(insertion))
    backup.tear_down()
    for name, device, election, role in (
        ("election id in use", 1, ELECTION, ""),
        ("unknown device", 9, (0, 2), ""),
        ("unknown role", 1, (0, 2), "reader"),
    ):
        bid = p4r.StreamMessageRequest()
        bid.arbitration.device_id = device
        bid.arbitration.election_id.high, bid.arbitration.election_id.low = election
        if role:
            bid.arbitration.role.name = role
        codes[name] = code_of(lambda bid=bid: next(sh.client.stub.StreamChannel(iter([bid]), timeout=WAIT)))
    capabilities = p4r.CapabilitiesRequest()
    for name, credentials in (
        ("certificate of a node", pem(situation["node_credentials"], "ca.pem", "key.pem", "cert.pem")),
        ("no certificate", pem(situation["credentials"], "ca.pem")),
    ):
        with grpc.secure_channel(situation["address"], grpc.ssl_channel_credentials(*credentials)) as channel:
            stub = p4runtime_pb2_grpc.P4RuntimeStub(channel)
            codes[name] = code_of(lambda stub=stub: stub.Capabilities(capabilities, timeout=WAIT))
    return codes


def pem(folder: str, *names: str) -> list[bytes]:
    return [(Path(folder) / name).read_bytes() for name in names]
