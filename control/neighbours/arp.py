# SPDX-License-Identifier: Apache-2.0
"""ARP messages for IPv4 over Ethernet (RFC 826)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from moorline import ethernet

_MESSAGE: Final = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET: Final = 1
_KIND: Final = (_ETHERNET, ethernet.IPV4, 6, 4)
"""Hardware type, protocol type, and the lengths of their addresses."""


class Operation(IntEnum):
    """What the message is."""

    REQUEST = 1
    REPLY = 2


@dataclass(frozen=True, slots=True)
class Arp:
    """A message; a sender address of zeros asks whether the target address is free (RFC 5227)."""

    operation: Operation
    sender_mac: bytes
    sender: bytes
    target_mac: bytes
    target: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """Read a message, with what pads the frame behind it; None for anything else."""
        if len(data) < _MESSAGE.size:
            return None
        *kind, operation, sender_mac, sender, target_mac, target = _MESSAGE.unpack_from(data)
        if tuple(kind) != _KIND or operation not in (Operation.REQUEST, Operation.REPLY):
            return None
        return cls(Operation(operation), sender_mac, sender, target_mac, target)

    def encode(self) -> bytes:
        """The reverse of :meth:`parse`."""
        return _MESSAGE.pack(
            *_KIND, self.operation, self.sender_mac, self.sender, self.target_mac, self.target
        )
