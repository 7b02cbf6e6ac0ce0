# SPDX-License-Identifier: Apache-2.0
"""``moorline.v1.Nodes``, ``moorline.v1.Joining`` and ``moorline.v1.NodeSession``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import moorline
from control import messages
from control.api.access import require_operator
from control.errors import DeniedError, InvalidRequestError
from control.floods import Floods
from control.joining import Joining
from control.nodes import Nodes
from control.peers import Peers
from control.port_events import PortEvents
from control.records import Node
from control.sessions import Session, Sessions
from control.southbound.dataplanes import DataPlanes
from control.state import State
from control.switches import Switches
from moorline.api.v1 import moorline_pb2 as pb
from moorline.names import NodeName
from moorline.tls import Identity, Kind


class NodesServicer:
    """See the proto file for what each method does."""

    def __init__(
        self,
        state: State,
        nodes: Nodes,
        switches: Switches,
        sessions: Sessions,
        planes: DataPlanes,
        joining: Joining,
        port_events: PortEvents,
        floods: Floods,
        store: str,
    ) -> None:
        self._state = state
        self._nodes = nodes
        self._switches = switches
        self._sessions = sessions
        self._planes = planes
        self._joining = joining
        self._port_events = port_events
        self._floods = floods
        self._store = store
        self._started_ns = time.time_ns()

    async def ListNodes(self, _request: pb.ListNodesRequest, _caller: Identity) -> pb.ListNodesResponse:  # noqa: N802, D102
        nodes = [node for _, node in sorted(self._state.nodes.items())]
        return pb.ListNodesResponse(nodes=map(self._message, nodes))

    async def GetNode(self, request: pb.GetNodeRequest, _caller: Identity) -> pb.Node:  # noqa: N802, D102
        return self._message(self._sought(request.name))

    async def SetNode(self, request: pb.SetNodeRequest, caller: Identity) -> pb.Node:  # noqa: N802, D102
        require_operator(caller)
        node = self._sought(request.name)
        await self._nodes.configure(
            node,
            via=request.via if request.HasField("via") else None,
            border=request.border if request.HasField("border") else None,
        )
        return self._message(node)

    async def RemoveNode(self, request: pb.RemoveNodeRequest, caller: Identity) -> pb.RemoveNodeResponse:  # noqa: N802, D102
        require_operator(caller)
        await self._nodes.remove(self._sought(request.name))
        return pb.RemoveNodeResponse()

    async def CreateJoinToken(self, request: pb.CreateJoinTokenRequest, caller: Identity) -> pb.JoinToken:  # noqa: N802, D102
        require_operator(caller)
        node, token, expires_ns = await self._joining.create_token(request.node, request.ttl_seconds)
        return pb.JoinToken(node=node, token=token, expires_ns=expires_ns)

    async def ListPortEvents(  # noqa: N802, D102
        self, request: pb.ListPortEventsRequest, caller: Identity
    ) -> pb.ListPortEventsResponse:
        require_operator(caller)
        if request.node:
            nodes = [self._sought(request.node)]
        else:
            nodes = [node for _, node in sorted(self._state.nodes.items()) if self._planes.of(node).ready]
        events = await asyncio.gather(*(self._port_events.read(node) for node in nodes))
        return pb.ListPortEventsResponse(events=[event for of_node in events for event in of_node])

    async def GetControllerStatus(  # noqa: N802, D102
        self, _request: pb.GetControllerStatusRequest, _caller: Identity
    ) -> pb.ControllerStatus:
        nodes = list(self._state.nodes.values())
        switches = [node for node in nodes if node.switch is not None]
        return pb.ControllerStatus(
            version=moorline.__version__,
            started_ns=self._started_ns,
            store=self._store,
            services=len(self._state.services),
            connections=len(self._state.connections),
            nodes=len(nodes),
            nodes_connected=len(self._sessions) + sum(self._planes.of(node).connected for node in switches),
            nodes_converged=sum(self._planes.of(node).converged for node in nodes),
        )

    async def AddSwitch(self, request: pb.AddSwitchRequest, caller: Identity) -> pb.Node:  # noqa: N802, D102
        require_operator(caller)
        file = {name: messages.read_switch_file(getattr(request, name)) for name in ("ports", "peers")}
        node = await self._switches.put(request.name, request.p4runtime, request.device_id, file)
        return self._message(node)

    async def ReplacePipeline(self, request: pb.ReplacePipelineRequest, caller: Identity) -> pb.Node:  # noqa: N802, D102
        require_operator(caller)
        return self._message(await self._switches.replace_pipeline(request.name))

    def _sought(self, name: str) -> Node:
        return self._state.node(NodeName.parse(name))

    def _message(self, node: Node) -> pb.Node:
        plane = self._planes.of(node)
        problem = plane.problem or self._floods.state_of(node)
        return messages.node(node, plane, attached=node in self._sessions, problem=problem)


class JoiningServicer:
    """Admission; its callers have no certificate yet, only a token."""

    def __init__(self, joining: Joining) -> None:
        self._joining = joining

    async def Join(self, request: pb.JoinRequest, _caller: None) -> pb.JoinResponse:  # noqa: N802, D102
        certificate, authority = await self._joining.join(
            request.node, request.token_secret, request.certificate_request
        )
        return pb.JoinResponse(certificate=certificate, authority=authority)


class NodeSessionServicer:
    """The stream between an agent and the controller."""

    def __init__(self, state: State, nodes: Nodes, sessions: Sessions, peers: Peers) -> None:
        self._state = state
        self._nodes = nodes
        self._sessions = sessions
        self._peers = peers

    async def Attach(  # noqa: N802, D102
        self, reports: AsyncIterator[pb.NodeReport], caller: Identity
    ) -> AsyncIterator[pb.NodeUpdate]:
        if caller.kind is not Kind.NODE:
            raise DeniedError("only a node has a session: join with a token first")
        node = self._state.node(caller.name)
        first = await anext(aiter(reports), None)
        if first is None or first.WhichOneof("report") != "hello":
            raise InvalidRequestError(f"session of node {node.name} does not begin with a hello: send one")
        await self._nodes.hello(node, first.hello)
        session = self._sessions.attach(node)
        self._peers.attached(node)
        tasks = [
            asyncio.create_task(self._tell_all(node, session)),
            asyncio.create_task(self._listen(node, session, reports)),
        ]
        try:
            async for update in session.updates():
                yield update
        finally:
            for task in tasks:
                task.cancel()
            if self._sessions.detach(node, session):
                self._peers.detached(node)

    async def _tell_all(self, node: Node, session: Session) -> None:
        try:
            await self._sessions.tell_all(node, session)
        except Exception as error:
            session.end(error)

    async def _listen(self, node: Node, session: Session, reports: AsyncIterator[pb.NodeReport]) -> None:
        try:
            async for report in reports:
                match report.WhichOneof("report"):
                    case "locators":
                        await self._nodes.locators_changed(node, report.locators)
                    case "ports":
                        await self._nodes.ports_changed(node, report.ports)
                    case "feature_peers":
                        await self._nodes.feature_peers_changed(node, report.feature_peers)
                    case "hello":
                        raise InvalidRequestError(f"node {node.name} says hello twice: report changes only")
            session.end(None)
        except Exception as error:
            session.end(error)
