# SPDX-License-Identifier: Apache-2.0
"""Which service may connect to which."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.records import Rule
from control.rules import RuleBook, matches, parse_pattern
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.held import held
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site

PATTERNS = st.sampled_from(["*", "*.x", "a.x", "b.y"])
DENIED = grpc.StatusCode.PERMISSION_DENIED


def test_patterns() -> None:
    assert matches("*", "a.demo")
    assert matches("*.demo", "b.a.demo")
    assert not matches("*.demo", "demo")
    assert not matches("*.demo", "a.xdemo")
    assert not matches("a.demo", "b.a.demo")
    assert parse_pattern(" *.Demo ") == "*.demo"


@given(
    st.lists(
        st.builds(Rule, st.text("abc", min_size=1), PATTERNS, PATTERNS, st.booleans()),
        unique_by=lambda rule: rule.name,
    ),
    st.booleans(),
    st.sampled_from(["a.x", "b.y"]),
    st.sampled_from(["a.x", "b.y"]),
)
def test_the_first_rule_by_name_that_matches_decides(
    rules: list[Rule], default: bool, client: str, server: str
) -> None:
    book = RuleBook(default, ())
    for rule in rules:
        book.put(rule)
    verdicts = [
        rule.allow
        for rule in sorted(rules, key=lambda rule: rule.name)
        if matches(rule.client, client) and matches(rule.server, server)
    ]
    assert book.allows(client, server) == [*verdicts, default][0]


async def test_default_deny_lets_only_allowed_pairs_connect(tmp_path: Path) -> None:
    async with Site(tmp_path, default_rule="deny") as site:
        one, _ = await site.pair()
        with refused(DENIED, "no rule lets laptop.demo connect to files.demo: put one that allows it"):
            await site.lookup("laptop.demo", "files.demo")
        await site.put_rule("10", "laptop.demo", "*.demo", allow=True)
        with refused(DENIED, "no rule lets files.demo connect to laptop.demo"):
            await site.lookup("files.demo", "laptop.demo")
        assert not one.plane.tables["scid"]
        answer = await site.lookup("laptop.demo", "files.demo")
        assert one.plane.entry("scid", answer.scid) is not None


async def test_one_directions_refusal_is_not_the_others(tmp_path: Path) -> None:
    async with Site(tmp_path, default_rule="deny") as site:
        await site.pair()
        await site.put_rule("10", "laptop.demo", "files.demo", allow=True)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        lookups = site.controller.connections._lookups
        async with held(site.controller.store, "connection/") as reached:
            close = site.connections.CloseConnection(pb.CloseConnectionRequest(scid=scid))
            await reached.wait()
            site.controller.state.connections[scid].programmed = False  # or it would be the answer still
            back = asyncio.create_task(site.lookup("files.demo", "laptop.demo"))
            await site.until(lambda: len(lookups) == 1)
            forth = asyncio.create_task(site.lookup("laptop.demo", "files.demo"))
            await site.until(lambda: len(lookups) == 2)
        await close
        with refused(DENIED, "no rule lets files.demo connect to laptop.demo"):
            await back
        assert (await forth).scid != scid


async def test_a_rule_closes_what_it_forbids_and_nothing_else(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        await site.register("other.test", "two")
        denied = (await site.lookup("laptop.demo", "files.demo")).scid
        kept = (await site.lookup("laptop.demo", "other.test")).scid
        await site.put_rule("50", "*", "*.demo", allow=False)
        for node in (one, two):
            assert node.plane.entry("scid", denied) is None
            assert node.plane.entry("scid", kept) is not None
        await site.rules.DeleteRule(pb.DeleteRuleRequest(name="50"))
        assert (await site.lookup("laptop.demo", "files.demo")).scid != denied


async def test_a_rule_put_while_a_connection_is_made_holds_for_it(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        async with held(site.controller.store, "connection/") as reached:
            lookup = asyncio.create_task(site.lookup("laptop.demo", "files.demo"))
            await reached.wait()
            await site.put_rule("50", "*", "*", allow=False)
        with refused(DENIED, "no rule lets laptop.demo connect to files.demo"):
            await lookup
        assert not site.controller.state.connections
        assert (await site.controller.store.scan("connection/")).entries == ()
        assert not one.plane.tables["scid"]


async def test_rules_and_a_new_default_hold_after_a_restart(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        await site.register("other.test", "two")
        await site.put_rule("10", "laptop.demo", "files.demo", allow=True)
        kept = (await site.lookup("laptop.demo", "files.demo")).scid
        denied = (await site.lookup("laptop.demo", "other.test")).scid
        await site.stop()
        site.config = site.config.model_copy(update={"default_rule": "deny"})
        await site.start()
        await site.converged("one", "two")
        assert one.plane.entry("scid", denied) is None
        assert one.plane.entry("scid", kept) is not None
        listed = await site.rules.ListRules(pb.ListRulesRequest())
        assert not listed.default_allow
        assert [rule.name for rule in listed.rules] == ["10"]


async def test_bad_rules_are_refused(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        for name in ("", "a/b", "-", "x" * 64, "a b"):
            with refused(grpc.StatusCode.INVALID_ARGUMENT, "is no name of a rule"):
                await site.put_rule(name, "*", "*", allow=True)
        for pattern in ("", "*demo", "a.*", "**", "10.0.0.1"):
            with refused(grpc.StatusCode.INVALID_ARGUMENT, "service name"):
                await site.put_rule("10", pattern, "*", allow=True)
        with refused(grpc.StatusCode.NOT_FOUND, "there is no rule '10'"):
            await site.rules.DeleteRule(pb.DeleteRuleRequest(name="10"))


async def test_names_of_rules_have_one_form(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.put_rule("10-Files", "*", "*", allow=True)
        await site.put_rule("10-files", "*", "*.demo", allow=False)
        (rule,) = (await site.rules.ListRules(pb.ListRulesRequest())).rules
        assert (rule.name, rule.server, rule.allow) == ("10-files", "*.demo", False)
        await site.rules.DeleteRule(pb.DeleteRuleRequest(name="10-FILES"))


@pytest.mark.parametrize("caller", ["one"])
async def test_only_operators_write_rules(caller: str, tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        node = await site.add_node(caller)
        with refused(DENIED, "node one may not do this"):
            await node.stubs.RulesStub(node.channel).PutRule(pb.Rule(name="10", client="*", server="*"))
