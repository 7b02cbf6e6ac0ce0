# SPDX-License-Identifier: Apache-2.0
"""ARP and neighbour discovery on the wire: as scapy reads and writes them, and nothing unsound taken in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether

from control.neighbours.arp import Arp, Operation
from control.neighbours.frame import Frame
from control.neighbours.ndisc import ALL_NODES, Advertisement, Solicitation, parse, solicited_node

OURS, THEIRS = "fd00::1", "fd00::2"
OUR_MAC, THEIR_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"

macs = st.binary(min_size=6, max_size=6)
ipv4s = st.binary(min_size=4, max_size=4)
unicasts = st.binary(min_size=16, max_size=16).filter(lambda address: address[0] != 0xFF and any(address))
arps = st.builds(Arp, st.sampled_from(Operation), macs, ipv4s, macs, ipv4s)
solicitations = st.builds(Solicitation, unicasts, unicasts, unicasts, st.none() | macs)
advertisements = st.builds(
    Advertisement, unicasts, unicasts, unicasts, st.none() | macs, st.booleans(), st.booleans(), st.booleans()
)


def packed(address: str) -> bytes:
    return bytes(IPv6(src=address))[8:24]


def solicit(**fields: object) -> IPv6:
    return IPv6(src=THEIRS, dst=OURS, hlim=255) / ICMPv6ND_NS(tgt=OURS, **fields)


def advertise(**fields: object) -> IPv6:
    return IPv6(src=THEIRS, dst=OURS, hlim=255) / ICMPv6ND_NA(tgt=THEIRS, **fields)


# ---- forth and back ----------------------------------------------------------------------------------------


@given(arps, st.binary(max_size=18))
def test_arp_is_read_as_it_was_written(message: Arp, padding: bytes) -> None:
    assert Arp.parse(message.encode() + padding) == message


@given(arps)
def test_scapy_reads_the_same_in_arp(message: Arp) -> None:
    read = ARP(message.encode())
    assert (read.hwtype, read.ptype, read.op) == (1, 0x0800, message.operation)
    assert bytes.fromhex(read.hwsrc.replace(":", "")) == message.sender_mac
    assert read.psrc == ".".join(map(str, message.sender))
    assert read.pdst == ".".join(map(str, message.target))


@given(solicitations | advertisements, st.binary(max_size=10))
def test_neighbour_discovery_is_read_as_it_was_written(
    message: Solicitation | Advertisement, padding: bytes
) -> None:
    assert parse(message.encode() + padding) == message


@given(solicitations | advertisements)
def test_scapy_computes_the_same_neighbour_discovery(message: Solicitation | Advertisement) -> None:
    read = IPv6(message.encode())
    assert read.hlim == 255
    del read[1].cksum
    assert bytes(read) == message.encode()


@given(macs, macs, st.integers(0, 0xFFF), st.binary(max_size=20))
def test_frames_are_read_as_they_were_written(one: bytes, other: bytes, vlan: int, payload: bytes) -> None:
    frame = Frame(one, other, 0x0806, payload, vlan)
    assert Frame.parse(frame.encode()) == frame


def test_a_tag_that_gives_a_priority_alone_is_none() -> None:
    frame = Frame.parse(bytes(Ether(type=0x8100) / Dot1Q(vlan=0, prio=5, type=0x0806) / b"x"))
    assert frame is not None
    assert (frame.vlan, frame.kind, frame.payload) == (0, 0x0806, b"x")
    assert Frame.parse(bytes(Ether(type=0x8100) / Dot1Q(vlan=5, type=0x8100) / Dot1Q(vlan=6))) is None


# ---- what is not taken in ----------------------------------------------------------------------------------


def test_the_sound_ones_are_taken() -> None:
    plain = parse(bytes(solicit() / ICMPv6NDOptMTU() / ICMPv6NDOptSrcLLAddr(lladdr=THEIR_MAC)))
    assert plain == Solicitation(packed(THEIRS), packed(OURS), packed(OURS), bytes.fromhex("020000000002"))
    answer = parse(bytes(advertise(R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=THEIR_MAC)))
    assert isinstance(answer, Advertisement)
    assert (answer.router, answer.solicited, answer.override) == (False, True, True)
    free = IPv6(src="::", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=OURS)
    assert isinstance(parse(bytes(free)), Solicitation)
    assert solicited_node(packed(OURS)) == packed("ff02::1:ff00:1")
    assert packed("ff02::1") == ALL_NODES


UNSOUND = {
    "has crossed a router": IPv6(src=THEIRS, dst=OURS, hlim=254) / ICMPv6ND_NS(tgt=OURS),
    "another code": solicit(code=1),
    "wrong checksum": solicit(cksum=1),
    "a group for a target": IPv6(src=THEIRS, dst=OURS, hlim=255) / ICMPv6ND_NS(tgt="ff02::5"),
    "an option of no length": solicit() / ICMPv6NDOptSrcLLAddr(lladdr=THEIR_MAC, len=0),
    "an option beyond the end": solicit() / ICMPv6NDOptSrcLLAddr(lladdr=THEIR_MAC, len=2),
    "half an option": solicit() / b"\1",
    "a free address asked of one": IPv6(src="::", dst=OURS, hlim=255) / ICMPv6ND_NS(tgt=OURS),
    "nobody with an address": IPv6(src="::", dst="ff02::1:ff00:1", hlim=255)
    / ICMPv6ND_NS(tgt=OURS)
    / ICMPv6NDOptSrcLLAddr(lladdr=THEIR_MAC),
    "an answer to nobody": IPv6(src=THEIRS, dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt=THEIRS, S=1),
    "behind an extension header": IPv6(src=THEIRS, dst=OURS, hlim=255)
    / IPv6ExtHdrDestOpt()
    / ICMPv6ND_NS(tgt=OURS),
}


@pytest.mark.parametrize("packet", UNSOUND.values(), ids=UNSOUND.keys())
def test_what_is_not_sound_is_not_taken(packet: IPv6) -> None:
    assert parse(bytes(packet)) is None


@given(solicitations | advertisements, st.data())
def test_no_changed_octet_goes_unnoticed(message: Solicitation | Advertisement, data: st.DataObject) -> None:
    packet = bytearray(message.encode())
    at = data.draw(st.integers(4, len(packet) - 1))
    packet[at] ^= data.draw(st.integers(1, 255))
    assert parse(bytes(packet)) is None


@pytest.mark.parametrize(
    "message",
    [ARP(hwtype=6), ARP(ptype=0x86DD), ARP(hwlen=8), ARP(plen=16), ARP(op=3), ARP(op=0)],
    ids=["hardware", "protocol", "hardware length", "protocol length", "reverse", "nothing"],
)
def test_other_arp_is_not_taken(message: ARP) -> None:
    assert Arp.parse(bytes(message)) is None


@given(st.binary(max_size=100))
def test_no_octets_confuse_the_readers(data: bytes) -> None:
    Frame.parse(data)
    parse(data)
    assert Arp.parse(data[:27]) is None
