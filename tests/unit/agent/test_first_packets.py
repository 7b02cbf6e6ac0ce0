# SPDX-License-Identifier: Apache-2.0
"""Packets without a connection: who may send how many up, and how long they wait for a controller."""

from __future__ import annotations

import struct
from collections import Counter

from finsy.proto import p4r
from hypothesis import given
from hypothesis import strategies as st

from dataplane.agent.punts import (
    MISSES_BURST,
    MISSES_PER_SECOND,
    SOURCES,
    Punt,
    SourceLimits,
    is_for_one_host,
    source_of,
    with_checksum,
)
from dataplane.p4runtime.waiting import (
    OCTETS,
    PACKETS,
    PACKETS_OF_ONE_SOURCE,
    WAITING_SECONDS,
    Waiting,
    WaitingPackets,
)
from moorline.icmp import checksum
from moorline.limits import Limiter


def packet(source: bytes, payload: bytes, since: float) -> Waiting:
    return Waiting(since, source, payload, p4r.StreamMessageResponse(packet=p4r.PacketIn(payload=payload)))


def drain(early: WaitingPackets, now: float) -> list[bytes]:
    found = []
    while (one := early.pop(now)) is not None:
        found.append(one.payload)
    return found


def test_packets_come_back_in_order() -> None:
    early = WaitingPackets()
    for number in range(5):
        assert early.put(packet(b"source%d" % (number % 2), b"%d" % number, 0.0))
    assert drain(early, 1.0) == [b"0", b"1", b"2", b"3", b"4"]


def test_one_source_leaves_room_for_the_others() -> None:
    early = WaitingPackets()
    kept = [early.put(packet(b"loud", b"loud", 0.0)) for _ in range(PACKETS)]
    assert kept == [True] * PACKETS_OF_ONE_SOURCE + [False] * (PACKETS - PACKETS_OF_ONE_SOURCE)
    assert early.put(packet(b"quiet", b"quiet", 0.0))
    assert drain(early, 0.0).count(b"quiet") == 1


def test_a_source_may_send_again_once_its_packets_are_gone() -> None:
    early = WaitingPackets()
    for _ in range(PACKETS_OF_ONE_SOURCE + 1):
        early.put(packet(b"loud", b"x", 0.0))
    assert not early.put(packet(b"loud", b"x", WAITING_SECONDS / 2))
    assert early.put(packet(b"loud", b"new", WAITING_SECONDS))
    assert drain(early, WAITING_SECONDS) == [b"new"]


def test_an_old_packet_is_not_sent_any_more() -> None:
    early = WaitingPackets()
    early.put(packet(b"a", b"old", 0.0))
    early.put(packet(b"b", b"new", 1.0))
    assert drain(early, WAITING_SECONDS + 0.5) == [b"new"]


def test_the_oldest_make_room() -> None:
    early = WaitingPackets()
    large = bytes(OCTETS // 4)
    for source in (b"a", b"b", b"c", b"d", b"e"):
        assert early.put(packet(source, source + large[1:], 0.0))
    assert [payload[:1] for payload in drain(early, 0.0)] == [b"b", b"c", b"d", b"e"]
    assert not early.put(packet(b"a", bytes(OCTETS + 1), 0.0))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"a", b"b", b"c", b"d"]),
            st.integers(0, OCTETS // 3),
            st.floats(0, WAITING_SECONDS),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_limits_hold_whatever_comes(steps: list[tuple[bytes, int, float, bool]]) -> None:
    early = WaitingPackets()
    expected: list[tuple[float, bytes, int]] = []
    now = 0.0
    for source, octets, later, take in steps:
        now += later
        expected = [one for one in expected if one[0] + WAITING_SECONDS > now]
        if take:
            one = early.pop(now)
            assert (None if one is None else len(one.payload)) == (expected.pop(0)[2] if expected else None)
        else:
            few = Counter(one[1] for one in expected)[source] < PACKETS_OF_ONE_SOURCE
            assert early.put(packet(source, bytes(octets), now)) == few
            if few:
                expected.append((now, source, octets))
            while sum(one[2] for one in expected) > OCTETS:
                expected.pop(0)
        assert len(early) == len(expected)
        assert early.octets == sum(one[2] for one in expected) <= OCTETS


# ---- how many go up ----------------------------------------------------------------------------------------


@given(
    st.floats(1, 100),
    st.integers(1, 20),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=80),
)
def test_a_limiter_lets_through_what_it_says(rate: float, burst: int, pauses: list[float]) -> None:
    limiter = Limiter(rate, burst)
    now, passed = 1000.0, 0
    for pause in pauses:
        now += pause
        passed += limiter.allows(now)
    assert passed <= burst + rate * sum(pauses) + 1e-6
    assert passed >= min(len(pauses), burst)  # never less than the burst, however they come


def test_each_source_has_a_limit_of_its_own() -> None:
    limits = SourceLimits()
    passed = sum(limits.allows(b"loud", 1.0) for _ in range(5000))
    assert passed == MISSES_BURST
    assert limits.allows(b"quiet", 1.0)
    assert limits.allows(b"loud", 1.0 + 1.5 / MISSES_PER_SECOND)
    assert not limits.allows(b"loud", 1.0 + 1.5 / MISSES_PER_SECOND)


def test_the_sources_seen_last_are_remembered() -> None:
    limits = SourceLimits()
    while limits.allows(b"loud", 1.0):
        pass
    for number in range(SOURCES - 1):
        limits.allows(b"%d" % number, 1.0)
    assert not limits.allows(b"loud", 1.0)  # it is among the last
    for number in range(SOURCES):
        limits.allows(b"%d" % number, 1.0)
    assert limits.allows(b"loud", 1.0)  # forgotten: memory has an end


# ---- what a record holds -----------------------------------------------------------------------------------

IPV4 = bytes.fromhex("45000000 0000 0000 40 06 0000 0a000001 0a000002".replace(" ", ""))
IPV6 = bytes.fromhex("60000000 0000 06 40".replace(" ", "")) + bytes(15) + b"\1" + bytes(15) + b"\2"


def test_addresses_of_a_packet() -> None:
    assert source_of(IPV4) == bytes([10, 0, 0, 1])
    assert source_of(IPV6) == bytes(15) + b"\1"
    assert is_for_one_host(IPV4)
    assert is_for_one_host(IPV6)
    assert not is_for_one_host(IPV4[:16] + bytes([224, 0, 0, 1]))
    assert not is_for_one_host(IPV6[:24] + b"\xff" + bytes(15))
    assert not is_for_one_host(IPV6[:39])


@given(st.binary(max_size=60))
def test_no_packet_confuses_the_readers(data: bytes) -> None:
    assert len(source_of(data)) in (0, 4, 16)
    is_for_one_host(data)
    frame = bytes(12) + data
    assert len(with_checksum(frame)) == len(frame)
    punt = Punt.parse(data)
    if punt is not None:
        assert punt.whole == (len(punt.frame) == struct.unpack_from("=I", data)[0])


@given(st.binary(min_size=20, max_size=64), st.booleans(), st.integers(0, 0xFFFF))
def test_a_checksum_is_made_whole(segment: bytes, version6: bool, partial: int) -> None:
    segment = segment[:16] + struct.pack("!H", partial) + segment[18:]
    if version6:
        header = IPV6[:4] + struct.pack("!H", len(segment)) + IPV6[6:]
        pseudo = header[8:40] + struct.pack("!II", len(segment), 6)
        ethernet = bytes(12) + b"\x86\xdd"
    else:
        header = IPV4[:2] + struct.pack("!H", 20 + len(segment)) + IPV4[4:]
        pseudo = header[12:20] + struct.pack("!HH", 6, len(segment))
        ethernet = bytes(12) + b"\x08\x00"
    frame = with_checksum(ethernet + header + segment + b"padding")
    done = frame[14 + len(header) : 14 + len(header) + len(segment)]
    assert checksum(pseudo + done) == 0
    assert done[:16] + done[18:] == segment[:16] + segment[18:]
    assert frame.endswith(b"padding")
