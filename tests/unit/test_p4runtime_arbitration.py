# SPDX-License-Identifier: Apache-2.0
"""Arbitration over a real channel, and the rules of the specification without one."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from finsy.proto import U128, p4r
from google.protobuf.any_pb2 import Any as AnyMessage
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st

from dataplane.p4runtime.arbitration import Arbitration
from dataplane.p4runtime.errors import Refused
from tests.unit.p4runtime_fixtures import Peer, delete, insert, serving

OK, NOT_FOUND, ALREADY_EXISTS = 0, 5, 6


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    async with serving(tmp_path) as peer:
        yield peer


async def test_the_highest_id_is_primary_and_all_are_told(peer: Peer) -> None:
    one, two = peer.stream(), peer.stream()
    told = await one.arbitrate(5)
    assert (told.status.code, U128.decode(told.election_id), told.device_id) == (OK, 5, 1)
    told = await two.arbitrate(7)
    assert told.status.code == OK
    told = (await one.read()).arbitration
    assert (told.status.code, U128.decode(told.election_id)) == (ALREADY_EXISTS, 7)


async def test_a_lower_id_is_a_backup_and_only_it_is_told(peer: Peer) -> None:
    one, two = await peer.become_primary(5), peer.stream()
    told = await two.arbitrate(3)
    assert (told.status.code, U128.decode(told.election_id)) == (ALREADY_EXISTS, 5)
    told = await one.arbitrate(6)  # the next that this one hears is of its own update
    assert U128.decode(told.election_id) == 6


async def test_without_id_a_client_is_never_primary(peer: Peer) -> None:
    one = peer.stream()
    told = await one.arbitrate(None)
    assert told.status.code == NOT_FOUND
    assert not told.HasField("election_id")


async def test_id_0_is_an_id(peer: Peer) -> None:
    assert (await peer.stream().arbitrate(0)).status.code == OK


async def test_a_primary_steps_down(peer: Peer) -> None:
    one, two = await peer.become_primary(5), peer.stream()
    await two.arbitrate(3)
    assert (await one.arbitrate(4)).status.code == NOT_FOUND
    assert (await two.read()).arbitration.status.code == NOT_FOUND
    assert (await two.arbitrate(5)).status.code == OK


async def test_when_the_primary_goes_all_are_told(peer: Peer) -> None:
    one, two = await peer.become_primary(5), peer.stream()
    await two.arbitrate(3)
    await one.close()
    told = (await two.read()).arbitration
    assert (told.status.code, U128.decode(told.election_id)) == (NOT_FOUND, 5)
    assert (await two.arbitrate(4)).status.code == NOT_FOUND  # 5 was seen already
    assert (await two.arbitrate(5)).status.code == OK


async def test_a_cancelled_stream_is_a_gone_client(peer: Peer) -> None:
    one, two = await peer.become_primary(5), peer.stream()
    await two.arbitrate(3)
    one.call.cancel()
    assert (await two.read()).arbitration.status.code == NOT_FOUND


async def test_the_former_primary_may_not_write(peer: Peer) -> None:
    await peer.become_primary(5)
    await peer.become_primary(6)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await peer.write(delete(peer.entry("scid", [b"\1"])), election_id=5)
    assert caught.value.code() == StatusCode.PERMISSION_DENIED


async def ended(peer: Peer, election_id: int | None, **arguments: object) -> tuple[StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await peer.stream().arbitrate(election_id, **arguments)  # type: ignore[arg-type]
    return caught.value.code(), caught.value.details()


async def test_updates_that_end_the_stream(peer: Peer) -> None:
    await peer.become_primary(5)
    assert await ended(peer, 5) == (
        StatusCode.INVALID_ARGUMENT,
        "the election id 5 is in use by another client; choose another",
    )
    assert (await ended(peer, 6, device=3))[0] == StatusCode.NOT_FOUND
    assert (await ended(peer, 6, device=0))[0] == StatusCode.NOT_FOUND
    assert (await ended(peer, 6, role=p4r.Role(name="reader")))[0] == StatusCode.NOT_FOUND
    assert (await ended(peer, 6, role=p4r.Role(config=AnyMessage())))[0] == StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("change", [{"device": 2}, {"role": p4r.Role(name="reader")}])
async def test_a_stream_keeps_device_and_role(peer: Peer, change: dict[str, object]) -> None:
    stream = await peer.become_primary(5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.arbitrate(6, **change)  # type: ignore[arg-type]
    assert caught.value.code() == StatusCode.FAILED_PRECONDITION
    assert (await peer.stream().arbitrate(5)).status.code == OK  # the client is forgotten


async def test_a_new_primary_is_told_after_the_write_that_still_runs(peer: Peer) -> None:
    await peer.become_primary(5)
    async with peer.server._writing:
        stream = peer.stream()
        await stream.send(arbitration=p4r.MasterArbitrationUpdate(device_id=1, election_id=U128.encode(6)))
        old = p4r.WriteRequest(device_id=1, election_id=U128.encode(5))
        code = StatusCode.DEADLINE_EXCEEDED
        while code == StatusCode.DEADLINE_EXCEEDED:  # first the old one loses its right
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await peer.stub.Write(old, timeout=0.1)
            code = caught.value.code()
        assert code == StatusCode.PERMISSION_DENIED
        assert stream.call.done() is False
    assert (await stream.read()).arbitration.status.code == OK
    await peer.write(insert(peer.entry("terminate", [b"\1", b"\1"], "open")), election_id=6)


Step = tuple[int, int | None, bool]


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 5), st.booleans()), max_size=30))
def test_there_is_at_most_one_primary_and_it_has_the_highest_id(steps: list[Step]) -> None:
    """Any sequence of updates and disconnections; a client's status is always what it was told last."""
    arbitration = Arbitration(1)
    live: dict[int, int | None] = {}
    told: dict[int, int] = {}
    highest: int | None = None
    for client, election, leaves in steps:
        if leaves:
            live.pop(client, None)
            told.pop(client, None)
            notifications = arbitration.disconnect(client)
        else:
            update = p4r.MasterArbitrationUpdate(device_id=1)
            if election is not None:
                update.election_id.CopyFrom(U128.encode(election))
            try:
                notifications = arbitration.update(client, update)
            except Refused as error:
                assert error.code == StatusCode.INVALID_ARGUMENT
                assert election in {e for c, e in live.items() if c != client}
                live.pop(client, None)
                told.pop(client, None)
                notifications = arbitration.disconnect(client)
            else:
                live[client] = election
                if election is not None:
                    highest = max(election, -1 if highest is None else highest)
        for to, message in notifications:
            assert to in live
            told[int(str(to))] = message.arbitration.status.code
        primaries = [c for c, e in live.items() if e is not None and e == highest]
        assert len(primaries) <= 1
        assert arbitration.primary == (primaries[0] if primaries else None)
        expected = ALREADY_EXISTS if primaries else NOT_FOUND
        assert told == {c: OK if c in primaries else expected for c in live}
