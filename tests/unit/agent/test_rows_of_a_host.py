# SPDX-License-Identifier: Apache-2.0
"""The rows that the agent writes: its own facts, paths to peers, and what an address change does to them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dataplane.agent.change import PeerMoved
from dataplane.agent.facts import HostFacts, PortFact, locator_rows, port_rows
from dataplane.agent.locators import UnderlayPort
from dataplane.agent.mobility import MAX_FORMER, Mobility
from dataplane.agent.netlink import Changed, HostTable, Link
from dataplane.agent.peers import Peers
from dataplane.agent.ports import PortState
from dataplane.bpf.hook import Hook
from dataplane.contract.rows import Tables
from moorline.addresses import mapped
from moorline.api.v1 import moorline_pb2 as api
from moorline.paths import Locator, choose_paths
from tests.unit.fake_pipeline import FakePipeline

ONE, TWO = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
PEER, PEER_THEN = bytes([203, 0, 113, 1]), bytes([203, 0, 113, 2])
NODE = 7
GRACE = 0.05


def own(address: bytes = ONE) -> tuple[Locator, ...]:
    return (Locator(address, 2, "eth0", 1500),)


def there(*addresses: bytes) -> tuple[Locator, ...]:
    return tuple(Locator(address, 5, "", 1500) for address in addresses)


@pytest.fixture
def tables() -> Tables:
    pipeline = FakePipeline()
    return Tables(pipeline.binding, pipeline.tables)


def opened(tables: Tables) -> set[bytes]:
    return {mapped(row.match["outer_dst"].rjust(16, b"\0")) for row in tables.rows("terminate")}


def path(tables: Tables) -> dict[str, bytes]:
    row = tables.get("locator", {"node": NODE})
    assert row is not None
    return {name: value.rjust(16, b"\0") for name, value in row.params.items() if name[:3] in ("dst", "pre")}


def program(tables: Tables, addresses: tuple[Locator, ...] = there(PEER)) -> None:
    """As the controller does."""
    found = choose_paths(own(), addresses)
    assert found is not None
    fields = ("port0", "dst0", "port1", "dst1", "previous0", "previous1")
    tables.write("locator", {"node": NODE}, "set_paths", {name: getattr(found, name) for name in fields})


# ---- facts -------------------------------------------------------------------------------------------------


def test_only_what_differs_is_written(tables: Tables) -> None:
    facts = HostFacts(tables)
    wanted = port_rows([PortFact(2, "underlay"), PortFact(1, "access", tenant=9)]) | locator_rows(own())
    assert facts.apply(wanted) == len(wanted) == 4
    assert facts.apply(wanted) == 0
    assert HostFacts(tables).apply(wanted) == 0  # what an earlier agent left is known again
    assert facts.apply(wanted | locator_rows(own(TWO), [ONE])) == 2  # uplink, and one more to open
    assert opened(tables) == {mapped(ONE), mapped(TWO)}
    assert facts.apply({}) == 5
    assert not any(list(tables.rows(table)) for table in ("uplink", "terminate", "port_role"))


def test_emptied_tables_are_written_anew(tables: Tables) -> None:
    facts = HostFacts(tables)
    facts.apply(locator_rows(own()))
    tables.remove("uplink", {"port": 2})
    facts.forget()
    facts.apply(locator_rows(own()))
    assert tables.get("uplink", {"port": 2}) is not None


# ---- peers -------------------------------------------------------------------------------------------------


def test_a_peer_is_the_controllers_to_name(tables: Tables) -> None:
    peers = Peers(tables)
    peers.own_changed(own())
    assert peers.update(NODE, "server", 1, there(PEER))
    assert tables.get("locator", {"node": NODE}) is None


def test_a_peer_that_moves_keeps_its_former_address_for_the_grace_time(tables: Tables) -> None:
    peers = Peers(tables)
    peers.own_changed(own())
    peers.update(NODE, "server", 1, there(PEER))
    program(tables)
    assert peers.update(NODE, "", 2, there(PEER_THEN))
    assert path(tables) == {
        "dst0": mapped(PEER_THEN),
        "dst1": mapped(PEER_THEN),
        "previous0": mapped(PEER),
        "previous1": bytes(16),
    }
    assert peers.get(NODE).name == "server"  # type: ignore[union-attr]
    peers.end_grace(NODE, 1)  # of an older change: not yet
    assert path(tables)["previous0"] == mapped(PEER)
    peers.end_grace(NODE, 2)
    assert path(tables)["previous0"] == bytes(16)


def test_a_relay_knows_a_peer_by_its_new_address_at_once(tables: Tables) -> None:
    peers = Peers(tables)
    peers.own_changed(own())
    for node, relayed in ((NODE, True), (NODE + 1, False)):
        peers.update(node, f"n{node}", 1, there(PEER))
        peers.set_relayed(node, relayed)
    peers.update(NODE + 1, "", 2, there(PEER_THEN))
    assert tables.get("origin", {"source": mapped(PEER_THEN)}) is None
    peers.update(NODE, "", 2, there(PEER_THEN))
    row = tables.get("origin", {"source": mapped(PEER_THEN)})
    assert row is not None
    assert int.from_bytes(row.params["node"]) == NODE


def test_old_news_of_a_peer_is_none(tables: Tables) -> None:
    peers = Peers(tables)
    peers.own_changed(own())
    peers.update(NODE, "server", 5, there(PEER))
    program(tables)
    for generation in (4, 5):
        assert not peers.update(NODE, "server", generation, there(PEER_THEN))
    assert path(tables)["dst0"] == mapped(PEER)


def test_a_peer_without_an_address_keeps_its_path_until_it_has_one(tables: Tables) -> None:
    peers = Peers(tables)
    peers.own_changed(own())
    peers.update(NODE, "server", 1, there(PEER))
    program(tables)
    peers.update(NODE, "server", 2, ())
    assert path(tables)["dst0"] == mapped(PEER)
    assert set(peers.get(NODE).addresses) == {mapped(PEER)}  # type: ignore[union-attr]


def test_forgotten_peers(tables: Tables) -> None:
    peers = Peers(tables)
    for node in (1, 2, 3):
        peers.update(node, f"n{node}", 1, there(PEER))
    peers.forget(1)
    peers.keep_only({3, 4})
    assert [peer.node_id for peer in peers] == [3]


# ---- mobility ----------------------------------------------------------------------------------------------


LAN4, LAN6 = bytes([10, 77, 200, 1]), bytes.fromhex("fd77") + bytes(13) + b"\1"
PORT_OF_PLAIN_HOSTS = PortState("lan0", 7, "gateway", Hook.TC, 0, hops=1)


class Ports:
    underlay = (UnderlayPort("eth0", 2),)
    plain = (PORT_OF_PLAIN_HOSTS,)

    def facts(self) -> list[PortFact]:
        return [PortFact(2, "underlay")]


class Session:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.spoke = asyncio.Event()

    def report(self, report: api.NodeReport) -> None:
        self.said.append(f"{len(report.locators.locators)} locators")
        self.spoke.set()

    def reconnect(self) -> None:
        self.said.append("reconnect")

    def retry_now(self) -> None:
        self.said.append("retry")


def host(*addresses: bytes) -> HostTable:
    return HostTable({3: Link(3, "eth0", True, 1500, bytes(6))}, {3: dict.fromkeys(addresses)})


@pytest.fixture
def grace() -> float:
    return GRACE


@pytest.fixture
async def mobile(tables: Tables, grace: float) -> tuple[Mobility, Session, list[str]]:
    followed: list[str] = []
    peers = Peers(tables)
    ports: Any = Ports()
    mobility = Mobility(HostFacts(tables), ports, peers, 1, grace, lambda: followed.append("paths"))
    mobility.start(host(ONE))
    mobility.session = session = Session()
    program(tables)
    mobility.peer_heard(NODE, "server", 1, there(PEER))
    followed.clear()
    return mobility, session, followed


async def test_a_replaced_address_is_opened_at_once_and_the_old_one_closed_later(
    tables: Tables, mobile: tuple[Mobility, Session, list[str]]
) -> None:
    mobility, session, followed = mobile
    generation = mobility.own.generation
    assert mobility.host_changed(host(TWO), Changed.ADDRESSES)
    assert opened(tables) == {mapped(ONE), mapped(TWO)}
    uplink = tables.get("uplink", {"port": 2})
    assert uplink is not None
    assert uplink.params["src4"] == TWO
    assert mobility.own.generation > generation
    assert session.said == ["reconnect"]  # its TCP connection went from the address that is gone
    assert followed == ["paths"]
    async with asyncio.timeout(5):
        while mapped(ONE) in opened(tables):
            await asyncio.sleep(GRACE / 5)


@pytest.mark.parametrize("grace", [60.0])
async def test_addresses_that_change_faster_than_their_grace_ends(
    tables: Tables, mobile: tuple[Mobility, Session, list[str]]
) -> None:
    mobility, _, _ = mobile
    addresses = [bytes([10, 0, 0, number]) for number in range(200)]
    for address in addresses:
        mobility.host_changed(host(address), Changed.ADDRESSES)
    assert opened(tables) == set(map(mapped, addresses[-MAX_FORMER - 1 :]))


async def test_one_more_address_is_reported_and_cuts_nothing_off(
    mobile: tuple[Mobility, Session, list[str]],
) -> None:
    mobility, session, _ = mobile
    mobility.host_changed(host(ONE, TWO), Changed.ADDRESSES)
    assert session.said == ["2 locators"]
    assert not mobility.host_changed(host(ONE, TWO), Changed.ADDRESSES)
    assert session.said == ["2 locators"]


async def test_between_two_addresses_nothing_is_said(
    tables: Tables, mobile: tuple[Mobility, Session, list[str]]
) -> None:
    mobility, session, _ = mobile
    mobility.host_changed(host(), Changed.ADDRESSES)
    assert session.said == []
    assert path(tables)["dst0"] == mapped(PEER)
    mobility.host_changed(host(TWO), Changed.ADDRESSES | Changed.ROUTES)
    assert session.said == ["reconnect", "retry"]


async def test_a_host_that_stays_without_an_address_says_so(
    mobile: tuple[Mobility, Session, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    mobility, session, _ = mobile
    monkeypatch.setattr("dataplane.agent.mobility.NOWHERE_SECONDS", 0.0)
    mobility.host_changed(host(), Changed.ADDRESSES)
    async with asyncio.timeout(5):
        await session.spoke.wait()
    assert session.said == ["0 locators"]


async def test_a_peer_may_say_it_before_the_controller_does(
    tables: Tables, mobile: tuple[Mobility, Session, list[str]]
) -> None:
    mobility, _, followed = mobile
    mobility.peer_told(PeerMoved(NODE, 2, there(PEER_THEN)))
    assert path(tables)["dst0"] == mapped(PEER_THEN)
    assert followed == ["paths"]
    mobility.peer_heard(NODE, "server", 2, there(PEER_THEN))
    assert followed == ["paths"]  # no news
    async with asyncio.timeout(5):
        while path(tables)["previous0"] != bytes(16):
            await asyncio.sleep(GRACE / 5)


async def test_emptied_tables_get_the_hosts_rows_back(
    tables: Tables, mobile: tuple[Mobility, Session, list[str]]
) -> None:
    mobility, _, _ = mobile
    for row in list(tables.rows("terminate")):
        tables.remove(
            "terminate",
            {
                name: value.rjust(16, b"\0") if name == "outer_dst" else value
                for name, value in row.match.items()
            },
        )
    mobility.write_all_rows()
    assert opened(tables) == {mapped(ONE)}


async def test_what_plain_hosts_say_to_the_host_itself_is_the_kernels(
    tables: Tables, mobile: tuple[Mobility, Session, list[str]]
) -> None:
    def own() -> set[bytes]:
        rows = [row for row in tables.rows("terminate") if row.match["tunnel"] == b"\0"]
        return {row.match["outer_dst"].rjust(16, b"\0") for row in rows}

    mobility, session, _ = mobile
    with_lan = host(ONE)
    with_lan.links[9] = Link(9, "lan0", True, 1500, b"")
    with_lan.addresses[9] = {LAN4: 24, LAN6: 64}
    mobility.host_changed(with_lan, Changed.ADDRESSES)
    assert own() == {mapped(LAN4), LAN6}
    assert session.said == []  # it is no locator
    del with_lan.addresses[9][LAN4]
    mobility.host_changed(with_lan, Changed.ADDRESSES)
    assert own() == {LAN6}
