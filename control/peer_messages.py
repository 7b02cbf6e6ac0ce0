# SPDX-License-Identifier: Apache-2.0
"""Feature peers as messages of ``moorline.v1``, and back."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from control.errors import InvalidRequestError
from control.peers import PeerInstance, PeerState
from control.records import FeaturePeer, Node
from moorline.api.v1 import peers_pb2 as pb
from moorline.feature_peers import MAX_ADDRESSES, MAX_PORTS, instance_name
from moorline.wire import PORT_BITS, PeerHeader

_MAX_PEERS: Final = 1 << PORT_BITS

_STATE: Final = {
    PeerState.UP: pb.FEATURE_PEER_STATE_UP,
    PeerState.DOWN: pb.FEATURE_PEER_STATE_DOWN,
    PeerState.DRAINING: pb.FEATURE_PEER_STATE_DRAINING,
}


def read_peers(node: Node, messages: Iterable[pb.FeaturePeer]) -> tuple[FeaturePeer, ...]:
    """Feature peers that a node reported; raises :class:`InvalidRequestError`."""
    try:
        found = tuple(map(_read, messages))
    except ValueError as error:
        raise InvalidRequestError(f"node {node.name} reports a feature peer that is none: {error}") from error
    if len(found) > _MAX_PEERS or len({peer.name for peer in found}) < len(found):
        raise InvalidRequestError(f"node {node.name} reports a feature peer twice, or more than {_MAX_PEERS}")
    return found


def _read(message: pb.FeaturePeer) -> FeaturePeer:
    ports = message.ports
    if not 1 <= len(ports) <= MAX_PORTS or len(message.addresses) > MAX_ADDRESSES:
        raise ValueError(f"it has {len(ports)} ports and {len(message.addresses)} addresses")
    for port in ports:
        if not 0 < port.number < 1 << PORT_BITS or len(port.mac) != 6 or len(port.port_mac) != 6:
            raise ValueError(f"port {port.number} of {message.name!r} has no number or no link-layer address")
    return FeaturePeer(
        instance_name(message.name),
        instance_name(message.kind),
        message.tenant,
        tuple(port.number for port in ports),
        tuple(port.mac for port in ports),
        tuple(port.port_mac for port in ports),
        PeerHeader(message.header),
        message.by_mac,
        tuple(map(ip_address, message.addresses)),
        message.rewrites,
        message.spare,
        ip_address(message.local) if message.local else None,
        ip_address(message.remote) if message.remote else None,
        message.up,
        message.problem,
    )


def status(peer: PeerInstance, node: Node, *, drained: bool) -> pb.FeaturePeerStatus:
    """A feature peer for its reader."""
    interfaces = {port.number: port.interface for port in node.ports}
    return pb.FeaturePeerStatus(
        peer=pb.FeaturePeer(
            name=peer.name,
            kind=peer.kind,
            tenant=peer.tenant,
            ports=[
                pb.FeaturePeerPort(
                    number=number, interface=interfaces.get(number, ""), mac=mac, port_mac=port_mac
                )
                for number, mac, port_mac in zip(peer.ports, peer.macs, peer.port_macs, strict=True)
            ],
            header=int(peer.header),  # type: ignore[arg-type]
            by_mac=peer.by_mac,
            addresses=[address.packed for address in peer.addresses],
            rewrites=peer.rewrites,
            spare=peer.spare,
            local=_packed(peer.local),
            remote=_packed(peer.remote),
            up=peer.state is not PeerState.DOWN,
            problem=peer.problem,
        ),
        node=peer.node,
        state=_STATE[peer.state],
        drained=drained,
    )


def _packed(address: IPv4Address | IPv6Address | None) -> bytes:
    return b"" if address is None else address.packed
