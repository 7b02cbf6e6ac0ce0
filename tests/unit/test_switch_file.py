# SPDX-License-Identifier: Apache-2.0
"""The file of a switch: read whole, and refused with the place and a sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from moorline.config import ConfigError, load, parse
from moorline.paths import Locator
from moorline.switch import SwitchConfig

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
        ('["10.77.200.1/24"]', "[]", "ports[1].addresses"),
        ("10.77.200.1/24", "10.0.1.2/24", "address 10.0.1.2 is given twice"),
        ('1/24"]\nmac', '1/24", "10.77.200.9/25"]\nmac', "10.77.200.0/24 and 10.77.200.0/25 overlap"),
        ('["10.0.1.1"]', '["10.0.2.1"]', "gateway 10.0.2.1 is not on the link of port 1"),
        ('["10.0.1.1"]', '["10.0.1.1", "10.0.1.3"]', "two gateways of one family"),
        ('["10.0.1.1"]', '["router"]', "such as 192.0.2.254"),
        ("mtu = 9000", "mtu = 70", "ports[1].mtu = 70"),
        ("mtu = 9000", "vlan = 7", "belong to underlay ports"),
        ("02-00-00-00-00-0A", "01:00:00:00:00:0a", "link-layer address of one station"),
        ("02-00-00-00-00-0A", "02:6d:6c:00:00:01", "mac 02:6d:6c:00:00:01 is given twice"),
        ('"eth1"', '"eth 1"', "ports[0].interface"),
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
