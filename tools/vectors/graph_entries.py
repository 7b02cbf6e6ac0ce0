# SPDX-License-Identifier: Apache-2.0
"""Entries of service graphs in the small world: paths, feature peers, edge ports, user devices."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Final

from moorline.wire import PeerHeader, Tunnel

from .entries import LONGEST, NOWHERE, mapped
from .model import Entry, Value
from .world import PEERS, TENANT, Gateway, PeerPort

MAPPED_BITS: Final = 96
"""Bits of a mapped address before those of the IPv4 address."""

SPI: Final = 0x0A5901
START: Final = 255
"""SI at the start of a path."""
GROUP: Final = 7
INSTANCE: Final = 0x0102


def prefix(text: str) -> str:
    """A prefix as 128-bit fields hold it."""
    network = ip_network(text)
    length = network.prefixlen + (MAPPED_BITS if network.version == 4 else 0)
    return f"{mapped(str(network.network_address))}/{length}"


def within(text: str) -> str:
    """The same for a field with a mask."""
    value, _, length = prefix(text).partition("/")
    mask = (1 << 128) - (1 << 128 - int(length))
    return f"{value}&{mask:#034x}"


def edge(port: Gateway, tenant: int = TENANT, hops: int | None = None) -> Entry:
    """The port's role."""
    params: dict[str, Value] = {"tenant": tenant, "hops": port.hops if hops is None else hops}
    return Entry("port_role", {"ingress_port": port.number}, "edge", params)


def peer(
    port: PeerPort, header: PeerHeader = PeerHeader.NONE, *, by_mac: bool = False, tenant: int = TENANT
) -> Entry:
    """The port's role."""
    params: dict[str, Value] = {"tenant": tenant, "header": int(header), "by_mac": int(by_mac)}
    return Entry("port_role", {"ingress_port": port.number}, "peer", params)


def hop(action: str, spi: int = SPI, si: int = START, instance: int = 0, **params: Value) -> Entry:
    """What becomes of a packet at this place of a path."""
    return Entry("path_hop", {"spi": spi, "si": si, "instance": instance}, action, params)


def to_peer(
    spi: int = SPI,
    si: int = START,
    instance: int = 0,
    *,
    port: PeerPort = PEERS,
    header: PeerHeader = PeerHeader.NONE,
    label: int = 0,
    label2: int = 0,
    number: int | None = None,
    mac: str | None = None,
    local: str = NOWHERE,
    remote: str = NOWHERE,
) -> Entry:
    """To a feature peer at a port of this node; ``number`` overrides the port's."""
    params: dict[str, Value] = {
        "port": port.number if number is None else number,
        "header": int(header),
        "label": label,
        "label2": label2,
        "src_mac": mac_number(port.mac),
        "dst_mac": mac_number(mac or port.macs[0]),
        "local": mapped(local),
        "remote": mapped(remote),
    }
    return Entry("path_hop", {"spi": spi, "si": si, "instance": instance}, "to_peer", params)


def to_node(node: int, spi: int = SPI, si: int = START, instance: int = 0) -> Entry:
    """To another node."""
    return hop("to_node", spi, si, instance, node=node)


def to_group(group: int = GROUP, spi: int = SPI, si: int = START, *, by_destination: bool = False) -> Entry:
    """To one of a group of instances."""
    return hop("to_group", spi, si, group=group, by_destination=int(by_destination))


def affinity(customer: str, instance: int = INSTANCE, group: int = GROUP) -> Entry:
    """The customer's packets are for this instance."""
    return Entry("affinity", {"group": group, "customer": mapped(customer)}, "pin", {"instance": instance})


def member(bucket: int, instance: int = INSTANCE, group: int = GROUP) -> Entry:
    """Whose a bucket of the group is."""
    return Entry("member", {"slot": group << 8 | bucket}, "choose", {"instance": instance})


def resume(
    spi: int = SPI,
    si: int = START - 1,
    *,
    port: PeerPort = PEERS,
    header: PeerHeader = PeerHeader.NONE,
    label: int = 0,
    mac: str | None = None,
    check: int = 0,
) -> Entry:
    """Where a packet goes on that comes back from a peer."""
    params: dict[str, Value] = {"spi": spi, "si": si, "check": check}
    return Entry("resume", _returning(port, header, label, mac), "resume_path", params)


def resume_class(
    si: int = START - 1,
    *,
    port: PeerPort = PEERS,
    header: PeerHeader = PeerHeader.NONE,
    label: int = 0,
    mac: str | None = None,
    mtu: int = LONGEST,
) -> Entry:
    """The same, where the classifier knows the path, and the peer is at the same place of any."""
    params: dict[str, Value] = {"si": si, "mtu": mtu}
    return Entry("resume", _returning(port, header, label, mac), "resume_class", params)


def _returning(port: PeerPort, header: PeerHeader, label: int, mac: str | None) -> dict[str, Value]:
    src_mac = mac_number(mac) if mac else 0
    return {"ingress_port": port.number, "header": int(header), "label": label, "src_mac": src_mac}


def shortcut(
    source: str,
    destination: str,
    *,
    protocol: int = 17,
    ports: tuple[int, int] = (4000, 5000),
    spi: int = SPI,
    si: int = START,
    mtu: int = LONGEST,
    tenant: int = TENANT,
) -> Entry:
    """A flow that is led along a path, whatever the classifier says."""
    src_port, dst_port = ports
    key: dict[str, Value] = {
        "tenant": tenant,
        "src": mapped(source),
        "dst": mapped(destination),
        "protocol": protocol,
        "src_port": src_port,
        "dst_port": dst_port,
    }
    return Entry("shortcut", key, "jump", {"spi": spi, "si": si, "mtu": mtu})


def rule(priority: int, action: str = "set_path", /, **key: Value) -> Entry:
    """A rule of the classifier that leads along the path ``SPI``, or has another action."""
    params: dict[str, Value] = {"spi": SPI, "si": START, "mtu": LONGEST} if action == "set_path" else {}
    return Entry("classifier", key, action, params, priority)


def rule_to(priority: int, spi: int, si: int = START, mtu: int = LONGEST, /, **key: Value) -> Entry:
    """A rule of the classifier that leads along this path."""
    return Entry("classifier", key, "set_path", {"spi": spi, "si": si, "mtu": mtu}, priority)


def device(
    source: str,
    tunnel: Tunnel,
    key: int,
    address: str,
    *,
    length: int | None = None,
    tenant: int = TENANT,
) -> Entry:
    """A user device's tunnel: whose it is, and what it may speak for: an address, or a prefix."""
    bits = (MAPPED_BITS + length if ":" not in address else length) if length is not None else 128
    mask = (1 << 128) - (1 << 128 - bits)
    match: dict[str, Value] = {"source": mapped(source), "tunnel": int(tunnel), "key": key}
    params: dict[str, Value] = {"tenant": tenant, "address": mapped(address), "mask": f"{mask:#034x}"}
    return Entry("device", match, "admit", params)


def route(destination: str, action: str, tenant: int = TENANT, /, **params: Value) -> Entry:
    """Where packets to a prefix go that are on no service connection."""
    return Entry("route", {"tenant": tenant, "destination": prefix(destination)}, action, params)


def route_port(destination: str, port: int, vlan: int = 0) -> Entry:
    """Out by an edge port."""
    return route(destination, "route_port", port=port, vlan=vlan)


def route_tunnel(destination: str, port: int, tunnel: Tunnel, remote: str, key: int = 0) -> Entry:
    """Into a user device's tunnel."""
    return route(destination, "route_tunnel", port=port, tunnel=int(tunnel), remote=mapped(remote), key=key)


def mac_number(text: str) -> int:
    """A MAC address as a number."""
    return int(text.replace(":", ""), 16)
