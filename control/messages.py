# SPDX-License-Identifier: Apache-2.0
"""Records as messages of ``moorline.v1``, and back."""

from __future__ import annotations

import time
from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address
from typing import Any, Final

from control.connection_records import Connection
from control.errors import InvalidRequestError
from control.records import Node, Port, Rule, Service, SwitchFacts
from control.southbound.dataplane import DataPlane
from control.southbound.program import PipelineState
from control.usage import Flow
from moorline.api.v1 import moorline_pb2 as pb
from moorline.paths import Locator

MAX_PORT: Final = 511
"""The contract's ports have 9 bits; 0 is none."""

_MAX_LOCATORS: Final = 16
_BROADCAST: Final = IPv4Address("255.255.255.255")


def service(record: Service) -> pb.Service:
    """A service for its reader."""
    return pb.Service(
        name=record.name,
        node=record.node.name,
        tenant=record.tenant,
        ipv4=record.ipv4,
        ipv6=record.ipv6,
        ttl_seconds=record.ttl_seconds,
        expires_ns=record.expires_ns,
        registered_ns=record.registered_ns,
        port=record.port,
    )


def rule(record: Rule) -> pb.Rule:
    """A rule for its reader."""
    return pb.Rule(name=record.name, client=record.client, server=record.server, allow=record.allow)


def connection_end(record: Service, *, with_locators: bool) -> pb.ConnectionEnd:
    """One end of a connection."""
    return pb.ConnectionEnd(
        service=record.name,
        node=record.node.name,
        ipv4=record.ipv4,
        ipv6=record.ipv6,
        locators=[at.address for at in record.node.locators] if with_locators else (),
    )


def parameters(record: Connection) -> pb.ConnectionParameters:
    """What both ends of a connection were told."""
    return pb.ConnectionParameters(mtu=record.mtu, idle_timeout_seconds=record.idle_timeout_seconds)


def connection(record: Connection, flows: tuple[Flow, Flow]) -> pb.Connection:
    """A connection for its reader; ``flows`` are what client and server sent."""
    return pb.Connection(
        scid=record.scid,
        tenant=record.tenant,
        client=connection_end(record.client, with_locators=True),
        server=connection_end(record.server, with_locators=True),
        status=int(record.status),  # type: ignore[arg-type]
        parameters=parameters(record),
        created_ns=record.created_ns,
        client_to_server=_usage(flows[0]),
        server_to_client=_usage(flows[1]),
        legs=[
            pb.Leg(scid=scid, client_side=one.name, server_side=other.name)
            for one, other, scid in record.path.legs
        ],
        former_scids=sorted({scid for path in record.former for scid in path.scids}),
    )


def translation(record: Connection, node: Node, former_scid: int) -> pb.Translation:
    """The row of the translation table at ``node``. Locators come with the peer, for they change with it."""
    local, peer = record.ends_at(node)
    return pb.Translation(
        scid=record.path.scid_at(node),
        peer_node_id=peer.node.id,
        local=connection_end(local, with_locators=False),
        peer=connection_end(peer, with_locators=False),
        status=int(record.status),  # type: ignore[arg-type]
        former_scid=former_scid,
    )


_PIPELINE: Final = {
    PipelineState.UNKNOWN: pb.PIPELINE_STATE_UNSPECIFIED,
    PipelineState.OURS: pb.PIPELINE_STATE_OURS,
    PipelineState.OTHER_CONTRACT: pb.PIPELINE_STATE_OTHER_CONTRACT,
    PipelineState.OTHER_PROGRAM: pb.PIPELINE_STATE_OTHER_PROGRAM,
}


def node(record: Node, plane: DataPlane, *, attached: bool, problem: str) -> pb.Node:
    """A node for its reader; ``attached`` says whether its agent has a session, ``problem`` what is wrong."""
    return pb.Node(
        name=record.name,
        id=record.id,
        connected=plane.connected if record.switch else attached,
        converged=plane.converged,
        locators=locators(record.locators),
        generation=record.generation,
        version=record.version,
        services=len(record.services),
        connections=len(record.connections),
        connection_capacity=record.capacity,
        ports=[
            pb.Port(
                number=port.number,
                interface=port.interface,
                role=port.role,
                hook=port.hook,
                up=port.up,
                mtu=port.mtu,
                addresses=port.addresses,
                prefixes=port.prefixes,
                tenant=port.tenant,
                tunnels=port.tunnels,
            )
            for port in record.ports
        ],
        last_seen_ns=time.time_ns() if record.switch and plane.connected else record.last_seen_ns,
        problem=problem,
        unknown_scids=plane.unknown_scids,
        switch=_switch(record.switch, plane.pipeline) if record.switch else None,
        via=record.via,
        border=record.border,
        relayed_connections=len(record.relayed),
    )


def _switch(facts: SwitchFacts, pipeline: PipelineState) -> pb.Switch:
    return pb.Switch(
        p4runtime=facts.target,
        device_id=facts.device_id,
        ports=[pb.SwitchPort(**port.model_dump(mode="json")) for port in facts.config.ports],
        pipeline=_PIPELINE[pipeline],
        peers=[
            pb.SwitchPeer(**peer.model_dump(mode="json", exclude_none=True)) for peer in facts.config.peers
        ],
    )


def read_switch_file(messages: Iterable[pb.SwitchPort | pb.SwitchPeer]) -> list[dict[str, Any]]:
    """Ports or peers of a switch as its file has them; what a caller left out has its default there."""
    return [
        {field.name: [*value] if field.is_repeated else value for field, value in message.ListFields()}
        for message in messages
    ]


def peer_changed(record: Node, key: bytes, *, relayed: bool) -> pb.PeerChanged:
    """Where a peer is, for a neighbour that shares ``key`` with it."""
    return pb.PeerChanged(
        node_id=record.id,
        node=record.name,
        generation=record.generation,
        locators=locators(record.locators),
        key=key,
        relayed=relayed,
    )


def locators(records: Iterable[Locator]) -> list[pb.Locator]:
    """Locators for their reader."""
    return [
        pb.Locator(address=at.address, port=at.port, interface=at.interface, mtu=at.mtu) for at in records
    ]


def read_locators(messages: Iterable[pb.Locator]) -> tuple[Locator, ...]:
    """Locators that a node reported; raises :class:`InvalidRequestError` when one could lead nowhere."""
    found = tuple(Locator(m.address, m.port, m.interface, m.mtu) for m in messages)
    if len(found) > _MAX_LOCATORS:
        raise InvalidRequestError(f"{len(found)} locators are reported: report {_MAX_LOCATORS} at most")
    for at in found:
        _check_port(at.port, at.interface)
        if len(at.address) not in (4, 16):
            raise InvalidRequestError(
                f"locator on {at.interface!r} has {len(at.address)} octets: report 4 (IPv4) or 16 (IPv6)"
            )
        address = ip_address(at.address)
        if address.is_unspecified or address.is_multicast or address == _BROADCAST:
            raise InvalidRequestError(
                f"locator {address} on {at.interface!r} is no host's: report unicast ones"
            )
    return found


def read_ports(messages: Iterable[pb.Port]) -> tuple[Port, ...]:
    """Ports that a node reported; raises :class:`InvalidRequestError`."""
    found = tuple(
        Port(
            m.number,
            m.interface,
            m.role,
            m.hook,
            m.up,
            m.mtu,
            tuple(m.addresses),
            tuple(m.prefixes),
            m.tenant,
            tuple(m.tunnels),
        )
        for m in messages
    )
    for port in found:
        _check_port(port.number, port.interface)
        try:
            _ = port.interfaces, port.networks
        except ValueError as error:
            raise InvalidRequestError(
                f"port {port.interface!r} reports {error}: report addresses such as 10.77.200.1/24"
            ) from error
    if len({port.number for port in found}) < len(found):
        raise InvalidRequestError("ports are reported twice with the same number: report each once")
    return found


def _check_port(number: int, interface: str) -> None:
    if not 0 < number <= MAX_PORT:
        raise InvalidRequestError(f"port of {interface!r} has number {number}: report 1 to {MAX_PORT}")


def _usage(flow: Flow) -> pb.Usage:
    return pb.Usage(packets=flow.packets, bytes=flow.octets, bits_per_second=flow.bits_per_second)
