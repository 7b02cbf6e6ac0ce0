# SPDX-License-Identifier: Apache-2.0
"""YAML files that operators hand to the controller, read without what surprises."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

import yaml

from control.errors import InvalidRequestError

MAX_TEXT: Final = 256 * 1024
"""Characters of a file."""


MAX_DEPTH: Final = 64
"""Lists and mappings within one another."""

if TYPE_CHECKING:
    _SafeLoader = yaml.SafeLoader
else:
    # That in C, where PyYAML was built with it, is six times as fast.
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """YAML without keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _refusal(f"{key!r} is no key: write a word", key_node)
            if key in seen:
                raise _refusal(f"the key {key} stands twice", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_mapping(text: str, what: str, keys: str, longest: int = MAX_TEXT) -> dict[str, Any]:
    """The keys of a file and their values.

    Args:
        text: its content.
        what: what errors call it, such as ``graph web.yaml``.
        keys: which keys it is to have, for whoever wrote none.
        longest: characters that it may have.

    Raises:
        InvalidRequestError: it is no YAML, or has no keys.
    """
    if len(text) > longest:
        raise InvalidRequestError(f"{what} has {len(text)} characters: write {longest} at most")
    try:
        _require_plain(text)
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        where = f" at line {at.line + 1}, column {at.column + 1}" if at else ""
        raise InvalidRequestError(f"{what} is not valid YAML{where}: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidRequestError(f"{what} is not valid YAML: {_first_line(error)}") from None
    if not isinstance(content, dict):
        raise InvalidRequestError(f"{what} has no keys: write {keys}")
    return content


def _require_plain(text: str) -> None:
    """Look for what a loader is not to see: aliases, and what would take it too deep."""
    depth = 0
    for event in yaml.parse(text, _SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("aliases are not taken here", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _refusal("it is nested too deeply", event)


def _refusal(problem: str, at: Any) -> yaml.MarkedYAMLError:
    """``at`` is an event or a node."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
