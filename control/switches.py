# SPDX-License-Identifier: Apache-2.0
"""Switches: nodes without an agent, of which an operator says where they are and what their ports are for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import structlog

from control.errors import AlreadyExistsError, InvalidRequestError, NotFoundError, PreconditionError
from control.gateways import gateway_port
from control.nodes import Nodes
from control.records import FeaturePeer, Node, Port, Service, SwitchFacts
from control.southbound.dataplanes import DataPlanes
from control.state import State
from moorline import ethernet
from moorline.config import parse
from moorline.names import NodeName
from moorline.switch import SwitchConfig, SwitchPeer

log = structlog.get_logger(__name__)

_TARGET: Final = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):([0-9]{1,5})\Z")
_SOCKET: Final = "unix:/"
_MAX_TCP_PORT: Final = 0xFFFF
_HOOK: Final = "p4"


class Switches:
    """The register of switches."""

    def __init__(self, state: State, nodes: Nodes, planes: DataPlanes) -> None:
        self._state = state
        self._nodes = nodes
        self._planes = planes
        self._capacity = planes.contract.tables["scid"].size

    async def put(self, text: str, target: str, device_id: int, file: Mapping[str, Any]) -> Node:
        """Add a switch, or change one to what is said here.

        Args:
            text: its name.
            target: ``host:port`` of its P4Runtime server, or ``unix:/path``.
            device_id: of the switch at this server.
            file: the content of a switch's file (:class:`moorline.switch.SwitchConfig`).

        Raises:
            InvalidNameError: the name is none.
            InvalidRequestError: the target is none.
            ConfigError: a port or a peer is not well described.
            AlreadyExistsError: the name is a host's, or the switch has another name already.
            PreconditionError: services stand on what would be taken away.
        """
        name = str(NodeName.parse(text))
        config = parse({**file}, SwitchConfig, f"of switch {name}")
        facts = SwitchFacts(_target(target), device_id, config)
        node = self._state.nodes.get(name)
        self._require_new(name, facts)
        if node is None:
            described = self._describe(facts)
            return await self._nodes.add_switch(
                name,
                generation=time.time_ns(),
                locators=facts.config.locators,
                last_seen_ns=time.time_ns(),
                **described,
            )
        if node.leaving or node.switch is None:
            raise AlreadyExistsError(f"{name} is a host, or is just being removed: choose another name")
        await self._change(node, facts)
        return node

    async def replace_pipeline(self, text: str) -> Node:
        """Give a switch our pipeline in place of the one that it has.

        Raises:
            NotFoundError: there is no such switch.
            NodeAwayError: it cannot be reached, somebody else is its primary, or it refuses.
        """
        node = self.switch(text)
        await self._planes.of(node).replace_pipeline()
        return node

    def switch(self, text: str) -> Node:
        """The switch of this name, else :class:`NotFoundError`."""
        node = self._state.node(NodeName.parse(text))
        if node.switch is None:
            raise NotFoundError(f"node {node.name} is a host, no switch: see 'moorline node show'")
        return node

    async def _change(self, node: Node, facts: SwitchFacts) -> None:
        assert node.switch is not None
        if facts == node.switch:
            return
        described = self._describe(facts)
        changed = replace(node, **described)
        for service in node.services.values():
            if not _still_behind(changed, service):
                raise PreconditionError(
                    f"service {service.name} would no longer be behind port {service.port} of switch "
                    f"{node.name}: unregister it first"
                )
        generation = max(time.time_ns(), node.generation + 1)
        await self._nodes.take(node, generation, facts.config.locators, **described)
        log.info("switch_changed", node=node.name)
        self._planes.redial(node)

    def _require_new(self, name: str, facts: SwitchFacts) -> None:
        """One switch programmed as two nodes would be emptied by each in turn."""
        for node in self._state.nodes.values():
            if node.switch is None or node.name == name:
                continue
            if (node.switch.target, node.switch.device_id) == (facts.target, facts.device_id):
                raise AlreadyExistsError(
                    f"device {facts.device_id} at {facts.target} is the switch {node.name} already: "
                    "remove that first"
                )

    def _describe(self, facts: SwitchFacts) -> dict[str, Any]:
        """What follows from the facts for the record of the node."""
        return {
            "switch": facts,
            "capacity": self._capacity,
            "ports": tuple(
                Port(
                    port.number,
                    port.interface,
                    port.role,
                    _HOOK,
                    True,
                    port.mtu,
                    tuple(map(str, port.addresses)),
                    tuple(map(str, port.prefixes)),
                    port.tenant,
                    tuple(port.tunnels),
                )
                for port in facts.config.ports
            ),
            "feature_peers": tuple(_peer(peer, facts.config) for peer in facts.config.peers),
        }


def _peer(peer: SwitchPeer, config: SwitchConfig) -> FeaturePeer:
    ports = [port for number in peer.ports if (port := config.port(number)) is not None]
    return FeaturePeer(
        peer.name,
        peer.kind,
        ports[0].tenant,
        peer.ports,
        tuple(map(ethernet.octets, peer.macs)),
        tuple(port.mac_octets for port in ports),
        peer.peer_header,
        peer.by_mac,
        peer.addresses,
        peer.rewrites,
        peer.spare,
        peer.local,
        peer.remote,
    )


def _still_behind(node: Node, service: Service) -> bool:
    try:
        addresses = [address for address in (service.ipv4, service.ipv6) if address]
        return gateway_port(node, addresses) == service.port
    except PreconditionError:
        return False


def _target(text: str) -> str:
    if text.startswith(_SOCKET) and not any(c.isspace() for c in text):
        return text
    match = _TARGET.match(text)
    if match is None or not 0 < int(match[2]) <= _MAX_TCP_PORT:
        raise InvalidRequestError(
            f"{text!r} is no address of a P4Runtime server: write one such as "
            "192.0.2.1:9559 or unix:/run/switch.sock"
        )
    return text
