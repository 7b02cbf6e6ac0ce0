# SPDX-License-Identifier: Apache-2.0
"""Which service may open a connection to which: the first rule that matches, by name order, decides."""

from __future__ import annotations

from collections.abc import Iterable

from control.records import Rule
from moorline.names import ServiceName

ANY = "*"


class RuleBook:
    """The rules in force, in order, over a default."""

    ordered: tuple[Rule, ...]

    def __init__(self, default_allow: bool, rules: Iterable[Rule] = ()) -> None:
        self.default_allow = default_allow
        self._rules = {rule.name: rule for rule in rules}
        self.ordered = self._order()

    def __contains__(self, name: str) -> bool:
        return name in self._rules

    def put(self, rule: Rule) -> None:
        """Add ``rule``, or put it in the place of the one with its name."""
        self._rules[rule.name] = rule
        self.ordered = self._order()

    def remove(self, name: str) -> None:
        """Take a rule out."""
        self._rules.pop(name, None)
        self.ordered = self._order()

    def allows(self, client: str, server: str) -> bool:
        """Whether ``client`` may open a connection to ``server``."""
        for rule in self.ordered:
            if matches(rule.client, client) and matches(rule.server, server):
                return rule.allow
        return self.default_allow

    def _order(self) -> tuple[Rule, ...]:
        return tuple(rule for _, rule in sorted(self._rules.items()))


def parse_pattern(text: str) -> str:
    """A service name, ``*.suffix`` or ``*`` in canonical form; raises ``InvalidNameError``."""
    text = text.strip()
    if text == ANY:
        return text
    if text.startswith("*."):
        return "*." + ServiceName.parse(text[2:])
    return ServiceName.parse(text)


def matches(pattern: str, name: str) -> bool:
    """Whether ``name`` falls under ``pattern``; ``*.demo`` takes ``a.demo``, ``b.a.demo``, not ``demo``."""
    if pattern == ANY:
        return True
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    return name == pattern
