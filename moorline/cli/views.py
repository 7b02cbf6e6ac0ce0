# SPDX-License-Identifier: Apache-2.0
"""Messages of the API as rows: the field names of ``--output json``, which stay as they are.

Those of service graphs, and of whom and what they lead packets through, are in
:mod:`moorline.cli.graph_views`.
"""

from __future__ import annotations

from typing import Any

from moorline.api.v1 import moorline_pb2 as api
from moorline.cli.text import address_text, addresses_text, scid_text, time_text

CHANNEL_STATUS = {
    api.CHANNEL_STATUS_UNSPECIFIED: "unknown",
    api.CHANNEL_STATUS_UP: "up",
    api.CHANNEL_STATUS_DOWN: "down",
    api.CHANNEL_STATUS_LOCAL: "local",
}


def service_row(service: api.Service) -> dict[str, Any]:
    """A registered service."""
    return {
        "name": service.name,
        "node": service.node,
        "tenant": service.tenant,
        "ipv4": address_text(service.ipv4),
        "ipv6": address_text(service.ipv6),
        "port": service.port or None,
        "ttl_seconds": service.ttl_seconds or None,
        "expires": time_text(service.expires_ns),
        "registered": time_text(service.registered_ns),
    }


def lookup_row(answer: api.LookupResponse) -> dict[str, Any]:
    """The answer to a lookup; keys are never shown."""
    return {
        "scid": scid_text(answer.scid),
        "client": answer.client,
        "client_ipv4": address_text(answer.client_ipv4),
        "client_ipv6": address_text(answer.client_ipv6),
        "client_locators": addresses_text(answer.client_locators),
        "server": answer.server,
        "server_ipv4": address_text(answer.server_ipv4),
        "server_ipv6": address_text(answer.server_ipv6),
        "server_locators": addresses_text(answer.server_locators),
        "mtu": answer.parameters.mtu,
        "idle_timeout_seconds": answer.parameters.idle_timeout_seconds or None,
    }


def connection_row(connection: api.Connection) -> dict[str, Any]:
    """A service connection with both ends and what each sent."""
    return {
        "scid": scid_text(connection.scid),
        "status": CHANNEL_STATUS.get(connection.status, "unknown"),
        "tenant": connection.tenant,
        "client": _end_row(connection.client),
        "server": _end_row(connection.server),
        "mtu": connection.parameters.mtu,
        "idle_timeout_seconds": connection.parameters.idle_timeout_seconds or None,
        "created": time_text(connection.created_ns),
        "legs": [leg_row(leg) for leg in connection.legs],
        "former_scids": [scid_text(scid) for scid in connection.former_scids],
        "client_to_server": _usage_row(connection.client_to_server),
        "server_to_client": _usage_row(connection.server_to_client),
    }


def leg_row(leg: api.Leg) -> dict[str, Any]:
    """A step on the way of a connection, and its SCID."""
    return {"scid": scid_text(leg.scid), "client_side": leg.client_side, "server_side": leg.server_side}


def _end_row(end: api.ConnectionEnd) -> dict[str, Any]:
    return {
        "service": end.service,
        "node": end.node,
        "ipv4": address_text(end.ipv4),
        "ipv6": address_text(end.ipv6),
        "locators": addresses_text(end.locators),
    }


def _usage_row(usage: api.Usage) -> dict[str, int]:
    return {"packets": usage.packets, "bytes": usage.bytes, "bits_per_second": usage.bits_per_second}


def rule_row(rule: api.Rule) -> dict[str, Any]:
    """A rule of who may connect to whom."""
    return {"name": rule.name, "client": rule.client, "server": rule.server, "allow": rule.allow}


def node_row(node: api.Node) -> dict[str, Any]:
    """A node as the controller sees it."""
    return {
        "name": node.name,
        "id": node.id,
        "kind": "switch" if node.HasField("switch") else "host",
        "connected": node.connected,
        "converged": node.converged,
        "problem": node.problem or None,
        "unknown_scids": node.unknown_scids,
        "version": node.version,
        "generation": str(node.generation),  # more than 53 bits, which JSON readers may round
        "services": node.services,
        "connections": node.connections,
        "connection_capacity": node.connection_capacity,
        "relayed_connections": node.relayed_connections,
        "via": node.via or None,
        "border": node.border,
        "last_seen": time_text(node.last_seen_ns),
        "locators": [locator_row(locator) for locator in node.locators],
        "ports": [port_row(port) for port in node.ports],
    }


PIPELINE_STATE = {
    api.PIPELINE_STATE_UNSPECIFIED: None,
    api.PIPELINE_STATE_OURS: "ours",
    api.PIPELINE_STATE_OTHER_CONTRACT: "another P4Info",
    api.PIPELINE_STATE_OTHER_PROGRAM: "another program",
}


def switch_row(node: api.Node) -> dict[str, Any]:
    """A switch as the controller sees it."""
    return {
        "name": node.name,
        "id": node.id,
        "p4runtime": node.switch.p4runtime,
        "device_id": node.switch.device_id,
        "connected": node.connected,
        "converged": node.converged,
        "pipeline": PIPELINE_STATE.get(node.switch.pipeline, "unknown"),
        "problem": node.problem or None,
        "services": node.services,
        "connections": node.connections,
        "connection_capacity": node.connection_capacity,
        "locators": [locator_row(locator) for locator in node.locators],
        "ports": [switch_port_row(port) for port in node.switch.ports],
        "peers": [switch_peer_row(peer) for peer in node.switch.peers],
    }


def switch_port_row(port: api.SwitchPort) -> dict[str, Any]:
    """A port of a switch as its operator described it."""
    return {
        "number": port.number,
        "role": port.role,
        "addresses": list(port.addresses),
        "gateways": list(port.gateways),
        "mtu": port.mtu,
        "vlan": port.vlan,
        "mac": port.mac,
        "interface": port.interface or None,
        "tenant": port.tenant,
        "prefixes": list(port.prefixes),
        "tunnels": list(port.tunnels),
    }


def locator_row(locator: api.Locator) -> dict[str, Any]:
    """An underlay address of a node."""
    return {
        "address": address_text(locator.address),
        "port": locator.port,
        "interface": locator.interface,
        "mtu": locator.mtu,
    }


def port_row(port: api.Port) -> dict[str, Any]:
    """A port of a data plane."""
    return {
        "number": port.number,
        "interface": port.interface,
        "role": port.role,
        "hook": port.hook,
        "up": port.up,
        "mtu": port.mtu,
        "addresses": list(port.addresses),
        "prefixes": list(port.prefixes),
        "tenant": port.tenant,
        "tunnels": list(port.tunnels),
    }


def switch_peer_row(peer: api.SwitchPeer) -> dict[str, Any]:
    """A feature peer of a switch as its operator described it."""
    return {
        "name": peer.name,
        "kind": peer.kind,
        "ports": list(peer.ports),
        "macs": list(peer.macs),
        "header": peer.header,
        "by_mac": peer.by_mac,
        "addresses": list(peer.addresses),
        "rewrites": peer.rewrites,
        "spare": peer.spare,
        "local": peer.local or None,
        "remote": peer.remote or None,
    }


def port_event_row(event: api.PortEvent) -> dict[str, Any]:
    """What became of packets at a port."""
    return {
        "node": event.node,
        "port": event.port,
        "interface": event.interface,
        "event": event.event,
        "packets": event.packets,
        "bytes": event.bytes,
    }


def controller_row(status: api.ControllerStatus) -> dict[str, Any]:
    """The state of the controller."""
    return {
        "version": status.version,
        "started": time_text(status.started_ns),
        "store": status.store,
        "services": status.services,
        "connections": status.connections,
        "nodes": status.nodes,
        "nodes_connected": status.nodes_connected,
        "nodes_converged": status.nodes_converged,
    }


def agent_row(status: api.AgentStatus) -> dict[str, Any]:
    """The state of the agent on this machine."""
    return {
        "name": status.node,
        "id": status.node_id or None,
        "version": status.version,
        "started": time_text(status.started_ns),
        "controller": status.controller,
        "controller_connected": status.controller_connected,
        "pipeline_digest": status.pipeline_digest,
        "ports": [port_row(port) for port in status.ports],
        "locators": [locator_row(locator) for locator in status.locators],
        "endpoints": [
            {"service": e.service, "ipv4": address_text(e.ipv4), "ipv6": address_text(e.ipv6)}
            for e in status.endpoints
        ],
    }
