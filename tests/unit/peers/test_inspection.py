# SPDX-License-Identifier: Apache-2.0
"""What a content filter does with packets, one by one; scapy makes and reads them."""

from __future__ import annotations

import itertools
import random

import pytest
from dnslib import RCODE, DNSRecord
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from dataplane.peers.blocked import Blocked
from dataplane.peers.inspection import Back, Inspection, Onward, Output
from dataplane.peers.packets import raised_ttl, read
from tests.unit.peers.test_names_in import hello

LISTS = [{"customers": ["10.1.0.0/16", "fd01::/64"], "names": ["bad.example"]}]
ENDS = {4: ("10.1.0.2", "203.0.113.80"), 6: ("fd01::2", "fd02::80")}


def ip(version: int = 4) -> Packet:
    source, target = ENDS[version]
    return IP(src=source, dst=target, ttl=60) if version == 4 else IPv6(src=source, dst=target, hlim=60)


def tcp(payload: bytes, port: int = 80, sequence: int = 1000, source: int = 4000, version: int = 4) -> bytes:
    header = TCP(sport=source, dport=port, seq=sequence, ack=7000, flags="PA")
    return bytes(ip(version) / header / Raw(payload))


def udp(payload: bytes, port: int = 53, version: int = 4) -> bytes:
    return bytes(ip(version) / UDP(sport=4000, dport=port) / Raw(payload))


def request(host: str) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


@pytest.fixture
def inspection() -> Inspection:
    return Inspection(Blocked(LISTS))


def onward(outputs: list[Output]) -> list[bytes]:
    return [output.packet for output in outputs if isinstance(output, Onward)]


def parsed(packet: bytes) -> Packet:
    """The packet as scapy reads it, its checksums compared with scapy's own."""
    found = IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)
    again = found.copy()
    for layer in (IP, TCP, UDP):
        if layer in again:
            del again[layer].chksum
    assert bytes(again) == packet
    return found


@pytest.mark.parametrize("version", [4, 6])
def test_a_name_on_the_list_ends_the_connection_at_both_ends(inspection: Inspection, version: int) -> None:
    payload = request("bad.example")
    outputs = list(inspection.packet(tcp(payload, version=version)))
    assert [type(output) for output in outputs] == [Back, Onward]
    back, on = (parsed(output.packet) for output in outputs)
    assert (back[TCP].flags, back[TCP].seq, back[TCP].ack) == ("RA", 7000, 1000 + len(payload))
    assert (back.src, back.dst, back[TCP].sport, back[TCP].dport) == (*ENDS[version][::-1], 80, 4000)
    assert (on[TCP].flags, on[TCP].seq, on.dst) == ("RA", 1000, ENDS[version][1])
    again = list(inspection.packet(tcp(b"more", sequence=1000 + len(payload), version=version)))
    assert [type(output) for output in again] == [Back, Onward]
    assert parsed(again[1].packet)[TCP].flags == "RA"


@pytest.mark.parametrize("version", [4, 6])
def test_what_passes_is_as_it_came_but_for_the_ttl_of_this_hop(inspection: Inspection, version: int) -> None:
    packet = tcp(request("good.example"), version=version)
    (output,) = inspection.packet(packet)
    found = parsed(output.packet)
    assert found.ttl == 61 if version == 4 else found.hlim == 61
    assert bytes(found[TCP]) == bytes(parsed(packet)[TCP])


def test_segments_are_held_until_the_name_is_known_in_whatever_order() -> None:
    octets = hello("good.example")
    cuts = [octets[:1], octets[1:200], octets[200:300], octets[300:]]
    begins = [1000 + sum(map(len, cuts[:n])) for n in range(len(cuts))]
    segments = [tcp(part, 443, begin) for part, begin in zip(cuts, begins, strict=True)]
    for order in itertools.permutations(range(len(cuts))):
        inspection = Inspection(Blocked(LISTS))
        outputs = [output for n in order for output in inspection.packet(segments[n])]
        assert {parsed(packet)[TCP].seq for packet in onward(outputs)} == set(begins), order
        assert not any(isinstance(output, Back) for output in outputs)


def test_a_forbidden_name_over_several_segments_reaches_the_server_in_none(inspection: Inspection) -> None:
    octets = hello("bad.example")
    parts = [octets[at : at + 100] for at in range(0, len(octets), 100)]
    outputs: list[Output] = []
    for n, part in enumerate(parts):
        outputs += inspection.packet(tcp(part, 443, 1000 + 100 * n))
    assert all(parsed(packet)[TCP].flags == "RA" for packet in onward(outputs))
    assert parsed(onward(outputs)[0])[TCP].seq == 1000  # what the server waits for


def test_every_request_of_a_connection_is_looked_at(inspection: Inspection) -> None:
    first = request("good.example")
    assert len(onward(list(inspection.packet(tcp(first))))) == 1
    outputs = list(inspection.packet(tcp(request("bad.example"), sequence=1000 + len(first))))
    assert [type(output) for output in outputs] == [Back, Onward]


@pytest.mark.parametrize("port", [80, 443])
def test_what_was_let_go_on_and_is_sent_again_goes_on_at_once(inspection: Inspection, port: int) -> None:
    """The server may lack it, and gets what is behind it already."""
    octets = request("good.example") if port == 80 else hello("good.example")
    parts = tcp(octets[:30], port), tcp(octets[30:], port, 1030)
    assert list(inspection.packet(parts[0])) == []
    assert len(onward(list(inspection.packet(parts[1])))) == 2
    for packet in (parts[0], parts[1], parts[0]):
        assert onward(list(inspection.packet(packet))) == [raised_ttl(packet)]
    more = tcp(b"what follows", port, 1000 + len(octets))
    assert onward(list(inspection.packet(more))) == [raised_ttl(more)]


@pytest.mark.parametrize("port", [80, 443])
@pytest.mark.parametrize("sequence", [2_000_000, 4_000_000_000])
def test_another_connection_with_the_same_ports_is_looked_at(
    inspection: Inspection, port: int, sequence: int
) -> None:
    first, second = (
        (request, hello)[port == 443]("good.example"),
        (request, hello)[port == 443]("bad.example"),
    )
    assert len(onward(list(inspection.packet(tcp(first, port))))) == 1
    outputs = list(inspection.packet(tcp(second, port, sequence)))
    assert [type(output) for output in outputs] == [Back, Onward]


def test_what_holds_no_name_passes_when_that_is_sure(inspection: Inspection) -> None:
    sent = 0
    outputs: list[Output] = []
    while not outputs:
        outputs += inspection.packet(
            tcp(b"GET /" + bytes(1000) if not sent else bytes(1000), sequence=1000 + sent)
        )
        sent += 1005 if not sent else 1000
        assert sent < 1 << 15
    assert all(isinstance(output, Onward) for output in outputs)


@pytest.mark.parametrize("version", [4, 6])
def test_questions_for_names_on_the_list_are_answered(inspection: Inspection, version: int) -> None:
    question = DNSRecord.question("www.bad.example")
    (output,) = inspection.packet(udp(question.pack(), version=version))
    assert isinstance(output, Back)
    answer = parsed(output.packet)
    assert (answer.src, answer[UDP].sport, answer[UDP].dport) == (ENDS[version][1], 53, 4000)
    found = DNSRecord.parse(bytes(answer[UDP].payload))
    assert (found.header.rcode, found.header.id) == (RCODE.NXDOMAIN, question.header.id)
    (output,) = inspection.packet(udp(DNSRecord.question("good.example").pack(), version=version))
    assert isinstance(output, Onward)


def question_for(labels: list[bytes]) -> bytes:
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\3bad\7example\0"
    return bytes.fromhex("000701000001000000000000") + name + bytes.fromhex("00010001")


def test_a_name_that_is_too_long_to_be_said_again_gets_no_answer(inspection: Inspection) -> None:
    assert list(inspection.packet(udp(question_for([b"a" * 60] * 5)))) == []


@given(
    st.lists(st.text(st.characters(max_codepoint=127), min_size=1, max_size=63).map(str.encode), max_size=6)
)
def test_no_question_for_a_name_on_the_list_goes_on(labels: list[bytes]) -> None:
    outputs = list(Inspection(Blocked(LISTS)).packet(udp(question_for(labels))))
    assert len(outputs) <= 1 and not onward(outputs)


def test_questions_over_tcp_come_whole_or_not_at_all(inspection: Inspection) -> None:
    def framed(name: str) -> bytes:
        octets = DNSRecord.question(name).pack()
        return len(octets).to_bytes(2) + octets

    (output,) = inspection.packet(tcp(framed("good.example") * 2, 53))
    assert isinstance(output, Onward)
    for payload in (framed("good.example") + framed("bad.example"), framed("bad.example")[:-3], b"\0"):
        assert [type(output) for output in inspection.packet(tcp(payload, 53))] == [Back, Onward]


def test_all_else_passes(inspection: Inspection) -> None:
    for packet in (
        bytes(ip() / TCP(dport=443, flags="S")),
        bytes(IP(src=ENDS[4][0], dst=ENDS[4][1], frag=10, proto=6) / Raw(b"xyz")),
        bytes(ip(6) / Raw(b"")),
        udp(b"no question"),
    ):
        assert onward(list(inspection.packet(packet))) == [raised_ttl(packet)]


def test_whatever_comes_nothing_breaks(inspection: Inspection) -> None:
    generator = random.Random(4)
    for _ in range(3000):
        packet = bytearray(tcp(request("good.example"), port=generator.choice((53, 80, 443))))
        for _ in range(generator.randrange(8)):
            packet[generator.randrange(len(packet))] = generator.randrange(256)
        packet = packet[: generator.randrange(1, len(packet) + 1)]
        read(bytes(packet))
        if len(packet) >= 40:
            list(inspection.packet(bytes(packet)))
