# SPDX-License-Identifier: Apache-2.0
"""Digests over P4Runtime: configured, read, sent, acknowledged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from finsy.proto import p4r

from tests.unit.p4runtime_fixtures import Peer, Stream, serving

DIGEST = 0x17EE51F4
SOURCE = b"\0" * 10 + b"\xff\xff\xc0\0\2\1"
OTHER = 2**31


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    async with serving(tmp_path) as peer:
        yield peer


def update(kind: int, digest_id: int = DIGEST, **config: int) -> p4r.Update:
    entry = p4r.DigestEntry(digest_id=digest_id)
    if config:
        entry.config.CopyFrom(p4r.DigestEntry.Config(**config))
    return p4r.Update(type=p4r.Update.Type.ValueType(kind), entity=p4r.Entity(digest_entry=entry))


def message(scid: int) -> bytes:
    return b"\0\1" + scid.to_bytes(8) + SOURCE


async def read(peer: Peer, digest_id: int = 0) -> list[p4r.DigestEntry]:
    found = await peer.read(p4r.Entity(digest_entry=p4r.DigestEntry(digest_id=digest_id)))
    return [entity.digest_entry for entity in found]


async def next_list(stream: Stream) -> tuple[int, list[int]]:
    """List id and SCIDs."""
    told = (await stream.read()).digest
    assert told.digest_id == DIGEST
    assert told.timestamp > 0
    return told.list_id, [int.from_bytes(d.struct.members[1].bitstring) for d in told.data]


async def test_a_digest_is_told_once_it_is_configured(peer: Peer) -> None:
    stream = await peer.become_primary()
    peer.server.digest(DIGEST, message(1))
    await peer.write(update(p4r.Update.INSERT))
    peer.server.digest(DIGEST, message(2))
    (told,) = (await stream.read()).digest.data
    values = [member.bitstring for member in told.struct.members]
    assert values == [b"\1", b"\2", SOURCE.lstrip(b"\0")]


async def test_the_configuration_is_read_back(peer: Peer) -> None:
    await peer.become_primary()
    assert await read(peer) == await read(peer, DIGEST) == []
    await peer.write(update(p4r.Update.INSERT, max_timeout_ns=1, max_list_size=2, ack_timeout_ns=3))
    (entry,) = await read(peer)
    assert (entry.digest_id, entry.config) == (DIGEST, p4r.DigestEntry.Config(
        max_timeout_ns=1, max_list_size=2, ack_timeout_ns=3
    ))  # fmt: skip
    await peer.write(update(p4r.Update.MODIFY, max_list_size=7))
    assert [e.config for e in await read(peer, DIGEST)] == [p4r.DigestEntry.Config(max_list_size=7)]
    await peer.write(update(p4r.Update.DELETE))
    assert await read(peer) == []


@pytest.mark.parametrize(
    ("configured", "given", "code", "told"),
    [
        (True, update(p4r.Update.INSERT), 6, "configured already"),
        (False, update(p4r.Update.MODIFY), 5, "is not configured"),
        (False, update(p4r.Update.DELETE), 5, "is not configured"),
        (False, update(p4r.Update.INSERT, digest_id=OTHER), 3, f"no digest {OTHER}"),
        (True, update(p4r.Update.UNSPECIFIED), 3, "the type 0"),
        (False, update(p4r.Update.INSERT, max_timeout_ns=-1), 3, "max_timeout_ns -1 is negative"),
        (False, update(p4r.Update.INSERT, max_list_size=-1), 3, "max_list_size -1 is negative"),
        (True, update(p4r.Update.MODIFY, ack_timeout_ns=-1), 3, "ack_timeout_ns -1 is negative"),
    ],
)
async def test_bad_updates(peer: Peer, configured: bool, given: p4r.Update, code: int, told: str) -> None:
    await peer.become_primary()
    if configured:
        await peer.write(update(p4r.Update.INSERT))
    before = await read(peer)
    ((found, text),) = await peer.errors(given)
    assert found == code
    assert told in text
    assert await read(peer) == before


async def test_a_batch_that_fails_leaves_the_configuration(peer: Peer) -> None:
    await peer.become_primary()
    rollback = p4r.WriteRequest.ROLLBACK_ON_ERROR
    wrong = update(p4r.Update.INSERT, digest_id=OTHER)
    await peer.errors(update(p4r.Update.INSERT), wrong, atomicity=rollback)
    assert await read(peer) == []
    await peer.write(update(p4r.Update.INSERT, max_list_size=3))
    before = await read(peer)
    for kind in (p4r.Update.MODIFY, p4r.Update.DELETE):
        await peer.errors(update(kind, max_list_size=1), wrong, atomicity=rollback)
        assert await read(peer) == before


async def test_lists_are_filled_and_numbered(peer: Peer) -> None:
    stream = await peer.become_primary()
    await peer.write(update(p4r.Update.INSERT, max_timeout_ns=10**12, max_list_size=2))
    for scid in (1, 1, 2, 3, 1):
        peer.server.digest(DIGEST, message(scid))
    assert [await next_list(stream), await next_list(stream)] == [(1, [1, 2]), (2, [3, 1])]


async def test_a_list_is_sent_when_its_time_is_over(peer: Peer) -> None:
    stream = await peer.become_primary()
    await peer.write(update(p4r.Update.INSERT, max_timeout_ns=1_000_000, max_list_size=2))
    peer.server.digest(DIGEST, message(1))
    peer.clock.now += 1_000_000
    assert await next_list(stream) == (1, [1])


async def test_what_is_not_acknowledged_is_not_told_again(peer: Peer) -> None:
    stream = await peer.become_primary()
    await peer.write(update(p4r.Update.INSERT, ack_timeout_ns=10**12))
    for scid in (1, 1, 2):
        peer.server.digest(DIGEST, message(scid))
    assert [await next_list(stream), await next_list(stream)] == [(1, [1]), (2, [2])]
    await stream.send(digest_ack=p4r.DigestListAck(digest_id=DIGEST, list_id=1))
    await stream.arbitrate(1)  # the stream is in order
    for scid in (2, 1):
        peer.server.digest(DIGEST, message(scid))
    assert await next_list(stream) == (3, [1])
    peer.clock.now += 10**12
    peer.server.digest(DIGEST, message(2))
    assert await next_list(stream) == (4, [2])


async def test_a_new_primary_knows_of_nothing(peer: Peer) -> None:
    await peer.become_primary()
    await peer.write(update(p4r.Update.INSERT, ack_timeout_ns=10**12))
    peer.server.digest(DIGEST, message(1))
    second = await peer.become_primary(2)
    peer.server.digest(DIGEST, message(1))
    assert await next_list(second) == (2, [1])


async def test_without_a_primary_nothing_is_remembered(peer: Peer) -> None:
    stream = await peer.become_primary()
    await peer.write(update(p4r.Update.INSERT, ack_timeout_ns=10**12))
    await stream.close()
    peer.server.digest(DIGEST, message(1))
    again = await peer.become_primary()
    peer.server.digest(DIGEST, message(1))
    assert (await next_list(again))[1] == [1]


@pytest.mark.parametrize(("primary", "digest", "code"), [(True, OTHER, 3), (False, DIGEST, 7)])
async def test_bad_acknowledgements(peer: Peer, primary: bool, digest: int, code: int) -> None:
    stream = await peer.become_primary() if primary else peer.stream()
    ack = p4r.DigestListAck(digest_id=digest, list_id=1)
    await stream.send(digest_ack=ack)
    error = (await stream.read()).error
    assert (error.canonical_code, error.digest_list_ack.digest_list_ack) == (code, ack)


async def test_a_new_pipeline_configuration_ends_learning(peer: Peer) -> None:
    await peer.become_primary()
    await peer.write(update(p4r.Update.INSERT))
    request = p4r.SetForwardingPipelineConfigRequest(
        device_id=1,
        election_id=p4r.Uint128(low=1),
        action=p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
    )
    request.config.p4info.CopyFrom(peer.backend.binding.p4info.message)
    await peer.stub.SetForwardingPipelineConfig(request)
    assert await read(peer) == []
