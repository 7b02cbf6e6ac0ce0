# SPDX-License-Identifier: Apache-2.0
"""Packets, errors and idle time-outs on the stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from finsy.proto import p4r
from google.protobuf.any_pb2 import Any as AnyMessage

from dataplane.p4runtime import server
from dataplane.p4runtime.outbox import LIMIT, Outbox
from dataplane.p4runtime.waiting import PACKETS
from tests.unit.fake_pipeline import exact_key
from tests.unit.p4runtime_fixtures import Peer, Stream, delete, insert, modify, serving

SECOND = 10**9


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    async with serving(tmp_path) as peer:
        yield peer


def metadata(*values: bytes) -> list[p4r.PacketMetadata]:
    return [p4r.PacketMetadata(metadata_id=n, value=v) for n, v in enumerate(values, 1)]


async def test_packet_in_with_metadata(peer: Peer) -> None:
    stream = await peer.become_primary()
    peer.server.packet_in(257, 4, 1400, b"packet")
    assert (await stream.read()).packet == p4r.PacketIn(
        payload=b"packet", metadata=metadata(b"\x01\x01", b"\0", b"\4", b"\x05\x78")
    )


async def test_packets_wait_for_a_primary(peer: Peer) -> None:
    for number in range(PACKETS + 3):
        payload = number.to_bytes(2, "big")
        peer.server.packet_in(1, 3, 0, payload, source=payload)
    backup = peer.stream()
    await backup.arbitrate(None)
    stream = await peer.become_primary()
    packets = [int.from_bytes((await stream.read()).packet.payload, "big") for _ in range(PACKETS)]
    assert packets == list(range(3, PACKETS + 3))  # the oldest are gone, the order is kept
    peer.server.packet_in(1, 3, 0, b"next")
    assert (await stream.read()).packet.payload == b"next"


async def ask(peer: Peer, *payloads: bytes) -> Stream:
    """A primary that has got packets."""
    stream = await peer.become_primary()
    for payload in payloads:
        peer.server.packet_in(1, 3, 0, payload)
        assert (await stream.read()).packet.payload == payload
    return stream


async def test_what_a_primary_has_not_answered_goes_to_the_next(peer: Peer) -> None:
    stream = await ask(peer, b"first", b"second", b"third")
    await stream.send(packet=p4r.PacketOut(payload=b"second", metadata=metadata(b"\2", b"\0", b"\0")))
    await stream.arbitrate(1)  # the stream is in order
    backup = peer.stream()
    await backup.arbitrate(None)
    stream.call.cancel()
    assert (await backup.read()).arbitration.status.code == 5  # it counts as gone
    again = await peer.become_primary()
    assert [(await again.read()).packet.payload for _ in range(2)] == [b"first", b"third"]


async def test_a_primary_whose_line_is_dead_is_followed_by_another(peer: Peer) -> None:
    await ask(peer, b"first")  # its end is not seen: the address that the line was on is gone
    again = await peer.become_primary(election_id=2)
    assert (await again.read()).packet.payload == b"first"


async def test_a_slow_client_loses_packets_but_no_arbitration() -> None:
    outbox = Outbox()
    packet = p4r.StreamMessageResponse(packet=p4r.PacketIn(payload=b"x"))
    assert all(outbox.put(packet) for _ in range(LIMIT))
    assert not outbox.put(packet)
    assert outbox.put(p4r.StreamMessageResponse(arbitration=p4r.MasterArbitrationUpdate()))
    for _ in range(LIMIT):
        message = await outbox.get()
        assert message is not None
        assert message.HasField("packet")
    message = await outbox.get()
    assert message is not None
    assert message.HasField("arbitration")
    outbox.close()
    assert await outbox.get() is None


class SlowContext:
    """A stream whose client reads nothing until it is told to."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.begun = asyncio.Event()
        self.written: list[p4r.StreamMessageResponse] = []

    async def write(self, message: p4r.StreamMessageResponse) -> None:
        self.begun.set()
        await self.reads.wait()
        self.written.append(message)


async def test_a_stream_that_ends_cuts_no_write_short(peer: Peer) -> None:
    """Else gRPC never sends the status, now and then: whoever closes at once waits for ever."""
    context = SlowContext()

    async def requests() -> AsyncIterator[p4r.StreamMessageRequest]:
        update = p4r.MasterArbitrationUpdate(device_id=1, election_id=p4r.Uint128(low=1))
        yield p4r.StreamMessageRequest(arbitration=update)
        await context.begun.wait()

    serving_it = asyncio.create_task(peer.server.StreamChannel(requests(), context))  # type: ignore[arg-type]
    await context.begun.wait()
    assert not (await asyncio.wait([serving_it], timeout=0.05))[0]
    assert (await peer.stream().arbitrate(None)).status.code == 5  # the client counts as gone
    context.reads.set()
    await serving_it
    assert [message.arbitration.status.code for message in context.written] == [0]


async def test_packet_out_reaches_the_data_plane(peer: Peer) -> None:
    stream = await peer.become_primary()
    await stream.send(packet=p4r.PacketOut(payload=b"out", metadata=metadata(b"\2", b"\0", b"\0")))
    await stream.send(packet=p4r.PacketOut(payload=b"straight", metadata=metadata(b"\0", b"\3", b"\0")))
    await stream.arbitrate(1)  # the stream is in order
    assert peer.backend.packets_out == [(2, 0, b"out"), (0, 3, b"straight")]


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (metadata(b"\2", b"\0"), 3, "the packet-out lacks the metadata pad; give a value"),
        (
            metadata(b"\2", b"\0", b"\0", b"\0"),
            3,
            "a packet-out has no metadata 4; it has 1 (ingress_port), 2 (egress_port), 3 (pad)",
        ),
        ([*metadata(b"\2"), *metadata(b"\2")], 3, "the packet-out metadata ingress_port is given twice"),
        (metadata(b"\x02\x00", b"\0"), 11, "ingress_port is 0x200, which needs 10 bits"),
        (metadata(b"", b"\0"), 11, "ingress_port has an empty value"),
        (metadata(b"\0", b"\0", b"\0"), 13, "there is no port 0"),
    ],
)
async def test_bad_packet_out(peer: Peer, given: list[p4r.PacketMetadata], code: int, message: str) -> None:
    stream = await peer.become_primary()
    packet = p4r.PacketOut(payload=b"out", metadata=given)
    await stream.send(packet=packet)
    error = (await stream.read()).error
    assert (error.canonical_code, error.packet_out.packet_out) == (code, packet)
    assert message in error.message
    assert peer.backend.packets_out == []


async def test_only_the_primary_sends_packets(peer: Peer) -> None:
    await peer.become_primary(5)
    backup = peer.stream()
    await backup.arbitrate(3)
    await backup.send(packet=p4r.PacketOut(payload=b"out", metadata=metadata(b"\2", b"\0")))
    error = (await backup.read()).error
    assert (error.canonical_code, error.HasField("packet_out")) == (7, True)
    assert peer.backend.packets_out == []


async def test_messages_that_mean_nothing_here(peer: Peer) -> None:
    stream = await peer.become_primary()
    await stream.send(other=AnyMessage())
    error = (await stream.read()).error
    assert (error.canonical_code, error.HasField("other")) == (12, True)


@pytest.fixture
async def watching(peer: Peer) -> AsyncIterator[Peer]:
    task = asyncio.create_task(peer.server.watch_idle())
    yield peer
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_nothing_is_done_until_an_entry_is_due(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: asyncio.Queue[float | None] = asyncio.Queue()

    async def heard(event: asyncio.Event, seconds: float | None) -> None:
        waits.put_nowait(seconds)
        await event.wait()

    monkeypatch.setattr(server, "_heard", heard)
    task = asyncio.create_task(peer.server.watch_idle())
    async with asyncio.timeout(5):
        assert await waits.get() is None
        await peer.become_primary()
        match = [b"\1", b"\2", b"\3"]
        await peer.write(insert(peer.entry("connection", match, "reject", idle_timeout_ns=4 * SECOND)))
        assert await waits.get() == 1.0, "an entry is looked at four times within its time-out"
    task.cancel()


def hit(peer: Peer, packets: int) -> None:
    key = exact_key(peer.backend.binding.by_name["connection"], [(1, b"\1"), (2, b"\2"), (3, b"\3")])
    peer.backend.tables["connection"].set_counters(key, packets, 0)


async def test_idle_entries_are_told(watching: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = watching

    async def by_the_clock_of_the_test(event: asyncio.Event, _seconds: float | None) -> None:
        await asyncio.wait([asyncio.ensure_future(event.wait())], timeout=0.01)

    monkeypatch.setattr(server, "_heard", by_the_clock_of_the_test)
    stream = await peer.become_primary()
    entry = peer.entry(
        "connection", [b"\1", b"\2", b"\3"], "reject", idle_timeout_ns=4 * SECOND, metadata=b"m"
    )
    await peer.write(insert(entry))
    reading = asyncio.create_task(stream.read())
    for _ in range(3):  # a hit in each of three seconds
        peer.clock.now += SECOND
        hit(peer, peer.clock.now)
        await asyncio.wait([reading], timeout=0.1)
        assert not reading.done()
    peer.clock.now += 3 * SECOND
    await asyncio.wait([reading], timeout=0.1)
    assert not reading.done()
    peer.clock.now += 2 * SECOND
    notification = (await reading).idle_timeout_notification
    entry.ClearField("action")
    assert list(notification.table_entry) == [entry]
    assert notification.timestamp > 0
    reading = asyncio.create_task(stream.read())  # the timer begins anew
    peer.clock.now += 3 * SECOND
    await asyncio.wait([reading], timeout=0.1)
    assert not reading.done()
    peer.clock.now += SECOND
    assert len((await reading).idle_timeout_notification.table_entry) == 1


async def test_no_time_out_after_delete_or_when_it_is_taken_back(watching: Peer) -> None:
    peer = watching
    stream = await peer.become_primary()
    entries = [
        peer.entry("connection", [b"\1", b"\2", bytes([n])], "reject", idle_timeout_ns=SECOND)
        for n in (1, 2, 3)
    ]
    await peer.write(*map(insert, entries))
    await peer.write(delete(entries[0]), modify(peer.entry("connection", [b"\1", b"\2", b"\2"], "reject")))
    peer.clock.now += 2 * SECOND
    notification = (await stream.read()).idle_timeout_notification
    assert [e.match[2].exact.value for e in notification.table_entry] == [b"\3"]
