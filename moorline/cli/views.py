# SPDX-License-Identifier: Apache-2.0
"""Messages of the API as rows: the field names of ``--output json``, which stay as they are."""

from __future__ import annotations

from typing import Any

from moorline.api.v1 import graphs_pb2 as graphs
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import peers_pb2 as peers
from moorline.api.v1 import subscribers_pb2 as subscribers
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


PEER_STATE = {
    peers.FEATURE_PEER_STATE_UP: "up",
    peers.FEATURE_PEER_STATE_DOWN: "down",
    peers.FEATURE_PEER_STATE_DRAINING: "draining",
}
PEER_HEADER = {
    peers.FEATURE_PEER_HEADER_NONE: "none",
    peers.FEATURE_PEER_HEADER_VLAN: "vlan",
    peers.FEATURE_PEER_HEADER_QINQ: "qinq",
    peers.FEATURE_PEER_HEADER_MPLS: "mpls",
    peers.FEATURE_PEER_HEADER_GRE: "gre",
    peers.FEATURE_PEER_HEADER_PBB: "pbb",
}


def peer_row(status: peers.FeaturePeerStatus) -> dict[str, Any]:
    """A feature peer as the controller sees it."""
    peer = status.peer
    return {
        "name": peer.name,
        "kind": peer.kind,
        "node": status.node,
        "state": PEER_STATE.get(status.state, "unknown"),
        "drained": status.drained,
        "problem": peer.problem or None,
        "spare": peer.spare,
        "tenant": peer.tenant,
        "ports": [peer_port_row(port) for port in peer.ports],
        "header": PEER_HEADER.get(peer.header, "unknown"),
        "by_mac": peer.by_mac,
        "addresses": addresses_text(peer.addresses),
        "rewrites": peer.rewrites,
        "local": address_text(peer.local),
        "remote": address_text(peer.remote),
    }


def peer_port_row(port: peers.FeaturePeerPort) -> dict[str, Any]:
    """A port of a feature peer."""
    return {
        "number": port.number,
        "interface": port.interface or None,
        "mac": port.mac.hex(":"),
        "port_mac": port.port_mac.hex(":"),
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


def graph_row(graph: graphs.Graph) -> dict[str, Any]:
    """A service graph with its paths."""
    return {
        "name": graph.name,
        "tenant": graph.tenant,
        "priority": graph.priority,
        "applies": list(graph.applies),
        "applied": time_text(graph.applied_ns),
        "former_versions": graph.former,
        "paths": [_graph_path_row(path) for path in graph.paths],
    }


def _graph_path_row(path: graphs.GraphPath) -> dict[str, Any]:
    return {
        "path": path.key,
        "spi": path.spi,
        "reverse": path.reverse,
        "mtu": path.mtu,
        "conditions": list(path.conditions),
        "packets": path.packets,
        "bytes": path.bytes,
        "shortcut_packets": path.shortcut_packets,
        "shortcut_bytes": path.shortcut_bytes,
        "hops": [_graph_hop_row(hop) for hop in path.hops],
    }


def _graph_hop_row(hop: graphs.GraphHop) -> dict[str, Any]:
    return {
        "kind": hop.kind,
        "fail": "open" if hop.fail_open else "closed",
        "index": hop.index,
        "instances": [
            {
                "name": instance.name,
                "node": instance.node,
                "state": PEER_STATE.get(instance.state, "unknown"),
                "spare": instance.spare,
                "buckets": instance.buckets or None,
                "pinned_customers": instance.pinned,
                "packets": instance.packets,
                "bytes": instance.bytes,
            }
            for instance in hop.instances
        ],
    }


def graph_change_row(change: graphs.GraphChange) -> dict[str, Any]:
    """What of a graph is, or would be, another; absent: it is new, or goes."""
    return {"what": change.what, "before": change.before or None, "after": change.after or None}


def trace_row(trace: graphs.Trace) -> dict[str, Any]:
    """Where a packet was seen that was sent along a path."""
    return {
        "path": trace.path,
        "source": address_text(trace.source),
        "destination": address_text(trace.destination),
        "reached": trace.reached,
        "problem": trace.problem or None,
        "steps": [
            {
                "node": step.node,
                "index": step.index,
                "kind": step.kind or None,
                "instance": step.instance or None,
                "microseconds": step.microseconds,
            }
            for step in trace.steps
        ],
    }


def shortcut_row(shortcut: graphs.Shortcut) -> dict[str, Any]:
    """A flow that passes peers by, and what it has carried."""
    flow = shortcut.flow
    return {
        "id": str(shortcut.id),
        "graph": shortcut.graph,
        "source": address_text(flow.source),
        "source_port": flow.source_port or None,
        "destination": address_text(flow.destination),
        "destination_port": flow.destination_port or None,
        "protocol": flow.protocol,
        "until": shortcut.until or None,
        "idle_seconds": shortcut.idle_seconds,
        "created": time_text(shortcut.created_ns),
        "requester": shortcut.requester,
        "peer": shortcut.peer or None,
        "packets": shortcut.packets,
        "bytes": shortcut.bytes,
        "packets_back": shortcut.packets_back,
        "bytes_back": shortcut.bytes_back,
    }


def customer_row(customer: subscribers.Customer) -> dict[str, Any]:
    """A customer with its devices."""
    return {
        "name": customer.name,
        "tenant": customer.tenant,
        "profiles": list(customer.profiles),
        "devices": [_device_row(device) for device in customer.devices],
        "sessions": customer.sessions,
        "bytes_from": customer.bytes_from,
        "bytes_to": customer.bytes_to,
    }


def _device_row(device: subscribers.CustomerDevice) -> dict[str, Any]:
    tunnel, session = device.tunnel, device.session
    return {
        "name": device.name,
        "prefixes": list(device.prefixes),
        "node": device.node or None,
        "port": device.port or None,
        "tunnel": {"kind": tunnel.kind, "remote": tunnel.remote, "key": tunnel.key}
        if device.HasField("tunnel")
        else None,
        "profiles": list(device.profiles),
        "location": device.location or None,
        "session": {
            "id": session.id,
            "server": session.server,
            "started": time_text(session.started_ns),
            "heard": time_text(session.heard_ns),
            "bytes_from": session.bytes_from,
            "bytes_to": session.bytes_to,
            "packets_from": session.packets_from,
            "packets_to": session.packets_to,
        }
        if device.HasField("session")
        else None,
    }


def radius_row(counter: subscribers.RadiusCounter) -> dict[str, Any]:
    """What became of packets of a RADIUS client."""
    return {"client": counter.client or None, "outcome": counter.outcome, "packets": counter.packets}


def endpoint_row(endpoint: subscribers.TunnelEndpoint) -> dict[str, Any]:
    """A place where a device's tunnel may end."""
    return {
        "node": endpoint.node,
        "address": address_text(endpoint.address),
        "tunnel": endpoint.tunnel,
        "price": endpoint.price,
        "cost": endpoint.cost,
        "devices": endpoint.devices,
    }
