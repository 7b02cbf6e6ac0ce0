# SPDX-License-Identifier: Apache-2.0
"""What is made up about service paths is dropped with its reason, and the flows of others never notice.

::

    alice, bob --- gate --- router --- exit --- net
                    |
              tap1 (alice's), st1 (bob's), idle1 (nobody's)
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from dataplane.peers.namespace import Namespace as PeerNamespace
from moorline.api.v1 import graphs_pb2 as api
from moorline.api.v1.graphs_pb2_grpc import GraphsStub
from moorline.wire import FIRST_SI, GENEVE_PORT, Event
from tests.lab.test_bad_input import refused
from tools.lab import HostPlan, Lab
from tools.lab.edges import EdgeHost, edge_address
from tools.lab.flow import PacedFlow
from tools.lab.on_link import GATEWAY, HOST
from tools.lab.waiting import wait_until
from tools.vectors.packets import Data, inner4

PORT = 5000
STRANGER = "198.18.255.254"
UNKNOWN_SPI = 0xABCDEF
PEERS = [
    {"name": "tap1", "kind": "tap", "run": "tap"},
    {"name": "st1", "kind": "statistics", "run": "statistics"},
    {"name": "idle1", "kind": "idle", "run": "tap"},
]
GRAPH = """
name: {name}
applies:
  - prefixes: ["{customer}"]
    servers: ["{servers}"]
forward: [{peer}]
"""
CUSTOMERS = {"alice": "tap", "bob": "statistics"}


def graph(name: str, customer: str, peer: str) -> str:
    servers = edge_address(4, 1 + len(CUSTOMERS), GATEWAY).network
    return GRAPH.format(name=name, customer=customer, servers=servers, peer=peer)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("graphs")
    plans = (
        HostPlan("gate", edges=tuple(CUSTOMERS), settings={"peer": PEERS}),
        HostPlan("exit", edges=("net",)),
    )
    with Lab(plans, settings={"grace_seconds": 1.0}) as lab:
        lab.start()
        wait_until(lambda: states(lab) == ["up"] * len(PEERS), "all peers were up", 30)
        for number, edge in enumerate(lab.edges.values(), 1):
            # A host on the link of an edge port is known once it has spoken.
            edge.place.run("ping", "-c1", "-W1", str(edge_address(4, number, GATEWAY).ip), check=False)
        for name, peer in CUSTOMERS.items():
            file = folder / f"{name}.yaml"
            file.write_text(graph(name, f"{lab.edges[name].ipv4}/32", peer))
            lab.controller.moorline("graph", "apply", str(file))
        # Until the packets of before a change must have arrived, what peers return is let pass.
        wait_until(lambda: all(checks(lab) or [0]), "what peers return was checked", 30, every=0.2)
        yield lab


def checks(lab: Lab) -> list[int]:
    return [row["params"]["check"] for row in lab["gate"].ask("table", "dump", "resume")]


def states(lab: Lab) -> list[str]:
    return [row["state"] for row in lab.controller.ask("peer", "list")]


@pytest.fixture(autouse=True)
def flows_of_both_unhurt(lab: Lab) -> Iterator[None]:
    """Flows of both customers all the while, each through its own peer, of which nothing is lost."""
    net = lab.edges["net"]
    flows = [
        PacedFlow(lab.edges[name].place, net.place, net.ipv4, 7000 + number, per_second=200)
        for number, name in enumerate(CUSTOMERS)
    ]
    with flows[0], flows[1]:
        yield
        wait_until(lambda: all(len(flow.report.arrived) > 20 for flow in flows), "both flows flowed")
    assert [(flow.report.lost, flow.report.duplicates) for flow in flows] == [([], 0)] * 2


@pytest.fixture
def program(lab: Lab) -> Iterator[socket.socket]:
    """Takes what comes to port 5000 of the server."""
    net = lab.edges["net"]
    with net.place.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
        program.bind((net.ipv4, PORT))
        program.settimeout(10)
        yield program


@pytest.fixture(scope="module")
def spis(lab: Lab) -> dict[str, int]:
    """The forward paths of the customers."""
    graphs = GraphsStub(lab.controller.channel).ListGraphs(api.ListGraphsRequest(), timeout=10).graphs
    return {graph.name: path.spi for graph in graphs for path in graph.paths if path.key == "forward"}


def dropped_once(lab: Lab, interface: str, event: Event, send: Callable[[], Any]) -> None:
    """``send`` costs one packet at the interface of the gate, for that reason."""
    key = (interface, event.name.lower())
    before = lab.controller.events("gate").get(key, 0)
    send()
    wait_until(
        lambda: lab.controller.events("gate").get(key, 0) == before + 1, f"one {event.name} was counted"
    )


def came_to_nothing(program: socket.socket) -> None:
    program.setblocking(False)
    with pytest.raises(BlockingIOError):
        program.recv(2048)


def to_program(lab: Lab, source: str) -> Packet:
    return inner4(source=source, destination=lab.edges["net"].ipv4, destination_port=PORT)


# ---- from the underlay -------------------------------------------------------------------------------------

FORGERIES: dict[str, tuple[Event, Callable[[Data], Data]]] = {
    "from a stranger's address": (Event.DROP_SOURCE, lambda good: replace(good, source="10.20.2.77")),
    "with index 0": (Event.DROP_SERVICE_INDEX, lambda good: replace(good, si=0)),
    "on a path that nobody knows": (Event.DROP_SERVICE_PATH, lambda good: replace(good, spi=UNKNOWN_SPI)),
    "at a place that the path does not have": (Event.DROP_SERVICE_PATH, lambda good: replace(good, si=3)),
    "with an index and no path": (Event.DROP_SCID_ZERO, lambda good: replace(good, spi=0)),
    "with what is no packet inside": (
        Event.DROP_INNER_HEADER_LENGTH,
        lambda good: replace(good, inner=inner4(source=good.inner.src, destination=good.inner.dst, ihl=4)),
    ),
}


@pytest.fixture
def good(lab: Lab, spis: dict[str, int]) -> Data:
    """A packet on alice's path, as the other node of it might send one to the gate."""
    uplink = lab["gate"].uplink
    return Data(
        inner=to_program(lab, lab.edges["alice"].ipv4),
        source=str(lab["exit"].uplink.addresses[4].ip),
        destination=str(uplink.addresses[4].ip),
        scid=0,
        spi=spis["alice"],
        si=FIRST_SI,
        geneve={"vni": 0},
        ethernet=(uplink.router.mac(uplink.router_interface), uplink.host.mac(uplink.interface)),
    )


@pytest.fixture
def underlay(lab: Lab) -> Iterator[socket.socket]:
    """The wire from the router to the gate."""
    uplink = lab["gate"].uplink
    with uplink.router.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((uplink.router_interface, 0))
        yield wire


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_packet_made_up_on_the_underlay_is_dropped_with_its_reason(
    lab: Lab, good: Data, underlay: socket.socket, program: socket.socket, forgery: str
) -> None:
    event, change = FORGERIES[forgery]
    dropped_once(lab, "up0", event, lambda: underlay.send(change(good).frame()))
    # The program has not seen it: the next good one is its first.
    underlay.send(good.frame())
    assert program.recv(2048) == bytes(good.inner.lastlayer())
    came_to_nothing(program)


# ---- from edge and access ports ----------------------------------------------------------------------------


def at_edge(lab: Lab, edge: EdgeHost) -> tuple[str, str]:
    """Link-layer addresses of what a customer sends."""
    return edge.place.mac("eth0"), lab["gate"].place.mac(edge.port_interface)


def test_a_customer_puts_nothing_on_a_path_by_headers_of_its_own(
    lab: Lab, good: Data, spis: dict[str, int], program: socket.socket
) -> None:
    alice = lab.edges["alice"]
    with alice.place.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("eth0", 0))
        forged = replace(good, ethernet=at_edge(lab, alice), spi=spis["bob"])
        dropped_once(lab, alice.port_interface, Event.DROP_NO_ROUTE, lambda: wire.send(forged.frame()))
    came_to_nothing(program)


def test_headers_of_a_customers_own_are_its_data(lab: Lab, good: Data) -> None:
    net, alice = lab.edges["net"], lab.edges["alice"]
    forged = replace(
        good, source=alice.ipv4, destination=net.ipv4, spi=UNKNOWN_SPI, ethernet=at_edge(lab, alice)
    )
    with (
        net.place.socket(socket.AF_INET, socket.SOCK_DGRAM) as program,
        alice.place.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire,
    ):
        program.bind((net.ipv4, GENEVE_PORT))
        program.settimeout(10)
        wire.bind(("eth0", 0))
        wire.send(forged.frame())
        assert program.recv(2048) == forged.frame()[forged.payload - 24 :]


def test_headers_of_a_programs_own_are_its_data(lab: Lab, good: Data) -> None:
    client, server = (
        lab[host].register(lab.controller, f"{name}.demo")
        for host, name in (("gate", "client"), ("exit", "server"))
    )
    forged = good.frame()[good.payload - 24 :]
    with (
        lab["exit"].place.socket(socket.AF_INET, socket.SOCK_DGRAM) as program,
        lab["gate"].place.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        program.bind((server.ipv4, GENEVE_PORT))
        program.settimeout(10)
        sender.bind((client.ipv4, 0))
        sender.sendto(forged, (server.ipv4, GENEVE_PORT))
        assert program.recv(2048) == forged


# ---- from a feature peer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "source", "tags", "event"),
    [
        ("tap1", "bob", (), Event.DROP_PEER_UNEXPECTED),
        ("tap1", None, (), Event.DROP_PEER_UNEXPECTED),
        ("st1", "alice", (), Event.DROP_PEER_UNEXPECTED),
        ("tap1", "alice", (100,), Event.DROP_PEER_HEADER),
        ("idle1", "alice", (), Event.DROP_PEER_UNKNOWN),
    ],
    ids=["of another customer", "of nobody", "of another customer back", "with a label", "on no path"],
)
def test_a_peer_returns_what_it_never_got(
    lab: Lab, program: socket.socket, peer: str, source: str | None, tags: tuple[int, ...], event: Event
) -> None:
    inner = to_program(lab, lab.edges[source].ipv4 if source else STRANGER)
    link: Packet = Ether(dst=lab["gate"].place.mac(f"{peer}-out"))
    for tag in tags:
        link = link / Dot1Q(vlan=tag)
    namespace = PeerNamespace(f"{lab.name}-gate-{peer}")
    wire = asyncio.run(namespace.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)))
    with closing(namespace), wire:
        wire.bind(("out", 0))
        dropped_once(lab, f"{peer}-out", event, lambda: wire.send(bytes(link / inner)))
    came_to_nothing(program)


# ---- files -------------------------------------------------------------------------------------------------

SOUND = graph("alice", "10.30.1.0/24", "statistics")


WRONG = {
    "empty": ("", "has no keys"),
    "cut off": ("name: [alice", "is not valid YAML at line"),
    "binary": ("\0", "is not valid YAML"),
    "a list": ("- alice", "has no keys"),
    "a key twice": (SOUND + "name: bob\n", "stands twice"),
    "a key misspelt": (SOUND.replace("forward", "forwards"), "unknown key forwards: did you mean forward?"),
    "no hop": (SOUND.replace("[statistics]", "[]"), "forward"),
    "a prefix with host bits": (SOUND.replace("10.30.1.0/24", "10.30.1.7/24"), "write 10.30.1.0/24"),
    "a word for a number": (SOUND + "priority: high\n", "priority"),
    "a tenant below 0": (SOUND + "tenant: -1\n", "tenant"),
    "no way back": (SOUND + "reverse: backwards\n", "write same, none, or a list of hops"),
    "an unknown peer": (SOUND.replace("[statistics]", "[scrubber]"), "scrubber"),
    "a loop": (SOUND.replace("[statistics]", "[tap, statistics, tap]"), "tap"),
    "another's packets": (graph("carol", f"{edge_address(4, 1, HOST).ip}/32", "statistics"), "alice"),
}


def state(lab: Lab) -> list[tuple[Any, ...]]:
    graphs = GraphsStub(lab.controller.channel).ListGraphs(api.ListGraphsRequest(), timeout=10).graphs
    return [(graph.name, graph.applied_ns, [path.spi for path in graph.paths]) for graph in graphs]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_that_is_wrong_changes_nothing(lab: Lab, wrong: str) -> None:
    text, expected = WRONG[wrong]
    before = state(lab)
    stub = GraphsStub(lab.controller.channel)
    request = api.ApplyGraphRequest(text=text, source="wrong.yaml")
    for ask in (stub.DiffGraph, stub.ApplyGraph):
        with pytest.raises(grpc.RpcError) as refusal:
            ask(request, timeout=10)
        assert refusal.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
        (line,) = refusal.value.details().splitlines()
        assert expected in line
    assert state(lab) == before


def test_the_command_says_what_is_wrong_with_a_file(lab: Lab, tmp_path: Path) -> None:
    before = state(lab)
    file = tmp_path / "wrong.yaml"
    for content, expected in (
        (WRONG["cut off"][0].encode(), "is not valid YAML at line"),
        ("name: café".encode("latin-1"), "is not UTF-8 text"),
        (SOUND.encode() + b"# " + b"x" * (256 * 1024), "is longer than"),
    ):
        file.write_bytes(content)
        assert expected in refused(lab.controller, "graph", "apply", str(file))
    assert "cannot be read" in refused(lab.controller, "graph", "apply", str(tmp_path / "absent.yaml"))
    assert state(lab) == before
