# SPDX-License-Identifier: Apache-2.0
"""Changes of rules: stored, in force for what is asked from then on, and for what stands."""

from __future__ import annotations

import re
from typing import Final

import structlog

from control.connections import Connections
from control.errors import InvalidRequestError, NotFoundError
from control.records import RULE, Rule
from control.rejects import Rejects
from control.rules import RuleBook, parse_pattern
from control.store.base import Store, Transaction

log = structlog.get_logger(__name__)

_NAME: Final = re.compile("[a-z0-9][a-z0-9._-]{0,62}")


class Policy:
    """Writes the rule book."""

    def __init__(self, book: RuleBook, store: Store, connections: Connections, rejects: Rejects) -> None:
        self.book = book
        self._store = store
        self._connections = connections
        self._rejects = rejects

    async def put(self, name: str, client: str, server: str, allow: bool) -> Rule:
        """Add a rule or replace the one of its name; connections that it forbids are closed.

        Raises:
            InvalidRequestError: the name is none.
            InvalidNameError: a pattern is none.
        """
        rule = Rule(_rule_name(name), parse_pattern(client), parse_pattern(server), allow)
        await self._store.commit(Transaction(puts={rule.key: rule.encode()}))
        self.book.put(rule)
        log.info("rule_put", rule=rule.name, client=rule.client, server=rule.server, allow=allow)
        await self._enforce()
        return rule

    async def delete(self, name: str) -> None:
        """Take a rule out; raises :class:`NotFoundError`."""
        name = _rule_name(name)
        if name not in self.book:
            raise NotFoundError(f"there is no rule {name!r}: list the rules")
        await self._store.commit(Transaction(deletes=frozenset([RULE + name])))
        self.book.remove(name)
        log.info("rule_deleted", rule=name)
        await self._enforce()

    async def _enforce(self) -> None:
        self._rejects.clear()
        await self._connections.close_denied()


def _rule_name(text: str) -> str:
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"{text[:80]!r} is no name of a rule: use up to 63 letters, digits, dots, hyphens and underscores"
        )
    return name
