# SPDX-License-Identifier: Apache-2.0
"""What the agent makes of the settings of a peer, and what it reads back; no namespace is made here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dataplane.peers.base import PeerError
from dataplane.peers.builtin import RECIPES, statistics
from dataplane.peers.config import PeerConfig, UsageCap
from dataplane.peers.flows import Flow, Traffic, hit_in, long_flows
from dataplane.peers.program import Program
from dataplane.peers.recipe import Recipe


def recipe(tmp_path: Path, run: Any, **settings: Any) -> Recipe:
    config = PeerConfig.model_validate({"name": "p1", "kind": "k", "run": run, **settings})
    return RECIPES[config.run](config, tmp_path, tmp_path / "cache")  # type: ignore[index]


def test_a_change_of_rules_is_a_change_of_the_recipe(tmp_path: Path) -> None:
    rules = tmp_path / "rules.nft"
    rules.write_text("accept\n")
    before = recipe(tmp_path, "firewall", rules=rules).ruleset
    assert "policy drop" in before
    rules.write_text("drop\n")
    assert recipe(tmp_path, "firewall", rules=rules).ruleset != before
    rules.unlink()
    with pytest.raises(PeerError, match=r"^rules .*rules.nft cannot be read"):
        recipe(tmp_path, "firewall", rules=rules)


def test_lists_come_from_the_settings_and_from_files(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("# a comment\nads.example  # inline\n\nbad.example\n")
    one = {"customers": ["10.0.0.0/8"], "names": ["games.example"], "file": names}
    found = recipe(tmp_path, "filter", list=[one])
    assert json.loads(found.files["names.json"]) == [
        {"customers": ["10.0.0.0/8"], "names": ["games.example", "ads.example", "bad.example"]}
    ]
    assert "ip6 saddr" not in found.ruleset
    for line, why in (("0.0.0.0 ads.example", "write a name alone"), ("bücher.example", "in its xn-- form")):
        names.write_text(f"\ufeffgood.example\n_srv.example # of us\n*.b.example.\n{line}\n")
        with pytest.raises(PeerError, match=f"^list .*names.txt holds '{line}' in line 4: .*{why}"):
            recipe(tmp_path, "filter", list=[one])
    with pytest.raises(ValidationError, match="write a name alone"):
        recipe(tmp_path, "filter", list=[{**one, "names": ["http://ads.example/"]}])
    names.unlink()
    with pytest.raises(PeerError, match=r"^list .*names.txt cannot be read"):
        recipe(tmp_path, "filter", list=[one])


def test_a_nat_without_an_address_of_a_family_lets_none_of_it_out(tmp_path: Path) -> None:
    rules = recipe(tmp_path, "nat", addresses=["192.0.2.1", "192.0.2.2"]).ruleset
    assert "mod 2 map { 0 : 192.0.2.1, 1 : 192.0.2.2 }" in rules
    assert 'oifname "out" meta nfproto ipv6 drop' in rules


def test_usage_is_read_from_what_nft_lists() -> None:
    def counted(name: str, address: str, packets: int, octets: int) -> dict[str, Any]:
        element = {"elem": {"val": address, "counter": {"packets": packets, "bytes": octets}}}
        return {"set": {"name": name, "elem": [element]}}

    quota = {"val": 1, "val_unit": "mbytes", "inv": True, "used": 1, "used_unit": "kbytes"}
    capped = {"set": {"name": "cap0_4", "elem": [{"elem": {"val": "10.0.0.1", "quota": quota}}]}}
    items = [
        counted("sent4", "10.0.0.1", 3, 300),
        counted("received4", "10.0.0.1", 2, 90),
        counted("received4_past", "10.0.0.1", 1, 10),
        capped,
    ]
    listing = json.dumps({"nftables": [{"metainfo": {}}, *items]})
    assert statistics.usage(listing) == {ip_address("10.0.0.1"): statistics.AddressUsage(3, 300, 3, 100)}
    caps = [
        UsageCap(customers=["10.0.0.0/24"], megabytes=1),
        UsageCap(customers=["10.2.0.0/24"], megabytes=1),
    ]
    # The server is nobody's customer; the flow's own direction is the customer's, or that of the answers.
    ends = ip_address("10.0.0.1"), ip_address("203.0.113.80")
    there, back = Traffic(5, 500), Traffic(7, 700)
    commands = statistics.handed_over(caps, listing, Flow(*ends, 6, 4000, 80), there, back)
    assert commands.splitlines() == [
        "add element inet moorline sent4_past { 10.0.0.1 counter packets 5 bytes 500 }",
        "delete element inet moorline received4_past { 10.0.0.1 }",
        "add element inet moorline received4_past { 10.0.0.1 counter packets 8 bytes 710 }",
        "add quota inet moorline own0_4_0a000001 { over 1 mbytes used 2224 bytes }",
        'add element inet moorline own0_4 { 10.0.0.1 : "own0_4_0a000001" }',
    ]
    much = statistics.handed_over(caps, listing, Flow(*ends, 6, 4000, 80), there, Traffic(1000, 1 << 21))
    assert "{ over 1 mbytes used 1048576 bytes }" in much
    turned = Flow(*reversed(ends), 6, 80, 4000)
    assert statistics.handed_over(caps, listing, turned, back, there) == commands
    strangers = Flow(ends[1], ends[1], 6, 4000, 80)
    assert not statistics.handed_over(caps, listing, strangers, there, back)
    with pytest.raises(PeerError, match="in a form that is not known"):
        statistics.usage("{}")


CONNTRACK = "\n".join(
    [
        "ipv4     2 tcp      6 431 ESTABLISHED src=10.1.0.2 dst=203.0.113.80 sport=4000 dport=80 packets=9 "
        "bytes=600000 src=203.0.113.80 dst=10.1.0.2 sport=80 dport=4000 packets=9 bytes=500000 use=2",
        "ipv4     2 udp      17 29 src=10.1.0.2 dst=203.0.113.80 sport=4001 dport=53 packets=1 bytes=60 "
        "[UNREPLIED] src=203.0.113.80 dst=10.1.0.2 sport=53 dport=4001 packets=0 bytes=0 mark=0 use=2",
        "ipv6     10 icmpv6   58 29 src=fd01::2 dst=fd02::80 type=128 code=0 id=1 packets=9 bytes=9000000 "
        "src=fd02::80 dst=fd01::2 type=129 code=0 id=1 packets=9 bytes=9000000 mark=0 use=2",
        "ipv6     10 udp      17 29 src=fd01::2 dst=fd02::80 sport=9 dport=443 packets=1 bytes=2000000 "
        "src=fd02::80 dst=fd01::2 sport=443 dport=9 packets=0 bytes=0 mark=0 use=2",
    ]
)


def test_long_flows_are_those_of_both_directions_together() -> None:
    found = [tuple(map(str, flow)) for flow in long_flows(CONNTRACK, 1_000_000)]
    assert found == [
        ("10.1.0.2", "203.0.113.80", "6", "4000", "80"),
        ("fd01::2", "fd02::80", "17", "9", "443"),
    ]


def test_what_squid_says_of_a_hit() -> None:
    flow = b'"source": "10.1.0.2", "source_port": 4000, "destination": "fd02::80", "destination_port": 80}\n'
    for status in (b"TCP_HIT", b"TCP_MEM_HIT", b"TCP_IMS_HIT"):
        found = hit_in(b'{"status": "' + status + b'", ' + flow)
        assert found == (ip_address("10.1.0.2"), ip_address("fd02::80"), 6, 4000, 80)
    denied = b'{"status": "TCP_DENIED", ' + flow
    for other in (denied, b"{" + flow, flow, b"", b"{}", b"[]", b'{"status": 1}', b"\xff"):
        assert hit_in(other) is None


# ---- programs that outlive the agent -----------------------------------------------------------------------

SLEEP = (sys.executable, "-c", "import time; print('hello', flush=True); time.sleep(60)")


async def test_a_program_is_found_again_watched_and_ended(tmp_path: Path) -> None:
    first = Program("sleep", SLEEP, tmp_path)
    assert not first.adopt()
    first.start()
    assert first.adopt()
    first.close()
    again = Program("sleep", SLEEP, tmp_path)
    assert again.adopt()
    ended = asyncio.Event()
    again.on_end(ended.set)
    number = json.loads((tmp_path / "sleep.process").read_text())["pid"]
    os.kill(number, signal.SIGKILL)
    async with asyncio.timeout(5):
        await ended.wait()
    assert not again.runs
    await asyncio.to_thread(os.waitpid, number, 0)
    again.start()
    await again.stop()
    assert not again.runs
    assert not Program("sleep", SLEEP, tmp_path).adopt()


async def test_another_process_with_the_number_of_one_that_has_ended_is_left_alone(tmp_path: Path) -> None:
    note = {"pid": os.getpid(), "started": "1", "command": list(SLEEP)}
    (tmp_path / "sleep.process").write_text(json.dumps(note))
    assert not Program("sleep", SLEEP, tmp_path).adopt()
    (tmp_path / "sleep.process").write_text("{")
    assert not Program("sleep", SLEEP, tmp_path).adopt()


async def test_the_last_words_of_a_program(tmp_path: Path) -> None:
    program = Program("words", (sys.executable, "-c", "raise SystemExit('no such file')"), tmp_path)
    ended = asyncio.Event()
    program.on_end(ended.set)
    program.start()
    async with asyncio.timeout(5):
        await ended.wait()
    assert program.last_words == "no such file"
    with pytest.raises(PeerError, match="nothing cannot be started"):
        Program("nothing", ("/no/such/program",), tmp_path).start()
