# SPDX-License-Identifier: Apache-2.0
"""The forwarding pipeline configuration: compiled in, so that only cookie and device data can change."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from finsy.proto import p4i, p4r
from google.protobuf.message import DecodeError
from grpc import StatusCode

from dataplane.p4runtime.backend import Backend
from dataplane.p4runtime.errors import Refused, refuse

Action = p4r.SetForwardingPipelineConfigRequest
ResponseType = p4r.GetForwardingPipelineConfigRequest


class PipelineConfig:
    """The present configuration, and the one that VERIFY_AND_SAVE left for COMMIT."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._p4info = backend.binding.p4info.message
        self._given = _decode(backend.load_config())
        self._saved: p4r.ForwardingPipelineConfig | None = None

    def set(self, request: p4r.SetForwardingPipelineConfigRequest) -> bool:
        """Takes a configuration; whether all tables must be emptied now.

        Raises:
            Refused: it is missing, superfluous, or for another pipeline.
        """
        if request.action == Action.COMMIT:
            return self._commit_saved(request)
        self._verify(request)
        match request.action:
            case Action.VERIFY:
                return False
            case Action.VERIFY_AND_SAVE:
                self._saved = request.config
                return False
            case Action.VERIFY_AND_COMMIT | Action.RECONCILE_AND_COMMIT:
                self._commit(request.config)
                return request.action == Action.VERIFY_AND_COMMIT
            case _:
                raise Refused(
                    StatusCode.INVALID_ARGUMENT, f"there is no action {request.action}; choose another"
                )

    def get(self, kind: int) -> p4r.ForwardingPipelineConfig:
        """The parts of the configuration that the response type names.

        Raises:
            Refused: there is no such response type.
        """
        if kind not in ResponseType.ResponseType.values():
            refuse(StatusCode.INVALID_ARGUMENT, f"there is no response type {kind}; choose one of the four")
        config = p4r.ForwardingPipelineConfig()
        if self._given.HasField("cookie"):
            config.cookie.CopyFrom(self._given.cookie)
        if kind in (ResponseType.ALL, ResponseType.P4INFO_AND_COOKIE):
            config.p4info.CopyFrom(self._p4info)
        if kind in (ResponseType.ALL, ResponseType.DEVICE_CONFIG_AND_COOKIE):
            config.p4_device_config = self._given.p4_device_config
        return config

    def _commit_saved(self, request: p4r.SetForwardingPipelineConfigRequest) -> bool:
        if request.HasField("config"):
            refuse(StatusCode.INVALID_ARGUMENT, "COMMIT takes the saved configuration; leave config unset")
        if self._saved is None:
            refuse(StatusCode.NOT_FOUND, "there is no saved configuration; send VERIFY_AND_SAVE first")
        self._commit(self._saved)
        return False

    def _commit(self, config: p4r.ForwardingPipelineConfig) -> None:
        given = p4r.ForwardingPipelineConfig(p4_device_config=config.p4_device_config)
        if config.HasField("cookie"):
            given.cookie.CopyFrom(config.cookie)
        self._backend.save_config(given.SerializeToString())
        self._given, self._saved = given, None

    def _verify(self, request: p4r.SetForwardingPipelineConfigRequest) -> None:
        if not request.HasField("config") or not request.config.HasField("p4info"):
            refuse(StatusCode.INVALID_ARGUMENT, "the request has no configuration with a P4Info; give one")
        difference = first_difference(request.config.p4info, self._p4info)
        if difference:
            refuse(
                StatusCode.INVALID_ARGUMENT,
                f"this data plane is compiled for another P4 program: {difference}; "
                "give the P4Info that GetForwardingPipelineConfig returns",
            )


def first_difference(given: p4i.P4Info, ours: p4i.P4Info) -> str:
    """Where a P4Info asks for what ours does not have, in words; empty if nowhere.

    Tables may be given smaller than they are; package information does not matter.
    """
    given, ours = copy.deepcopy(given), copy.deepcopy(ours)
    sizes = {t.preamble.id: t.size for t in ours.tables}
    for table in given.tables:
        if table.size > sizes.get(table.preamble.id, table.size):
            return f"table {table.preamble.alias} has {sizes[table.preamble.id]} entries, not {table.size}"
    for info in (given, ours):
        info.ClearField("pkg_info")
        for table in info.tables:
            table.size = 0
    for descriptor in ours.DESCRIPTOR.fields:
        name = descriptor.name
        theirs, here = getattr(given, name), getattr(ours, name)
        if theirs == here:
            continue
        if name == "type_info":
            return "its types differ"
        return _differing_object(name, theirs, here)
    return ""


def _differing_object(kind: str, theirs: Iterable[p4i.Table], here: Iterable[p4i.Table]) -> str:
    """The first object of one kind that is missing or another; ``kind`` is the P4Info's name for them."""
    ours = {o.preamble.alias: o for o in here}
    for their in theirs:
        mine = ours.pop(their.preamble.alias, None)
        if mine is None:
            return f"it has no {their.preamble.alias} among its {kind}"
        if mine != their:
            return f"{their.preamble.alias} among its {kind} is another"
    return f"its {kind} also hold {min(ours)}" if ours else ""


def _decode(kept: bytes | None) -> p4r.ForwardingPipelineConfig:
    config = p4r.ForwardingPipelineConfig()
    try:
        config.ParseFromString(kept or b"")
    except DecodeError:
        return p4r.ForwardingPipelineConfig()  # a torn file: as if none had ever been given
    return config
