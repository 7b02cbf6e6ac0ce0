# SPDX-License-Identifier: Apache-2.0
"""Entries of the small world: a node with one connection, to a peer that it reaches over port 1."""

from __future__ import annotations

from collections.abc import Iterable

from moorline.wire import Tunnel

from . import world
from .model import Entry, Value
from .world import ACCESS, GATEWAY, SECOND, TENANT, UNDERLAY, Access, Underlay

LONGEST = 0xFFFF
"""An MTU of a path that leaves it to the uplink what fits."""

NOWHERE = "::"
"""An address parameter that holds none."""


def mapped(address: str) -> str:
    """The address as 128-bit fields hold it: IPv4 in mapped form."""
    return address if ":" in address else f"::ffff:{address}"


def underlay(port: Underlay) -> Entry:
    """The port's role."""
    return Entry("port_role", {"ingress_port": port.number}, "underlay")


def access(port: Access, tenant: int = TENANT) -> Entry:
    """The port's role."""
    return Entry("port_role", {"ingress_port": port.number}, "access", {"tenant": tenant, "hops": port.hops})


def terminate(address: str, tunnel: Tunnel = Tunnel.GENEVE) -> Entry:
    """Packets of this kind to this address are ours."""
    return Entry("terminate", {"outer_dst": mapped(address), "tunnel": int(tunnel)}, "open")


def uplink(port: Underlay, *, vlan: int = 0, mtu: int | None = None, source4: str | None = None) -> Entry:
    """What a packet that leaves by the port gets."""
    params: dict[str, Value] = {
        "src4": port.address4 if source4 is None else source4,
        "src6": port.address6,
        "vlan": vlan,
        "mtu": port.mtu if mtu is None else mtu,
    }
    return Entry("uplink", {"port": port.number}, "set_source", params)


def scid(
    value: int = world.SCID,
    *,
    node: int = world.PEER_NODE,
    port: int = ACCESS.number,
    tenant: int = TENANT,
    hops: int = 0,
) -> Entry:
    """Deliver the connection's packets to the local virtual addresses."""
    params: dict[str, Value] = {
        "port": port,
        "tenant": tenant,
        "node": node,
        "local4": world.VIRTUAL4_LOCAL,
        "peer4": world.VIRTUAL4_PEER,
        "local6": world.VIRTUAL6_LOCAL,
        "peer6": world.VIRTUAL6_PEER,
        "hops": hops,
    }
    return Entry("scid", {"scid": f"{value:#018x}"}, "deliver", params)


def gateway(*, hops: int = GATEWAY.hops) -> Entry:
    """Deliver the connection's packets to the host behind the gateway port."""
    own: dict[str, Value] = {"port": GATEWAY.number, "local4": GATEWAY.host4, "local6": GATEWAY.host6}
    entry = scid(hops=hops)
    return Entry(entry.table, entry.key, entry.action, {**entry.params, **own})


def local(source: str, destination: str, port: int) -> Entry:
    """Both ends of the connection are here, the second behind the port."""
    return Entry("connection", connection_key(source, destination), "local", {"port": port})


def relay(
    value: int = world.SCID,
    *,
    node0: int = world.PEER_NODE,
    scid0: int = world.SCID,
    node1: int = world.FAR_NODE,
    scid1: int = world.SCID,
) -> Entry:
    """Pass the connection's packets on between two nodes."""
    params: dict[str, Value] = {
        "tenant": TENANT,
        "node0": node0,
        "scid0": f"{scid0:#018x}",
        "node1": node1,
        "scid1": f"{scid1:#018x}",
    }
    return Entry("scid", {"scid": f"{value:#018x}"}, "relay", params)


def origin(address: str, node: int) -> Entry:
    """The address is one of the node's."""
    return Entry("origin", {"source": mapped(address)}, "from_node", {"node": node})


def connection(
    source: str,
    destination: str,
    *,
    node: int = world.PEER_NODE,
    spi: int = 0,
    si: int = 0,
    mtu: int = LONGEST,
) -> Entry:
    """Encapsulate what the local virtual address sends to the peer's."""
    params: dict[str, Value] = {
        "scid": f"{world.SCID:#018x}",
        "node": node,
        "spi": spi,
        "si": si,
        "mtu": mtu,
    }
    return Entry("connection", connection_key(source, destination), "encapsulate", params)


def connection_key(source: str, destination: str, tenant: int = TENANT) -> dict[str, Value]:
    """Key of the table ``connection``."""
    return {"tenant": tenant, "src": mapped(source), "dst": mapped(destination)}


def locator(
    node: int,
    first: tuple[Underlay, str],
    second: tuple[Underlay, str] | None = None,
    previous: tuple[str, ...] = (),
) -> Entry:
    """The node's two paths (a single one stands in both places) and up to two former addresses."""
    (port0, dst0), (port1, dst1) = first, second or first
    former = [mapped(address) for address in previous] + [NOWHERE, NOWHERE]
    params: dict[str, Value] = {
        "port0": port0.number,
        "dst0": mapped(dst0),
        "port1": port1.number,
        "dst1": mapped(dst1),
        "previous0": former[0],
        "previous1": former[1],
    }
    return Entry("locator", {"node": node}, "set_paths", params)


CONNECTION4 = connection(world.VIRTUAL4_LOCAL, world.VIRTUAL4_PEER)
CONNECTION6 = connection(world.VIRTUAL6_LOCAL, world.VIRTUAL6_PEER)
LOCATOR4 = locator(world.PEER_NODE, (UNDERLAY, UNDERLAY.neighbour.address4))
LOCATOR6 = locator(world.PEER_NODE, (UNDERLAY, UNDERLAY.neighbour.address6))
"""The peer's one path, by IPv4 or by IPv6."""
LOCATOR_BOTH = locator(
    world.PEER_NODE, (UNDERLAY, UNDERLAY.neighbour.address4), (UNDERLAY, UNDERLAY.neighbour.address6)
)
"""The peer's paths by IPv4 and IPv6."""
SCID = scid()

BASE: tuple[Entry, ...] = (
    underlay(UNDERLAY),
    underlay(SECOND),
    access(ACCESS),
    access(GATEWAY),
    terminate(UNDERLAY.address4),
    terminate(UNDERLAY.address6),
    terminate(SECOND.address4),
    terminate(SECOND.address6),
    uplink(UNDERLAY),
    uplink(SECOND),
    SCID,
    CONNECTION4,
    CONNECTION6,
    LOCATOR4,
)
"""What every vector starts from."""


def changed(*replaced: Entry, without: Iterable[Entry] = ()) -> tuple[Entry, ...]:
    """The base with some entries replaced (same table and key) or added, and some left out."""
    names = {_identity(entry) for entry in (*replaced, *without)}
    return (*(entry for entry in BASE if _identity(entry) not in names), *replaced)


def _identity(entry: Entry) -> tuple[str, tuple[tuple[str, Value], ...]]:
    return entry.table, tuple(sorted(entry.key.items()))


RECEIVING = changed(LOCATOR_BOTH)
"""The base, with a peer whose packets come over either family."""
