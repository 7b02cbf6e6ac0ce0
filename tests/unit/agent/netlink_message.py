# SPDX-License-Identifier: Apache-2.0
"""A netlink message as pyroute2 gives it."""

from __future__ import annotations

from typing import Any


class Message(dict[str, int]):
    """Fields of the header as items, attributes by name."""

    def __init__(self, fields: dict[str, int], attributes: dict[str, Any]) -> None:
        super().__init__(fields)
        self._attributes = attributes

    def get_attr(self, name: str) -> Any:
        return self._attributes.get(name)
