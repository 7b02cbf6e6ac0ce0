# SPDX-License-Identifier: Apache-2.0
"""``moorline.v1.Subscribers``."""

from __future__ import annotations

import asyncio

from control.api.access import require_operator
from control.subscribers import messages
from control.subscribers.directory import Subscribers
from control.subscribers.endpoints import Endpoints
from control.subscribers.model import read_customers
from control.subscribers.radius import RadiusServer
from moorline.api.v1 import subscribers_pb2 as pb
from moorline.tls import Identity


class SubscribersServicer:
    """See the proto file for what each method does."""

    def __init__(self, subscribers: Subscribers, endpoints: Endpoints, radius: RadiusServer) -> None:
        self._subscribers = subscribers
        self._endpoints = endpoints
        self._radius = radius

    async def ApplyCustomers(  # noqa: N802, D102
        self, request: pb.ApplyCustomersRequest, caller: Identity
    ) -> pb.ApplyCustomersResponse:
        require_operator(caller)
        # A large file takes a while, in which agents are not to be left alone.
        specs = await asyncio.to_thread(read_customers, request.text, request.source)
        await self._subscribers.apply(specs)
        return pb.ApplyCustomersResponse(customers=[self._message(spec.name) for spec in specs])

    async def ListCustomers(  # noqa: N802, D102
        self, _request: pb.ListCustomersRequest, caller: Identity
    ) -> pb.ListCustomersResponse:
        require_operator(caller)
        return pb.ListCustomersResponse(customers=map(self._message, self._subscribers.names()))

    async def GetCustomer(self, request: pb.GetCustomerRequest, caller: Identity) -> pb.Customer:  # noqa: N802, D102
        require_operator(caller)
        self._subscribers.require(request.name)
        return self._message(request.name)

    async def DeleteCustomer(  # noqa: N802, D102
        self, request: pb.DeleteCustomerRequest, caller: Identity
    ) -> pb.DeleteCustomerResponse:
        require_operator(caller)
        await self._subscribers.remove(request.name)
        return pb.DeleteCustomerResponse()

    async def ListRadiusCounters(  # noqa: N802, D102
        self, _request: pb.ListRadiusCountersRequest, caller: Identity
    ) -> pb.ListRadiusCountersResponse:
        require_operator(caller)
        counters = (
            pb.RadiusCounter(client=client, outcome=outcome, packets=packets)
            for (client, outcome), packets in sorted(self._radius.counts.items())
        )
        return pb.ListRadiusCountersResponse(counters=counters)

    async def FindEndpoints(  # noqa: N802, D102
        self, request: pb.FindEndpointsRequest, caller: Identity
    ) -> pb.FindEndpointsResponse:
        require_operator(caller)
        found = self._endpoints.find(request.address, request.tunnel)
        return pb.FindEndpointsResponse(
            location=found.location,
            endpoints=[
                pb.TunnelEndpoint(
                    node=one.node,
                    address=one.address,
                    tunnel=request.tunnel,
                    price=one.price,
                    cost=one.cost,
                    devices=one.devices,
                )
                for one in found.endpoints
            ],
        )

    def _message(self, name: str) -> pb.Customer:
        return messages.customer(self._subscribers, name)
