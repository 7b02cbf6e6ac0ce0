# SPDX-License-Identifier: Apache-2.0
"""The file of a switch: read whole, and refused with the place and a sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from moorline.config import ConfigError, load, parse
from moorline.feature_peers import PortSharing
from moorline.paths import Locator
from moorline.switch import SwitchConfig
from moorline.wire import PeerHeader

FILE = """
[[ports]]
number = 1
role = "underlay"
addresses = ["10.0.1.2/24", "2001:db8::2/64"]
gateways = ["10.0.1.1"]
interface = "eth1"

[[ports]]
number = 2
role = "gateway"
addresses = ["10.77.200.1/24"]
mac = "02-00-00-00-00-0A"
mtu = 9000
"""


def read(text: str) -> SwitchConfig:
    return parse(tomllib.loads(text), SwitchConfig, "switch.toml")


def test_a_file_says_ports_and_with_them_locators(tmp_path: Path) -> None:
    path = tmp_path / "switch.toml"
    path.write_text(FILE)
    config = load(path, SwitchConfig)
    assert config == read(FILE)
    one, two = config.ports
    assert (one.mac, two.mac) == ("02:6d:6c:00:00:01", "02:00:00:00:00:0a")
    assert two.mac_octets == bytes([2, 0, 0, 0, 0, 10])
    assert (one.mtu, one.vlan, two.mtu) == (1500, 0, 9000)
    assert config.locators == (
        Locator(bytes([10, 0, 1, 2]), 1, "eth1", 1500),
        Locator(bytes.fromhex("20010db8" + "0" * 22 + "02"), 1, "eth1", 1500),
    )


def test_what_is_stored_reads_back() -> None:
    config = read(FILE)
    assert SwitchConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("was", "put", "expected"),
    [
        ("number = 2", "number = 1", "port number 1 is given twice"),
        ("number = 2", "number = 509", "ports[1].number = 509"),
        ("number = 2", 'number = "two"', "ports[1].number = 'two'"),
        ("number = 2\n", "", "ports[1].number is missing"),
        ("gateways", "gateway", "unknown key ports[0].gateway: did you mean gateways?"),
        ('"gateway"', '"relay"', "ports[1].role = 'relay'"),
        ("10.0.1.2/24", "10.0.1.2", "such as 192.0.2.1/24"),
        ("10.0.1.2/24", "10.0.1.2/33", "such as 192.0.2.1/24"),
        ("10.0.1.2/24", "10.0.1.0/24", "the whole network"),
        ("10.0.1.2/24", "10.0.1.255/24", "broadcast"),
        ("10.0.1.2/24", "224.0.0.1/24", "unicast"),
        ('["10.77.200.1/24"]', "[]", "port 2 has no addresses: give its own"),
        ("10.77.200.1/24", "10.0.1.2/24", "address 10.0.1.2 is given twice"),
        ('1/24"]\nmac', '1/24", "10.77.200.9/25"]\nmac', "10.77.200.0/24 and 10.77.200.0/25 overlap"),
        ('["10.0.1.1"]', '["10.0.2.1"]', "gateway 10.0.2.1 is not on the link of port 1"),
        ('["10.0.1.1"]', '["10.0.1.1", "10.0.1.3"]', "two gateways of one family"),
        ('["10.0.1.1"]', '["router"]', "write an address, such as 192.0.2.1"),
        ("mtu = 9000", "mtu = 70", "ports[1].mtu = 70"),
        ("mtu = 9000", "vlan = 7", "belong to underlay ports"),
        ("02-00-00-00-00-0A", "01:00:00:00:00:0a", "link-layer address of one station"),
        ("02-00-00-00-00-0A", "02:6d:6c:00:00:01", "mac 02:6d:6c:00:00:01 is given twice"),
        ('"eth1"', '"eth 1"', "ports[0].interface"),
        ('"eth1"', '"ethernet-to-gate"', "has 1 to 15 octets"),
        ('"eth1"', '"eth1@gate"', "name one without @"),
    ],
)
def test_what_is_wrong_is_named(was: str, put: str, expected: str) -> None:
    assert was in FILE
    with pytest.raises(ConfigError) as refusal:
        read(FILE.replace(was, put, 1))
    assert str(refusal.value).startswith("configuration switch.toml: ")
    assert expected in str(refusal.value)


@pytest.mark.parametrize("text", ["", "ports = 3", "ports = []", "[ports]\nnumber = 1"])
def test_a_file_without_ports_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="ports"):
        read(text)


# ---- edge ports and feature peers --------------------------------------------------------------------------

CHAIN = """
[[ports]]
number = 1
role = "underlay"
addresses = ["10.0.1.2/24"]
tunnels = ["vxlan", "gre"]

[[ports]]
number = 3
role = "edge"
addresses = ["192.0.2.1/24"]
gateways = ["192.0.2.254"]
prefixes = ["0.0.0.0/0"]
tenant = 7

[[ports]]
number = 4
role = "peer"
tenant = 7

[[ports]]
number = 5
role = "peer"
tenant = 7

[[peers]]
name = "firewall-1"
kind = "firewall"
ports = [4, 5]
macs = ["02:00:00:00:00:04", "02-00-00-00-00-05"]
header = "vlan"

[[peers]]
name = "firewall-2"
kind = "firewall"
ports = [4, 5]
macs = ["02:00:00:00:01:04", "02:00:00:00:01:05"]
header = "vlan"
"""


def test_edge_ports_and_peers() -> None:
    config = read(CHAIN)
    assert [str(prefix) for prefix in config.ports[1].prefixes] == ["0.0.0.0/0"]
    assert config.peers[0].macs == ("02:00:00:00:00:04", "02:00:00:00:00:05")
    assert config.peer_ports == {n: PortSharing(PeerHeader.VLAN, by_mac=False) for n in (4, 5)}


@pytest.mark.parametrize(
    ("was", "put", "expected"),
    [
        ('tunnels = ["vxlan", "gre"]', 'prefixes = ["::/0"]', "prefixes belong to edge ports"),
        ('prefixes = ["0.0.0.0/0"]', 'tunnels = ["gre"]', "tunnels belong to underlay ports"),
        ('"0.0.0.0/0"', '"10.0.0.1/8"', "a prefix without bits of hosts"),
        ('tunnels = ["vxlan", "gre"]', "tenant = 7", "an underlay port has no tenant"),
        ('"gre"]', '"l2tp"]', "ports[0].tunnels[1]"),
        ('role = "peer"', 'role = "peer"\naddresses = ["192.0.2.9/24"]', "a peer port has no addresses"),
        ('addresses = ["192.0.2.1/24"]', "", "section ports[1] is wrong"),
        ("ports = [4, 5]", "ports = [4, 6]", "peer firewall-1 is at port 6: give that the role peer"),
        ("ports = [4, 5]", "ports = [3, 4]", "peer firewall-1 is at port 3: give that the role peer"),
        ("ports = [4, 5]", "ports = [4, 4]", "give one, or two different ones"),
        ("tenant = 7\n\n[[peers]]", "tenant = 8\n\n[[peers]]", "ports of two tenants"),
        ('header = "vlan"', 'header = "none"', "several headers"),
        ('macs = ["02:00:00:00:00:04", "02-', 'macs = ["02-', "has 2 ports and 1 macs"),
        ('"firewall-2"', '"firewall-1"', "peer firewall-1 is given twice"),
        ('"firewall-2"', '"Firewall"', "peers[1].name"),
        ('header = "vlan"', 'header = "vlan"\nlocal = "10.0.0.1"', "belong to the header gre"),
    ],
)
def test_what_is_wrong_with_peers_is_named(was: str, put: str, expected: str) -> None:
    assert was in CHAIN
    with pytest.raises(ConfigError, match=r"^configuration switch.toml: ") as refusal:
        read(CHAIN.replace(was, put, 1))
    assert expected in str(refusal.value)


def test_peers_without_a_header_that_share_a_port_are_told_apart_by_their_macs() -> None:
    plain = CHAIN.replace('header = "vlan"', "")
    with pytest.raises(ConfigError, match="neither header nor by_mac tells them apart"):
        read(plain)
    assert read(plain.replace("macs =", "by_mac = true\nmacs =")).peer_ports[4].by_mac


def test_a_port_for_peers_needs_one() -> None:
    with pytest.raises(ConfigError, match=r"port 6 has the role peer, but no peer"):
        read(CHAIN + '\n[[ports]]\nnumber = 6\nrole = "peer"\n')
