# SPDX-License-Identifier: Apache-2.0
"""Random frames that know the formats: good packets, damaged in up to three ways, mended again or not.

The same seed gives the same frames. Everything is plain octets: a frame costs some microseconds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, TypeVar

from moorline.wire import OPTION_CLASS
from tools.testrun import LONGEST_FRAME
from tools.vectors.world import (
    ACCESS,
    ANY4,
    BEHIND,
    FORMER4,
    FORMER6,
    GATEWAY,
    INTERNET,
    SECOND,
    UNASSIGNED,
    UNDERLAY,
    USERS,
)
from tools.vectors.world import (
    PEERS as PEER_PORT,
)

from .graph_scene import ROUNDS
from .scene import LOCAL4, LOCAL6, PEERS, RELAYED
from .template import Template
from .templates import templates

ETHERTYPE: Final = 12
SHORTEST: Final = 15
"""An Ethernet header and one octet: what the kernel takes for a test run."""

Choice = TypeVar("Choice")

Field = tuple[str, int, int]
"""Header, offset in it, octets."""

FIELDS4: Final[Sequence[Field]] = (
    ("network", 0, 1), ("network", 1, 1), ("network", 2, 2), ("network", 4, 2), ("network", 6, 2),
    ("network", 8, 1), ("network", 9, 1), ("network", 10, 2), ("network", 12, 4), ("network", 16, 4),
)  # fmt: skip
FIELDS6: Final[Sequence[Field]] = (
    ("network", 0, 1), ("network", 1, 1), ("network", 4, 2), ("network", 6, 1), ("network", 7, 1),
    ("network", 8, 16), ("network", 24, 16),
)  # fmt: skip
TUNNEL_FIELDS: Final[Sequence[Field]] = (
    ("udp", 0, 2), ("udp", 2, 2), ("udp", 4, 2), ("udp", 6, 2),
    ("geneve", 0, 1), ("geneve", 1, 1), ("geneve", 2, 2), ("geneve", 4, 3), ("geneve", 7, 1),
    ("geneve", 8, 2), ("geneve", 10, 1), ("geneve", 11, 1), ("geneve", 12, 8), ("geneve", 17, 3),
    ("geneve", 20, 3), ("geneve", 23, 1),
)  # fmt: skip
LINK_FIELDS: Final[Sequence[Field]] = (("link", 0, 6), ("link", 12, 2))

VALUES: Final[dict[int, tuple[bytes, ...]]] = {
    1: tuple(
        bytes([value])
        for value in (0, 1, 2, 3, 4, 5, 6, 17, 41, 44, 47, 64, 0x40, 0x45, 0x46, 0x60, 0x80, 0x83, 255)
    ),
    2: tuple(
        value.to_bytes(2, "big")
        for value in (
            0, 1, 7, 8, 19, 20, 27, 28, 39, 40, 0x1FFF, 0x2000, 0x4000, 0x0800, 0x86DD, 0x8100, 0x88A8,
            0x0806, 0x6558, 0x88B5, 6081, 6083, 4789, 53, 0xFF4D, 0x8000, 0xFFFF,
        )
    ),
    3: (bytes(3), b"\0\0\1", b"\0\0\7", b"\x0a\x0b\x07", b"\1\2\3", b"\1\3\3", b"\xff\xff\xff"),
    4: tuple(
        ip_address(text).packed
        for text in (
            LOCAL4, FORMER4, UNDERLAY.address4, UNDERLAY.neighbour.address4, SECOND.address4,
            SECOND.neighbour.address4, USERS.host4, INTERNET.host4,
            "224.0.0.1", "169.254.0.1", "255.255.255.255", ANY4,
            *(peer.address4 for peer in PEERS),
        )
    ),
    6: (b"\xff" * 6, bytes(6)),
    8: (bytes(8), b"\xff" * 8, *(one.scid.to_bytes(8, "big") for one in (*PEERS, *RELAYED))),
    16: tuple(
        ip_address(text).packed
        for text in (
            LOCAL6, FORMER6, UNDERLAY.address6, UNDERLAY.neighbour.address6, SECOND.address6,
            SECOND.neighbour.address6, "::", "ff02::1", "fe80::1", "::ffff:192.0.2.1", "::ffff:192.0.2.2",
            USERS.host6, INTERNET.host6, "::ffff:0.0.0.0", *(peer.address6 for peer in PEERS),
        )
    ),
}  # fmt: skip
"""Values worth trying, by width."""

PORTS: Final = (
    *(port.number for port in (UNDERLAY, SECOND, ACCESS, GATEWAY, PEER_PORT, BEHIND, INTERNET, USERS)),
    UNASSIGNED,
)


class Generator:
    """An endless supply of (port, frame)."""

    def __init__(self, seed: int, number: int) -> None:
        """``number``: of the round (see :mod:`tools.fuzz.graph_scene`)."""
        self._random = random.Random(seed * ROUNDS + number)
        self._float = self._random.random
        self._templates = templates(number)
        self._mutations: tuple[Callable[[bytearray, Template], bytearray], ...] = (
            self._set_field,
            self._set_field,
            self._set_field,
            self._count_field,
            self._change_octets,
            self._change_head,
            self._cut,
            self._extend,
            self._replace_options,
            self._grow,
        )

    def frame(self) -> tuple[int, bytes]:
        """The next port and frame."""
        if self._float() < 0.01:
            return self._one_of(PORTS), self._random.randbytes(self._below(200) + SHORTEST)
        template = self._one_of(self._templates)
        frame = bytearray(template.frame)
        for _ in range(self._one_of((0, 1, 1, 1, 1, 2, 2, 3))):
            frame = self._one_of(self._mutations)(frame, template)
        if self._float() < 0.6:
            mend(frame, template)
        port = template.port if self._float() < 0.98 else self._one_of(PORTS)
        if len(frame) < SHORTEST:
            frame += bytes(SHORTEST - len(frame))
        return port, bytes(frame[:LONGEST_FRAME])

    def _below(self, limit: int) -> int:
        return int(self._float() * limit)

    def _one_of(self, choices: Sequence[Choice]) -> Choice:
        return choices[int(self._float() * len(choices))]

    def _field(self, frame: bytearray, template: Template) -> tuple[int, int]:
        """Offset and width of some field."""
        draw = self._float()
        if draw < 0.03:
            base, (_, offset, width) = 0, self._one_of(LINK_FIELDS)
        elif draw < 0.5 and template.udp:
            header, offset, width = self._one_of(TUNNEL_FIELDS)
            base = template.udp if header == "udp" else template.geneve
        else:
            base = template.inner if template.inner and draw < 0.8 else template.network
            fields = FIELDS6 if frame[base] >> 4 == 6 else FIELDS4
            _, offset, width = self._one_of(fields)
        return base + offset, width

    def _set_field(self, frame: bytearray, template: Template) -> bytearray:
        """A field gets a value worth trying, or any."""
        if len(frame) <= template.inner or len(frame) <= template.network:
            return frame
        at, width = self._field(frame, template)
        value = self._one_of(VALUES[width]) if self._float() < 0.7 else self._random.randbytes(width)
        frame[at : at + width] = value
        return frame

    def _count_field(self, frame: bytearray, template: Template) -> bytearray:
        """A field goes up or down by one, or one bit of it turns over."""
        if len(frame) <= template.inner or len(frame) <= template.network:
            return frame
        at, width = self._field(frame, template)
        value = int.from_bytes(frame[at : at + width], "big")
        changed = (
            value ^ 1 << self._below(8 * width) if self._float() < 0.5 else value + self._one_of((-1, 1))
        )
        frame[at : at + width] = (changed % (1 << 8 * width)).to_bytes(width, "big")
        return frame

    def _change_octets(self, frame: bytearray, _template: Template) -> bytearray:
        for _ in range(1 + self._below(4)):
            frame[self._below(len(frame))] = self._below(256)
        return frame

    def _change_head(self, frame: bytearray, template: Template) -> bytearray:
        """An octet of what stands before the innermost packet: of labels, tags, tunnels."""
        last = min(len(frame), template.inner or template.network)
        if last > ETHERTYPE:
            frame[ETHERTYPE + self._below(last - ETHERTYPE)] = self._one_of(
                (0, 1, 8, 0x20, 0x40, 0x47, 0x81, 0x88, 0xA8, 0xE7, 100, 101, self._below(256))
            )
        return frame

    def _cut(self, frame: bytearray, template: Template) -> bytearray:
        """The frame ends early: anywhere, or near the start of a header."""
        if self._float() < 0.5:
            return frame[: self._below(len(frame)) + 1]
        start = self._one_of((template.network, template.udp, template.geneve, template.inner))
        return frame[: max(1, start + self._one_of((-1, 0, 1, 4, 7, 8, 11, 15, 16, 19, 20, 24, 39, 40)))]

    def _extend(self, frame: bytearray, _template: Template) -> bytearray:
        return frame + self._random.randbytes(1 + self._below(60))

    def _replace_options(self, frame: bytearray, template: Template) -> bytearray:
        """Other Geneve options: ours, others', critical or not, several, none, with wrong lengths."""
        if not template.geneve or len(frame) <= template.inner:
            return frame
        options = b"".join(self._option(frame, template) for _ in range(self._one_of((0, 1, 1, 2, 3))))
        words = len(options) // 4 + (self._one_of((-1, 1)) if self._float() < 0.1 else 0)
        frame[template.geneve] = frame[template.geneve] & 0xC0 | words & 0x3F
        frame[template.geneve + 8 : template.inner] = options
        return frame

    def _option(self, frame: bytearray, template: Template) -> bytes:
        if self._float() < 0.4:
            return bytes(frame[template.geneve + 8 : template.geneve + 24])
        words = self._one_of((0, 1, 3, 3, 4, 31))
        option_class = self._one_of((OPTION_CLASS, OPTION_CLASS, 0x0102, 0xFFFF))
        said = words if self._float() < 0.9 else self._below(32)
        kind = self._one_of((0x81, 0x80, 0x01, 0x00, 0xFF))
        return option_class.to_bytes(2, "big") + bytes([kind, said | self._below(8) << 5]) + bytes(4 * words)

    def _grow(self, frame: bytearray, _template: Template) -> bytearray:
        """More payload, up to beyond what fits."""
        return frame + bytes(self._one_of((1, 500, 1280, 1330, 1350, 1360, 1370, 1400, 1448, 1600, 2000)))


def mend(frame: bytearray, template: Template) -> None:
    """Make lengths and checksums right again, so that the frame gets further than its first fault."""
    if template.inner and len(frame) >= template.inner + 20:
        _mend_network(frame, template.inner)
    if len(frame) >= template.network + 20:
        _mend_network(frame, template.network)
    if template.udp and len(frame) >= template.udp + 8:
        _mend_udp(frame, template)


def _mend_network(frame: bytearray, at: int) -> None:
    length = len(frame) - at
    if frame[at] >> 4 == 6:
        if length >= 40:
            frame[at + 4 : at + 6] = (length - 40).to_bytes(2, "big")
        return
    frame[at + 2 : at + 4] = length.to_bytes(2, "big")
    header = max(20, (frame[at] & 15) * 4)
    frame[at + 10 : at + 12] = bytes(2)
    frame[at + 10 : at + 12] = _checksum(frame[at : at + header])


def _mend_udp(frame: bytearray, template: Template) -> None:
    at = template.udp
    length = (len(frame) - at).to_bytes(2, "big")
    frame[at + 4 : at + 6] = length
    if frame[at + 6 : at + 8] == b"\0\0":
        return
    frame[at + 6 : at + 8] = bytes(2)
    addresses = frame[template.network + 8 : at] if at - template.network == 40 else frame[at - 8 : at]
    right = _checksum(addresses + b"\0\x11" + length + frame[at:])
    frame[at + 6 : at + 8] = right if right != b"\0\0" else b"\xff\xff"


def _checksum(octets: bytearray) -> bytes:
    if len(octets) % 2:
        octets = octets + b"\0"
    rest = int.from_bytes(octets, "big")
    return (0xFFFF - (rest and (rest % 0xFFFF or 0xFFFF))).to_bytes(2, "big")
