# SPDX-License-Identifier: Apache-2.0
"""Messages of the API on graphs, feature peers and customers as rows; the rest: :mod:`moorline.cli.views`."""

from __future__ import annotations

from typing import Any

from moorline.api.v1 import graphs_pb2 as graphs
from moorline.api.v1 import peers_pb2 as peers
from moorline.api.v1 import subscribers_pb2 as subscribers
from moorline.cli.text import address_text, addresses_text, time_text

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
