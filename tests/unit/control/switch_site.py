# SPDX-License-Identifier: Apache-2.0
"""A site with a switch: a P4Runtime server without an agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from control.southbound.contract import Contract
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.fake_node import FakeDataPlane
from tests.unit.control.site import Site

UNDERLAY = pb.SwitchPort(
    number=1, role="underlay", addresses=["10.0.1.2/24", "2001:db8::2/64"], gateways=["10.0.1.1"], vlan=7
)
GATEWAY = pb.SwitchPort(number=2, role="gateway", addresses=["198.19.200.1/24"], interface="lan0")
V6 = bytes.fromhex("20010db8" + "0" * 22 + "02")


class SwitchSite(Site):
    """A site with a fake switch that starts empty, at a socket."""

    async def start_switch(self, folder: Path) -> FakeDataPlane:
        self.switch = FakeDataPlane(Contract.load(self.config.p4info).p4info)
        self.switch.empty()
        self.address = f"unix:{folder}/switch.sock"
        await self.switch.start_plain(self.address)
        return self.switch

    async def add_switch(self, *ports: pb.SwitchPort, **fields: Any) -> pb.Node:
        request = pb.AddSwitchRequest(
            **{"name": "sw", "p4runtime": self.address, "device_id": 1, "ports": ports or [UNDERLAY, GATEWAY]}
            | fields
        )
        node: pb.Node = await self.admin.AddSwitch(request)
        return node

    async def node(self) -> pb.Node:
        node: pb.Node = await self.admin.GetNode(pb.GetNodeRequest(name="sw"))
        return node

    def flood(self) -> str:
        state: str = self.controller.floods.state_of(self.controller.state.nodes["sw"])
        return state

    async def programmed(self) -> None:
        await self.until(lambda: self.plane("sw").converged)

    async def __aexit__(self, *error: Any) -> None:
        await self.switch.stop()
        await super().__aexit__(*error)


def shown(plane: FakeDataPlane, table: str) -> dict[tuple[int, ...], dict[str, int]]:
    """Rows with their parameters, all as numbers."""
    return {
        tuple(int.from_bytes(part) for part in key): {
            name: int.from_bytes(value) for name, value in plane.params(entry).items()
        }
        for key, entry in plane.tables[table].items()
    }
