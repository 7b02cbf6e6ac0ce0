# SPDX-License-Identifier: Apache-2.0
"""The pipeline that the controller gives to a switch that has none, and how it knows its own again."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from finsy.proto import p4r

from control.errors import StartError
from control.southbound.contract import Contract

_COOKIE_OCTETS: Final = 8


class PipelineState(StrEnum):
    """What a data plane runs, as last seen."""

    UNKNOWN = "unknown"
    OURS = "ours"
    OTHER_CONTRACT = "another P4Info"
    OTHER_PROGRAM = "another program"
    """The P4Info is ours, what implements it is not: an older version, or a stranger's."""


class Program:
    """A contract with what implements it on a switch (JSON for BMv2); the cookie is a digest over both."""

    def __init__(self, contract: Contract, device_config: bytes) -> None:
        self._contract = contract
        p4info = contract.p4info.SerializeToString(deterministic=True)
        digest = sha256(sha256(p4info).digest() + sha256(device_config).digest()).digest()
        self.config = p4r.ForwardingPipelineConfig(
            p4info=contract.p4info,
            p4_device_config=device_config,
            cookie=p4r.ForwardingPipelineConfig.Cookie(cookie=int.from_bytes(digest[:_COOKIE_OCTETS])),
        )

    @classmethod
    def load(cls, contract: Contract, path: Path) -> Self:
        """Read what implements ``contract``; raises :class:`StartError`."""
        try:
            return cls(contract, path.read_bytes())
        except OSError as error:
            raise StartError(
                f"program {path} for switches cannot be read ({error.strerror}): set controller.p4json"
            ) from error

    def state_of(self, pipeline: p4r.ForwardingPipelineConfig) -> PipelineState:
        """What a switch with ``pipeline`` runs."""
        if self._contract.differs(pipeline.p4info):
            return PipelineState.OTHER_CONTRACT
        same = pipeline.cookie.cookie == self.config.cookie.cookie
        return PipelineState.OURS if same else PipelineState.OTHER_PROGRAM
