# SPDX-License-Identifier: Apache-2.0
"""A customer's device in its tunnel: let in while a network access server says that its session lasts."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface

import pytest

from tools.lab import HostPlan, Lab
from tools.lab.devices import Device
from tools.lab.edges import edge_address
from tools.lab.on_link import GATEWAY
from tools.lab.waiting import wait_until

SECRET = "a secret of both"
VNI = 42
OWN = IPv4Interface("10.20.0.7/24")
CUSTOMERS = """
customers:
  - name: alice
    devices:
      - name: phone
        node: gate
        tunnel: {{kind: vxlan, remote: {remote}, key: {key}}}
"""
SESSION = f"""User-Name = "alice"
Acct-Session-Id = "1"
NAS-Identifier = "bras7"
Calling-Station-Id = "phone"
Framed-IP-Address = {OWN.ip}
"""
PORT = 1813
ZONE = "tunnels.example"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    secret = tmp_path_factory.mktemp("radius") / "secret"
    secret.write_text(SECRET)
    radius = {"port": PORT, "client": [{"address": "127.0.0.1", "secret_file": secret}]}
    settings = {"radius": radius, "endpoints": {"name": ZONE}}
    with Lab((HostPlan("gate", edges=("net",)),), settings=settings, devices=("phone",)) as lab:
        underlay = {"name": "up0", "role": "underlay", "tunnels": ["vxlan"]}
        lab["gate"].set(port=[underlay, lab.edges["net"].port])
        lab.start()
        # A host on the link of an edge port is known once it has spoken.
        lab.edges["net"].place.run("ping", "-c1", "-W1", str(edge_address(4, 1, GATEWAY).ip), check=False)
        yield lab


@pytest.fixture(scope="module")
def phone(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Device:
    """Its tunnel is open, and the file names it; nobody has said yet which address it has."""
    device = lab.devices["phone"]
    endpoint = str(lab["gate"].uplink.addresses[4].ip)
    device.tunnel(endpoint, VNI, OWN, str(lab.edges["net"].addresses[4].network))
    file = tmp_path_factory.mktemp("customers") / "customers.yaml"
    file.write_text(CUSTOMERS.format(remote=device.outer, key=VNI))
    lab.controller.moorline("customer", "apply", str(file))
    return device


def tell(lab: Lab, status: str) -> None:
    """As a network access server does."""
    request = lab.folder / "request"
    request.write_text(f"{SESSION}Acct-Status-Type = {status}\n")
    words = ("-r", "1", "-t", "3", "-f", str(request), f"127.0.0.1:{PORT}", "acct", SECRET)
    lab.controller.place.run("radclient", *words)


def reaches(lab: Lab, device: Device, *options: str) -> bool:
    words = ("-c1", "-W1", *options, lab.edges["net"].ipv4)
    return device.place.run("ping", *words, check=False).returncode == 0


def dropped(lab: Lab, event: str) -> int:
    return lab.controller.events("gate").get(("up0", event), 0)


def test_a_device_is_let_in_while_its_session_lasts(lab: Lab, phone: Device) -> None:
    before = dropped(lab, "drop_device_unknown")
    assert not reaches(lab, phone)
    assert dropped(lab, "drop_device_unknown") > before
    tell(lab, "Start")
    wait_until(lambda: reaches(lab, phone), "the device was let in")
    phone.place.add_address("site0", IPv4Interface("10.20.0.8/32"))
    before = dropped(lab, "drop_device_address")
    assert not reaches(lab, phone, "-I", "10.20.0.8")
    assert dropped(lab, "drop_device_address") > before
    (row,) = lab.controller.ask("customer", "list")
    assert row["devices"][0]["prefixes"] == [f"{OWN.ip}/32"]
    tell(lab, "Stop")
    wait_until(lambda: not reaches(lab, phone), "the device was let in no longer")


def test_a_device_is_told_its_endpoint(lab: Lab, phone: Device) -> None:
    endpoint = str(lab["gate"].uplink.addresses[4].ip)
    found = lab.controller.ask("customer", "endpoint", phone.outer)
    assert [(one["node"], one["address"]) for one in found["endpoints"]] == [("gate", endpoint)]


def test_a_killed_controller_keeps_its_customers(lab: Lab, phone: Device) -> None:
    tell(lab, "Start")
    wait_until(lambda: reaches(lab, phone), "the device was let in")
    lab.controller.kill()
    assert reaches(lab, phone)
    lab.controller.start()
    lab.controller.wait_converged("gate")
    assert reaches(lab, phone)
    (row,) = lab.controller.ask("customer", "list")
    assert row["devices"][0]["session"]["id"] == "1"


def test_what_the_command_shows(lab: Lab, phone: Device) -> None:
    tell(lab, "Start")
    shown = lab.controller.moorline("customer", "show", "alice").stdout
    for word in ("phone", str(OWN.ip), "gate", f"vxlan {phone.outer} key {VNI}", "bras7"):
        assert word in shown
    assert "alice" in lab.controller.moorline("customer", "list").stdout
    assert "vxlan" in lab.controller.moorline("customer", "endpoint", phone.outer).stdout
    rows = lab.controller.ask("customer", "radius")
    assert {(row["client"], row["outcome"]) for row in rows} >= {("127.0.0.1", "start")}
    lab.controller.moorline("customer", "remove", "alice")
    (device,) = lab.controller.ask("customer", "show", "alice")["devices"]
    assert (device["tunnel"], device["session"]["id"]) == (None, "1")
    assert not reaches(lab, phone)
