# SPDX-License-Identifier: Apache-2.0
"""YAML files that operators hand to the controller, read without what surprises."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import yaml

from control.errors import InvalidRequestError

MAX_TEXT: Final = 256 * 1024
"""Characters of a file."""


class _Loader(yaml.SafeLoader):
    """YAML without keys that stand twice, and without aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not taken here", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} is no key: write a word", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key} stands twice", problem_mark=key_node.start_mark
                )
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
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        where = f" at line {at.line + 1}, column {at.column + 1}" if at else ""
        raise InvalidRequestError(f"{what} is not valid YAML{where}: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else _first_line(error)
        raise InvalidRequestError(f"{what} is not valid YAML: {why}") from None
    if not isinstance(content, dict):
        raise InvalidRequestError(f"{what} has no keys: write {keys}")
    return content


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
