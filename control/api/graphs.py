# SPDX-License-Identifier: Apache-2.0
"""``moorline.v1.Graphs``."""

from __future__ import annotations

from collections.abc import AsyncIterator

from control.api.access import is_operator, require_operator
from control.errors import DeniedError
from control.graphs import messages
from control.graphs.compile import plans_of
from control.graphs.counters import Counters
from control.graphs.drains import Drains
from control.graphs.graphs import Graphs
from control.graphs.model import GraphSpec, read_graph
from control.graphs.records import Graph
from control.graphs.shortcuts import Shortcuts
from control.graphs.trace import Tracer
from moorline.api.v1 import graphs_pb2 as pb
from moorline.tls import Identity


class GraphsServicer:
    """See the proto file for what each method does."""

    def __init__(
        self, graphs: Graphs, shortcuts: Shortcuts, drains: Drains, tracer: Tracer, counters: Counters
    ) -> None:
        self._graphs = graphs
        self._shortcuts = shortcuts
        self._drains = drains
        self._tracer = tracer
        self._counters = counters

    async def ApplyGraph(self, request: pb.ApplyGraphRequest, caller: Identity) -> pb.ApplyGraphResponse:  # noqa: N802, D102
        require_operator(caller)
        spec = read_graph(request.text, request.source)
        changes = self._changes(spec)
        graph = await self._graphs.apply(spec)
        return pb.ApplyGraphResponse(graph=self._message(graph), changes=changes)

    async def DiffGraph(self, request: pb.ApplyGraphRequest, caller: Identity) -> pb.DiffGraphResponse:  # noqa: N802, D102
        require_operator(caller)
        spec = read_graph(request.text, request.source)
        await self._graphs.check(spec)
        return pb.DiffGraphResponse(changes=self._changes(spec))

    async def ListGraphs(self, _request: pb.ListGraphsRequest, _caller: Identity) -> pb.ListGraphsResponse:  # noqa: N802, D102
        await self._counters.refresh()
        return pb.ListGraphsResponse(graphs=map(self._message, self._graphs.all()))

    async def GetGraph(self, request: pb.GetGraphRequest, _caller: Identity) -> pb.Graph:  # noqa: N802, D102
        graph = self._graphs.graph(request.name)
        await self._counters.refresh()
        return self._message(graph)

    async def DeleteGraph(self, request: pb.DeleteGraphRequest, caller: Identity) -> pb.DeleteGraphResponse:  # noqa: N802, D102
        require_operator(caller)
        await self._graphs.delete(request.name)
        self._counters.forget(request.name)
        return pb.DeleteGraphResponse()

    async def TraceGraph(self, request: pb.TraceGraphRequest, caller: Identity) -> pb.TraceGraphResponse:  # noqa: N802, D102
        require_operator(caller)
        found = await self._tracer.trace(request.name, request.path, request.customer, request.server)
        return pb.TraceGraphResponse(traces=map(messages.trace, found))

    async def RequestShortcut(self, request: pb.RequestShortcutRequest, caller: Identity) -> pb.Shortcut:  # noqa: N802, D102
        if not is_operator(caller) and not self._graphs.leads_over(request.graph, caller.name):
            raise DeniedError(
                f"node {caller.name} has no peer on graph {request.graph}: ask there, or as an operator"
            )
        one = await self._shortcuts.request(
            request.graph,
            messages.read_flow(request.flow),
            request.until,
            request.idle_seconds,
            caller.name,
            request.peer,
        )
        return messages.shortcut(one)

    async def ListShortcuts(  # noqa: N802, D102
        self, request: pb.ListShortcutsRequest, caller: Identity
    ) -> pb.ListShortcutsResponse:
        found = await self._shortcuts.read(request.graph)
        seen = (one for one in found if is_operator(caller) or one.requester == caller.name)
        return pb.ListShortcutsResponse(shortcuts=map(messages.shortcut, seen))

    async def WatchShortcuts(  # noqa: N802, D102
        self, request: pb.WatchShortcutsRequest, caller: Identity
    ) -> AsyncIterator[pb.ShortcutEvent]:
        if not request.own:
            require_operator(caller)
        async for kind, one in self._shortcuts.watch():
            if not request.own or one.requester == caller.name:
                yield messages.event(kind, one)

    def _changes(self, spec: GraphSpec) -> list[pb.GraphChange]:
        before = next((one.active for one in self._graphs.all() if one.name == spec.name), None)
        return [*messages.changes(before, spec, plans_of(spec))]

    def _message(self, graph: Graph) -> pb.Graph:
        return messages.graph(self._graphs.layout, graph, self._counters, self._drains)
