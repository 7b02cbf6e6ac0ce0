# SPDX-License-Identifier: Apache-2.0
"""The packet that is sent along a path, and what data planes tell of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from finsy.proto import p4i, p4r

from control.errors import StartError
from moorline.icmp import checksum
from moorline.wire import FIRST_SI, GENEVE_PORT, OAM_PORT, OPTION_CLASS, OPTION_TYPE, OPTION_WORDS

_TTL: Final = 64
_UDP: Final = 17
_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_SOURCE_PORT: Final = 0xC000
_MACS: Final = bytes.fromhex("026d6cffffff") + bytes.fromhex("026d6c000000")
_PAYLOAD: Final = b"moorline path trace"
_DIGEST: Final = "path_trace"


@dataclass(frozen=True)
class Probe:
    """A packet that is to be traced: addresses in 4 or 16 octets, both of one family."""

    number: int
    source: bytes
    destination: bytes
    tenant: int
    scid: int
    spi: int

    def frame(self, locator: bytes) -> bytes:
        """It in a Geneve packet of a node to itself, as if it had come from another one."""
        ip_type = _IPV4 if len(self.source) == 4 else _IPV6
        inner = _packet(self.source, self.destination, self.number, OAM_PORT, _PAYLOAD, checked=True)
        geneve = struct.pack("!BBHI", OPTION_WORDS + 1, 0x40, ip_type, self.tenant << 8)
        place = self.spi << 8 | FIRST_SI
        option = struct.pack("!HBBQI", OPTION_CLASS, OPTION_TYPE, OPTION_WORDS, self.scid, place)
        outer = _packet(locator, locator, _SOURCE_PORT, GENEVE_PORT, geneve + option + inner, checked=False)
        return _MACS + struct.pack("!H", _IPV4 if len(locator) == 4 else _IPV6) + outer


def _packet(
    source: bytes, destination: bytes, source_port: int, port: int, payload: bytes, *, checked: bool
) -> bytes:
    """A UDP packet in IPv4 or IPv6; ``checked``: with a checksum."""
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", source_port, port, length, 0)
    if checked:
        pseudo = source + destination + struct.pack("!II", length, _UDP)
        udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp + payload) or 0xFFFF)
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, length, _UDP, _TTL) + source + destination + udp + payload
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, _TTL, _UDP, 0) + source + destination
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + udp + payload


class Sighting(NamedTuple):
    """A probe at a place of a path: the port that it came in by, the instance chosen for it (0: none)."""

    port: int
    spi: int
    si: int
    instance: int
    probe: int


class SightingFormat:
    """Reads the digests of probes; :class:`StartError` when the contract has none."""

    def __init__(self, p4info: p4i.P4Info) -> None:
        ids = {digest.preamble.alias: digest.preamble.id for digest in p4info.digests}
        structs = p4info.type_info.structs
        if _DIGEST not in ids:
            raise StartError(f"the contract has no digest {_DIGEST}: set another p4info")
        self.id = ids[_DIGEST]
        members = [member.name for member in structs[_DIGEST].members]
        try:
            self._places = [
                members.index(name) for name in ("ingress_port", "spi", "si", "instance", "probe")
            ]
        except ValueError as error:
            raise StartError(f"the contract's digest {_DIGEST} lacks {error}: set another p4info") from error

    def sightings(self, digests: p4r.DigestList) -> Iterator[Sighting]:
        """What a list tells; nothing when it is of other digests."""
        if digests.digest_id == self.id:
            for data in digests.data:
                members = data.struct.members
                yield Sighting(*(int.from_bytes(members[place].bitstring) for place in self._places))
