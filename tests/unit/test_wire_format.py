# SPDX-License-Identifier: Apache-2.0
"""The example packet of docs/wire-format.md is what we send, and decodes as plain Geneve."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from moorline.wire import GENEVE_PORT, OPTION_CLASS, OPTION_TYPE, OPTION_WORDS, OVERHEAD_IPV4
from tools.vectors.packets import inner4, tunnelled
from tools.vectors.world import SCID, TENANT

DOCUMENT = Path(__file__).parents[2] / "docs" / "wire-format.md"


@pytest.fixture(scope="module")
def example() -> bytes:
    match = re.search(r"```hex example\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert match
    return bytes.fromhex(match[1])


def test_the_example_is_what_a_node_sends(example: bytes) -> None:
    assert example == tunnelled(inner4(size=64))


def test_scapy_decodes_it_as_plain_geneve(example: bytes) -> None:
    geneve = Ether(example)[GENEVE]
    assert (geneve.version, geneve.oam, geneve.critical, geneve.vni) == (0, 0, 1, TENANT)
    (option,) = geneve.options
    assert (option.classid, option.type, option.length) == (OPTION_CLASS, OPTION_TYPE, OPTION_WORDS)
    assert option.data == SCID.to_bytes(8, "big") + bytes(4)
    assert geneve.payload.src == "10.77.0.1"
    assert Ether(example)[UDP].dport == GENEVE_PORT
    assert Ether(example)[IP].len == OVERHEAD_IPV4 + 64


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_tshark_decodes_it_as_plain_geneve(example: bytes, tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "example.pcap"), [Ether(example)])
    # What tshark shows is read as root would not: it refuses Lua scripts for root, on standard error.
    shown = subprocess.run(
        ["tshark", "-r", tmp_path / "example.pcap", "-T", "json", "-o", "ip.check_checksum:TRUE"],
        check=True,
        capture_output=True,
        text=True,
    )
    (packet,) = json.loads(shown.stdout)
    layers = packet["_source"]["layers"]
    assert layers["frame"]["frame.protocols"].startswith("eth:ethertype:ip:udp:geneve:ip:udp")
    geneve = layers["geneve"]
    assert int(geneve["geneve.vni"], 0) == TENANT
    assert "_ws.expert" not in json.dumps(geneve)
    assert layers["ip"]["ip.checksum.status"] == "1"
