# SPDX-License-Identifier: Apache-2.0
"""What an agent is told, however slowly it reads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from control.errors import ExhaustedError, PreconditionError
from control.sessions import AT_ONCE, Session
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.site import Site


def peer(number: int) -> pb.NodeUpdate:
    return pb.NodeUpdate(peer=pb.PeerChanged(node_id=number))


def flat(update: pb.NodeUpdate) -> list[pb.NodeUpdate]:
    return list(update.several.updates) if update.HasField("several") else [update]


async def test_updates_come_in_order_and_several_at_once() -> None:
    session = Session(pb.NodeUpdate)
    for number in range(250):
        session.send(peer(number))
    updates = session.updates()
    read = [flat(await anext(updates)) for _ in range(3)]
    assert [len(part) for part in read] == [100, 100, 50]
    assert [update.peer.node_id for part in read for update in part] == list(range(250))


def translation(number: int) -> pb.NodeUpdate:
    return pb.NodeUpdate(translation=pb.Translation(scid=number))


async def test_what_may_wait_is_sent_at_once_after_a_quiet_time_then_with_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("control.sessions.PAUSE", 0.05)
    session = Session(pb.NodeUpdate)
    updates = session.updates()
    session.send_soon(translation(0))
    assert (await anext(updates)).translation.scid == 0
    more = asyncio.create_task(anext(updates))
    for number in range(1, 4):
        session.send_soon(translation(number))
        await asyncio.sleep(0)
    assert not more.done()
    assert [update.translation.scid for update in flat(await more)] == [1, 2, 3]


async def told_something(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Session, asyncio.Task[pb.NodeUpdate]]:
    """A session whose pause has begun, and what its agent reads next."""
    monkeypatch.setattr("control.sessions.PAUSE", 3600)
    session = Session(pb.NodeUpdate)
    updates = session.updates()
    session.send(peer(1))
    await anext(updates)
    return session, asyncio.create_task(anext(updates))


async def test_what_may_wait_goes_before_what_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    session, more = await told_something(monkeypatch)
    session.send_soon(translation(2))
    session.send(peer(3))
    async with asyncio.timeout(10):
        first, second = flat(await more)
    assert (first.translation.scid, second.peer.node_id) == (2, 3)


async def test_what_may_wait_does_not_once_there_is_much_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    session, more = await told_something(monkeypatch)
    await asyncio.sleep(0)
    for number in range(AT_ONCE):
        assert not more.done()
        session.send_soon(translation(number))
    async with asyncio.timeout(10):
        assert len(flat(await more)) == AT_ONCE


async def test_endpoints_are_sent_once_for_all_changes_before_the_agent_reads() -> None:
    made: list[int] = []

    def endpoints() -> pb.NodeUpdate:
        made.append(1)
        return pb.NodeUpdate(endpoints=pb.Endpoints(endpoints=[pb.Endpoint(service=f"s{len(made)}.demo")]))

    session = Session(endpoints)
    updates = session.updates()
    for wanted in (1, 2):
        for _ in range(10):
            session.send_endpoints()
        update = await anext(updates)
        assert update.endpoints.endpoints[0].service == f"s{wanted}.demo"
    assert len(made) == 2


async def test_who_has_much_to_tell_waits_for_the_agent_to_read() -> None:
    session = Session(pb.NodeUpdate)
    for number in range(1000):
        session.send(peer(number))
    room = asyncio.create_task(session.room())
    updates = session.updates()
    for _ in range(9):
        await anext(updates)
        assert not room.done()
    await anext(updates)
    async with asyncio.timeout(10):
        await room


async def test_an_agent_too_far_behind_has_to_attach_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.sessions.BACKLOG", 10)
    session = Session(pb.NodeUpdate)
    for number in range(11):
        session.send(peer(number))
    with pytest.raises(ExhaustedError, match="attach again"):
        await anext(session.updates())
    async with asyncio.timeout(10):
        await session.room()


async def test_a_session_ends_with_its_reason() -> None:
    session = Session(pb.NodeUpdate)
    read = asyncio.create_task(anext(session.updates()))
    await asyncio.sleep(0)
    session.end(PreconditionError("removed"))
    session.end(None)
    with pytest.raises(PreconditionError, match="removed"):
        await read


async def test_a_node_with_more_connections_than_the_backlog_is_told_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        await one.detach()
        names = [f"s{number}.demo" for number in range(700)]
        await asyncio.gather(*(site.register(name, "two") for name in names))
        scids = {(await site.lookup("laptop.demo", name)).scid for name in names}
        monkeypatch.setattr("control.sessions.BACKLOG", 650)
        await one.attach(site.target)
        assert {u.translation.scid for u in one.updates if u.HasField("translation")} == scids
