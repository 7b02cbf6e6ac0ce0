# SPDX-License-Identifier: Apache-2.0
"""Moorline's programs killed, upgraded or away stop no traffic; what changes meanwhile converges."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from moorline.api.v1 import moorline_pb2 as api
from tests.lab.traffic import go_on, iperf3_loses_nothing, nothing_lost
from tools.lab import Lab
from tools.lab.flow import PacedFlow
from tools.lab.programs import Host, Service
from tools.lab.tcp import connect, listen
from tools.lab.waiting import wait_until

PAIR = ("server", "laptop")
PROGRAMS = (("up0", "ingress"), ("ml0p", "ingress"), ("ml0", "egress"))

pytestmark = pytest.mark.usefixtures("laptop")


def start_agents(lab: Lab, *names: str) -> None:
    for name in names:
        lab[name].launch()
    for name in names:
        lab[name].wait_serving()
        lab.controller.wait_converged(name)


def restart_controller(lab: Lab) -> None:
    lab.controller.start()
    for name in lab.hosts:
        lab.controller.wait_converged(name)


def shown(lab: Lab, host: Host) -> bool:
    """Whether the controller shows the addresses that a host has."""
    locators = lab.controller.ask("node", "show", host.name)["locators"]
    return {found["address"] for found in locators} == {str(a.ip) for a in host.uplink.addresses.values()}


def programs(host: Host) -> dict[str, set[int]]:
    """Numbers of the programs on the interfaces."""
    found = {}
    for interface, direction in PROGRAMS:
        shown = host.place.run("tc", "-json", "filter", "show", "dev", interface, direction).stdout
        filters = json.loads(shown)
        found[interface] = {f["options"]["prog"]["id"] for f in filters if "prog" in f.get("options", {})}
    return found


def test_agents_killed_under_traffic_and_started_again(lab: Lab, files: Service):
    with nothing_lost(lab, files) as flow, iperf3_loses_nothing(lab, files):
        for name in PAIR:
            lab[name].kill()
        go_on(flow)
        start_agents(lab, *PAIR)


def test_the_controller_killed_under_traffic_and_started_again(lab: Lab, files: Service):
    with nothing_lost(lab, files) as flow, iperf3_loses_nothing(lab, files):
        lab.controller.kill()
        go_on(flow)
        restart_controller(lab)


def test_the_program_of_an_earlier_version_is_replaced_under_traffic(lab: Lab, files: Service):
    host = lab["server"]
    before = programs(host)
    assert all(before.values())
    with nothing_lost(lab, files), iperf3_loses_nothing(lab, files):
        host.kill()
        # As an earlier version left it: what stands was made from other sources.
        manifest = host.folder / "state" / "pipeline.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"digest": "earlier"}))
        start_agents(lab, host.name)
    after = programs(host)
    assert all(after.values())
    assert not any(before[interface] & after[interface] for interface in before)


def test_what_changes_while_the_controller_is_away(
    lab: Lab,
    files: Service,
    laptop: Service,
    fresh_pair: tuple[Service, Service],
    register: Callable[[str, str], Service],
):
    client, server = fresh_pair
    hosts = [lab[name] for name in PAIR]
    with (
        PacedFlow(laptop.host.place, files.host.place, files.ipv4) as flow,
        listen(server.host.place, server.ipv4, 8100),
        ThreadPoolExecutor(1) as aside,
    ):
        go_on(flow)
        lab.controller.kill()
        for host in hosts:
            host.uplink.move(elsewhere=True, family=4)
            go_on(flow)
        asking = aside.submit(connect, client.host.place, server.ipv4, 8100, client.ipv4, 60.0)
        restart_controller(lab)
        for host in hosts:
            wait_until(lambda h=host: shown(lab, h), f"the address of {host.name} was shown")
        asking.result().close()
        go_on(flow)
    late = register("server", "late.test")
    with listen(late.host.place, late.ipv4, 8101), connect(client.host.place, late.ipv4, 8101) as near:
        # The first service is the same as before: its address is that of who binds none.
        assert near.getsockname()[0] == laptop.ipv4


def test_default_deny(lab: Lab, fresh_pair: tuple[Service, Service]):
    client, server = fresh_pair
    rule = api.Rule(name="let-in", client=client.name, server=server.name, allow=True)
    lab.controller.stop()
    lab.controller.set(default_rule="deny")
    restart_controller(lab)
    try:
        with listen(server.host.place, server.ipv4, 8103):
            with pytest.raises(OSError, match=r"."):
                connect(client.host.place, server.ipv4, 8103, client.ipv4, timeout=1.5)
            assert lab.controller.connection(client.name, server.name) is None
            lab.controller.rules.PutRule(rule, timeout=10)
            connect(client.host.place, server.ipv4, 8103, client.ipv4).close()
    finally:
        lab.controller.stop()
        lab.controller.set()
        restart_controller(lab)
        lab.controller.rules.DeleteRule(api.DeleteRuleRequest(name=rule.name), timeout=10)


def test_what_changes_while_an_agent_is_away(lab: Lab, files: Service):
    host = lab["laptop"]
    host.kill()
    host.uplink.move(elsewhere=True, family=4)
    lab["server"].uplink.move(elsewhere=True, family=4)
    lab.controller.naming.RegisterService(
        api.RegisterServiceRequest(name="meanwhile.test", node=host.name), timeout=10
    )
    start_agents(lab, host.name)
    wait_until(lambda: host.has_endpoint("meanwhile.test"), "the host had the address of the new service")
    wait_until(lambda: shown(lab, host), "the new address was shown")
    source = host.service(lab.controller, "meanwhile.test").ipv4
    with listen(files.host.place, files.ipv4, 8102), connect(host.place, files.ipv4, 8102, source):
        pass
