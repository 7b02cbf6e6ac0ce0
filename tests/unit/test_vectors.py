# SPDX-License-Identifier: Apache-2.0
"""The vectors in pcaps/ are what their builders make, octet for octet, and say enough."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from control.southbound.contract import Contract
from moorline.matches import Masked, Prefix
from moorline.wire import Event
from tools.contract import P4, P4INFO
from tools.vectors import files
from tools.vectors.cases import vectors
from tools.vectors.commands import app
from tools.vectors.entropy import bucket, entropy, flow_hash
from tools.vectors.matching import Matching
from tools.vectors.model import Vector, VectorError, matched, number
from tools.vectors.packets import inner4, inner6

ALL = vectors()
NOT_BY_A_SINGLE_PACKET = {Event.RX, Event.DROP_PACKET_IN_FULL, Event.DROP_NO_ROOM}
"""RX accompanies every packet; the two others need a state that no entry makes (test_scarcity.py)."""


def test_names_are_unique() -> None:
    assert [name for name, count in Counter(vector.path for vector in ALL).items() if count > 1] == []


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.path)
def test_no_entry_is_there_twice(vector: Vector) -> None:
    keys = Counter((entry.table, entry.priority, str(entry.key)) for entry in vector.entries)
    assert [key for key, count in keys.items() if count > 1] == []


def test_pcaps_hold_these_vectors_and_no_others() -> None:
    assert files.names() == sorted(vector.path for vector in ALL)


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.path)
def test_making_it_again_gives_the_same_octets(vector: Vector) -> None:
    made = files.render(vector)
    kept = {
        path.name.removeprefix(vector.name): path.read_bytes()
        for path in (files.ROOT / vector.concern).glob(f"{vector.name}.*")
    }
    assert made == kept, "run python -m tools.vectors make"


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.path)
def test_reading_gives_the_vector_back(vector: Vector) -> None:
    assert files.read(vector.path) == vector


def test_every_event_has_a_vector() -> None:
    seen = {step.expected.event for vector in ALL for step in vector.steps}
    assert set(Event) - seen == NOT_BY_A_SINGLE_PACKET


def test_a_missing_vector_is_told(tmp_path: Path) -> None:
    with pytest.raises(VectorError, match="no file"):
        files.read("outer/none", tmp_path)


def test_a_vector_with_too_few_frames_is_told(tmp_path: Path) -> None:
    files.write(ALL, tmp_path)
    (tmp_path / "ecn/decapsulation-ipv4-over-ipv4.in.pcap").write_bytes(
        (tmp_path / "outer/ipv4-checksum.in.pcap").read_bytes()
    )
    with pytest.raises(VectorError, match="16 steps and 2 frames"):
        files.read("ecn/decapsulation-ipv4-over-ipv4", tmp_path)


@pytest.mark.parametrize(
    ("text", "value"), [("0xFF", 255), (7, 7), ("10.0.0.1", b"\x0a\0\0\1"), ("::", bytes(16))]
)
def test_values(text: int | str, value: int | bytes) -> None:
    assert number(text) == value


def test_a_value_that_is_none_is_told() -> None:
    with pytest.raises(VectorError, match="'nonsense'"):
        number("nonsense")
    with pytest.raises(VectorError, match="'0x9/1' of a vector is no prefix"):
        matched("0x9/1")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (7, 7),
        ("10.0.0.1", b"\x0a\0\0\1"),
        ("fd00::/8", Prefix(b"\xfd" + bytes(15), 8)),
        ("::/0", Prefix(bytes(16), 0)),
        ("4096&61440", Masked(b"\x10\0", b"\xf0\0")),
        ("0x10&0xff", Masked(b"\x10", b"\xff")),
        ("fd00::&0xff" + "00" * 15, Masked(b"\xfd" + bytes(15), b"\xff" + bytes(15))),
    ],
)
def test_matches(text: int | str, value: object) -> None:
    assert matched(text) == value


def test_a_value_that_has_a_mask_in_its_table_gets_a_whole_one() -> None:
    matching = Matching(Contract.load(P4 / P4INFO).p4info)
    key = {"dst_port": 80, "src": "::1", "vlan": "1&1"}
    assert matching.of("classifier", key) == {
        "dst_port": Masked(b"\0\x50", b"\xff\xff"),
        "src": Masked(bytes(15) + b"\1", b"\xff" * 16),
        "vlan": Masked(b"\1", b"\1"),
    }
    assert matching.of("member", {"slot": 9}) == {"slot": 9}


def test_customers_spread_over_all_buckets() -> None:
    customers = [bytes(10) + b"\xff\xff\x0a" + number.to_bytes(3) for number in range(5000)]
    assert {bucket(customer) for customer in customers} == set(range(256))


def test_entropy_tells_flows_apart_and_holds_one_together() -> None:
    flows = {entropy(bytes(inner4(destination_port=port))) for port in range(1000, 2000)}
    assert len(flows) > 900
    assert len({flow_hash(bytes(inner4(size=size))) for size in range(60, 100)}) == 1
    assert flow_hash(bytes(inner4(flags="MF"))) == flow_hash(bytes(inner4(frag=8, destination_port=9)))
    assert flow_hash(bytes(inner6())) != flow_hash(bytes(inner4()))


def test_a_vector_is_shown_in_words() -> None:
    shown = CliRunner().invoke(app, ["show", "path/no-route"])
    assert shown.exit_code == 0
    for part in (
        "locator node=2 -> set_paths port0=1 dst0=::ffff:100.64.9.9",
        "step 1: arrives at port 10, DROP_NO_ROUTE",
        "dst       = 10.77.0.2",
        "on bmv2: DROP_NO_NEIGHBOUR",
        "because on TC the kernel finds the route",
    ):
        assert part in shown.output
    listed = CliRunner().invoke(app, ["show"])
    assert len(listed.output.splitlines()) == len(ALL)
    assert CliRunner().invoke(app, ["show", "path/none"]).exit_code == 2
