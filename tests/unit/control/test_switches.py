# SPDX-License-Identifier: Apache-2.0
"""A switch under the controller: a P4Runtime server without an agent."""

from __future__ import annotations

import copy
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4i, p4r

from control.records import Node
from control.rejects import MAX_PER_NODE
from control.southbound.client import P4RuntimeClient
from control.southbound.contract import Contract
from control.southbound.lane import BATCH, QUEUE_LIMIT
from moorline.addresses import mapped
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site
from tests.unit.control.switch_site import GATEWAY, UNDERLAY, V6, SwitchSite, shown


async def test_a_switch_gets_pipeline_and_the_rows_of_its_ports(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        added = await site.add_switch()
        assert [port.role for port in added.ports] == ["underlay", "gateway"]
        await site.programmed()
        (pushed,) = plane.pushed
        assert pushed.p4_device_config == site.config.p4json.read_bytes()
        assert pushed.cookie.cookie
        assert shown(plane, "port_role") == {(1,): {}, (2,): {"tenant": 0, "hops": 1}}
        v4 = int.from_bytes(bytes([10, 0, 1, 2]))
        v6 = int.from_bytes(V6)
        assert shown(plane, "uplink") == {(1,): {"src4": v4, "src6": v6, "vlan": 7, "mtu": 1500}}
        mapped4, behind = (int.from_bytes(mapped(bytes(at))) for at in ([10, 0, 1, 2], [198, 19, 200, 1]))
        macs = {number: 0x026D6C000000 + number for number in (1, 2)}
        assert shown(plane, "own_address") == {
            (1, 7, mapped4): {"mac": macs[1], "router": 0},
            (1, 7, v6): {"mac": macs[1], "router": 0},
            (2, 0, behind): {"mac": macs[2], "router": 1},
        }
        opened = {(int.from_bytes(mapped(bytes([10, 0, 1, 2]))), 1), (v6, 1)}
        assert set(shown(plane, "terminate")) == opened
        node = await site.node()
        assert node.connected
        assert node.converged
        assert node.switch.pipeline == pb.PIPELINE_STATE_OURS
        assert node.switch.ports[0].mac == "02:6d:6c:00:00:01"
        assert node.connection_capacity == 65536
        status = await site.admin.GetControllerStatus(pb.GetControllerStatusRequest())
        assert (status.nodes, status.nodes_connected, status.nodes_converged) == (1, 1, 1)


async def test_a_restarted_switch_gets_everything_again_and_a_restarted_controller_writes_nothing(
    tmp_path: Path,
) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        await site.add_switch()
        await site.programmed()
        before = copy.deepcopy(plane.tables)
        await plane.stop()
        await site.until(lambda: not site.plane("sw").connected)
        plane.empty()
        await plane.start_plain(site.address)
        await site.programmed()
        assert len(plane.pushed) == 2
        assert plane.tables == before
        await site.stop()
        plane.writes.clear()
        await site.start()
        await site.programmed()
        assert len(plane.pushed) == 2
        assert not any(plane.writes)


@pytest.mark.parametrize(("contract", "expected"), [(True, "another P4Info"), (False, "another program")])
async def test_a_strangers_pipeline_is_left_alone_until_the_operator_says_so(
    tmp_path: Path, contract: bool, expected: str
) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        plane.p4info = copy.deepcopy(Contract.load(site.config.p4info).p4info)
        plane.cookie = 77
        if contract:
            plane.p4info.tables[0].match_fields[0].bitwidth += 1
        await site.add_switch()
        await site.until(lambda: expected in site.plane("sw").problem)
        node = await site.node()
        assert node.connected
        assert not node.converged
        assert "moorline switch replace-pipeline sw" in node.problem
        assert not plane.writes
        assert not plane.pushed
        await site.admin.ReplacePipeline(pb.ReplacePipelineRequest(name="sw"))
        await site.programmed()
        assert len(plane.pushed) == 1
        assert set(shown(plane, "port_role")) == {(1,), (2,)}
        assert not (await site.node()).problem


async def test_a_pipeline_is_not_replaced_out_of_reach(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        await site.add_switch()
        await site.programmed()
        await plane.stop()
        await site.until(lambda: not site.plane("sw").connected)
        with refused(grpc.StatusCode.UNAVAILABLE, "node sw cannot be programmed now"):
            await site.admin.ReplacePipeline(pb.ReplacePipelineRequest(name="sw"))


async def test_a_switch_changes_to_what_its_operator_says(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path, grace_seconds=0.2) as site:
        plane = await site.start_switch(tmp_path)
        before = await site.add_switch()
        await site.programmed()
        moved = pb.SwitchPort(number=3, role="underlay", addresses=["10.0.2.2/24"], mtu=9000)
        after = await site.add_switch(moved)
        assert after.id == before.id
        assert after.generation > before.generation
        # Packets in flight to the former addresses are still opened for a while.
        await plane.until(lambda: set(shown(plane, "port_role")) == {(3,)})
        await plane.until(lambda: len(plane.tables["terminate"]) == 1)
        assert shown(plane, "uplink")[(3,)]["mtu"] == 9000


async def test_what_was_said_of_a_former_place_is_forgotten(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        plane.p4info = Contract.load(site.config.p4info).p4info
        plane.cookie = 77
        await site.add_switch()
        await site.until(lambda: "another program" in site.plane("sw").problem)
        moved = await site.add_switch(p4runtime=f"unix:{tmp_path}/nobody.sock")
        assert not moved.problem
        assert moved.switch.pipeline == pb.PIPELINE_STATE_UNSPECIFIED
        await site.until(lambda: "nobody.sock fails" in site.plane("sw").problem)
        plane.empty()
        assert not (await site.add_switch()).problem
        await site.programmed()


async def test_a_pipeline_that_was_not_taken_is_none(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        plane.p4info = p4i.P4Info()  # as BMv2 says when it did not take one
        await site.add_switch()
        await site.programmed()
        assert len(plane.pushed) == 1


async def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        before = await site.add_switch()
        await site.programmed()
        plane.writes.clear()
        assert (await site.add_switch()).generation == before.generation
        assert site.plane("sw").converged
        assert not plane.writes


async def test_a_removed_switch_is_forgotten(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        await site.start_switch(tmp_path)
        await site.add_switch()
        await site.programmed()
        gone = site.controller.state.nodes["sw"]
        await site.admin.RemoveNode(pb.RemoveNodeRequest(name="sw"))
        # A lookup for a packet from there may end only now.
        site.controller.rejects.add(gone, 0, bytes([198, 19, 200, 5]), bytes([198, 19, 200, 6]))
        with refused(grpc.StatusCode.NOT_FOUND, "sw"):
            await site.node()
        await site.stop()
        await site.start()
        assert not site.controller.state.nodes


async def test_what_a_switch_cannot_be(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        await site.start_switch(tmp_path)
        await site.add_node("one")
        with refused(grpc.StatusCode.ALREADY_EXISTS, "one is a host"):
            await site.add_switch(name="one")
        with refused(grpc.StatusCode.NOT_FOUND, "node one is a host"):
            await site.admin.ReplacePipeline(pb.ReplacePipelineRequest(name="one"))
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "'nowhere' is no address"):
            await site.add_switch(p4runtime="nowhere")
        with refused(
            grpc.StatusCode.INVALID_ARGUMENT, r"configuration of switch sw: key ports\[0\].number = 600"
        ):
            await site.add_switch(pb.SwitchPort(number=600, role="underlay", addresses=["10.0.1.2/24"]))
        await site.add_switch()
        with refused(grpc.StatusCode.ALREADY_EXISTS, "is the switch sw already"):
            await site.add_switch(name="other")
        with refused(grpc.StatusCode.ALREADY_EXISTS, "sw is a switch"):
            await site.token("sw")


def test_a_node_from_before_there_were_switches_still_loads() -> None:
    node = Node("old", 3, generation=4)
    value = node.encode().replace(b',"switch":null', b"")
    assert b"switch" not in value
    assert Node.decode(node.key, value).switch is None


async def test_what_stands_behind_a_switch_is_not_pulled_from_under_it(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        await site.start_switch(tmp_path)
        await site.add_switch()
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "switch sw runs no programs"):
            await site.register("printer.demo", "sw")
        await site.naming.RegisterService(
            pb.RegisterServiceRequest(name="printer.demo", node="sw", addresses=[bytes([198, 19, 200, 5])])
        )
        elsewhere = pb.SwitchPort(number=2, role="gateway", addresses=["198.19.201.1/24"])
        renumbered = pb.SwitchPort(number=3, role="gateway", addresses=["198.19.200.1/24"])
        for ports in ([UNDERLAY], [UNDERLAY, elsewhere], [UNDERLAY, renumbered]):
            with refused(
                grpc.StatusCode.FAILED_PRECONDITION, "service printer.demo would no longer be behind port 2"
            ):
                await site.add_switch(*ports)
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "still hosts 1 services"):
            await site.admin.RemoveNode(pb.RemoveNodeRequest(name="sw"))
        await site.add_switch(
            UNDERLAY, GATEWAY, pb.SwitchPort(number=3, role="gateway", addresses=["198.19.9.1/24"])
        )


# ---- a switch that misbehaves ------------------------------------------------------------------------------


def unknown_pair(number: int) -> bytes:
    """A frame from one of no service's addresses to another."""
    source, destination = bytes([10, 77, 200, 5]), bytes([198, 19, *divmod(number, 256)])
    return bytes(12) + b"\x08\x00" + bytes([0x45]) + bytes(11) + source + destination


async def test_a_slow_switch_gets_everything_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        await site.add_switch()
        await site.programmed()
        await site.pair()
        plane.gate.clear()  # every write hangs from now on
        frames = [unknown_pair(number) for number in range(QUEUE_LIMIT + 500)]
        for frame in frames:
            await plane.packet_in(2, frame)
        node = site.controller.state.nodes["sw"]
        await site.until(lambda: site.plane("sw").busy)
        # What is refused is not queued any longer, and others are served.
        await site.until(lambda: not site.controller.planes.listener._held._pairs)
        assert len(site.controller.rejects._rows[node.id]) <= QUEUE_LIMIT + BATCH
        assert (await site.lookup("laptop.demo", "files.demo")).scid
        plane.gate.set()
        await site.until(lambda: not site.plane("sw").busy)
        assert max(map(len, plane.writes)) <= BATCH


async def test_a_flood_of_unknown_pairs_is_bounded_told_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.floods.WINDOW", 0.5)
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        await site.add_switch()
        await site.programmed()
        before = {name: copy.deepcopy(plane.tables[name]) for name in ("port_role", "uplink", "terminate")}
        most = 0
        for number in range(MAX_PER_NODE + 1000):
            await plane.packet_in(2, unknown_pair(number))
            most = max(most, len(plane.tables["connection"]))
        await site.until(lambda: "packets a second of" in site.flood())
        shown_now = await site.node()
        assert "packets a second of" in shown_now.problem
        assert shown_now.converged
        assert most <= MAX_PER_NODE + BATCH
        assert {name: plane.tables[name] for name in before} == before
        await site.until(lambda: not site.flood())


async def test_a_stream_cut_in_the_middle_of_a_batch_leaves_nothing_out(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        plane.cut_after = 2  # the first two updates of the first batch are applied, then the line is dead
        await site.add_switch()
        await site.until(lambda: plane.cut_after is None)
        await site.programmed()
        assert set(shown(plane, "port_role")) == {(1,), (2,)}
        assert len(plane.tables["terminate"]) == 2
        assert set(shown(plane, "uplink")) == {(1,)}


async def test_another_primary_is_told_and_left_alone_until_it_goes(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        await site.add_switch()
        await site.programmed()
        rival = P4RuntimeClient("sw", site.address, None, [])
        async with rival:
            await rival.bid((1 << 64) + 1)
            await site.until(lambda: "another controller is primary at node sw" in site.plane("sw").problem)
            assert not (await site.node()).connected
            # It may do what it wants there: take out what is ours, put in what is not.
            request = rival.request()
            for entry in plane.tables["port_role"].values():
                request.updates.add(type=p4r.Update.DELETE).entity.table_entry.CopyFrom(entry)
            assert not await rival.write(request)
            plane.writes.clear()
        await site.programmed()
        assert set(shown(plane, "port_role")) == {(1,), (2,)}
        assert not (await site.node()).problem


async def test_two_controllers_do_not_take_a_switch_from_one_another_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.southbound.dataplane.DIAL_TIMEOUT", 0.1)
    (tmp_path / "other").mkdir()
    async with SwitchSite(tmp_path) as site, Site(tmp_path / "other") as other:
        plane = await site.start_switch(tmp_path)
        await site.add_switch()
        await site.programmed()
        await other.admin.AddSwitch(
            pb.AddSwitchRequest(name="sw", p4runtime=site.address, device_id=1, ports=[UNDERLAY])
        )
        await site.until(lambda: "another controller is primary" in site.plane("sw").problem)
        await other.until(lambda: other.plane("sw").converged)
        elected = plane.primary
        plane.bids.clear()
        await site.until(lambda: len(plane.bids) >= 3)
        assert plane.primary == elected
        assert set(shown(plane, "port_role")) == {(1,)}
        await other.stop()
        await site.programmed()
        assert set(shown(plane, "port_role")) == {(1,), (2,)}
