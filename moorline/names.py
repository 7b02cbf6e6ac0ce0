# SPDX-License-Identifier: Apache-2.0
"""Names of services and nodes, in one canonical form.

A name is one or more labels as DNS has them for hosts (RFC 1123, section 2.1): lower-case letters, digits
and hyphens, parted by dots. Programs hand over more, such as a URL or ``name:port``; only the name is kept.
"""

from __future__ import annotations

import re
from typing import Self

from moorline.errors import MoorlineError

MAX_NAME = 253
"""Octets in a whole name, without the dot of the root (RFC 1035, section 2.3.4)."""

MAX_LABEL = 63
"""Octets in one label (RFC 1035, section 2.3.4)."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PORT = re.compile(r":[0-9]{1,5}\Z")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")


class InvalidNameError(MoorlineError):
    """A text that is no name."""


class ServiceName(str):
    """The canonical name of a service, such as ``files.demo``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take the name out of ``name``, ``name:port``, ``name/path`` or ``scheme://name:port/path``.

        Raises ``InvalidNameError`` for anything else.
        """
        authority = re.split(r"[/?#]", _SCHEME.sub("", text.strip(), count=1), maxsplit=1)[0]
        return cls(_canonical(_PORT.sub("", authority), text, "service name"))


class NodeName(str):
    """The canonical name of a node, such as ``laptop`` or ``host7.rack2``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check a name as it stands; only capital letters are lowered. Raises ``InvalidNameError``."""
        return cls(_canonical(text.strip(), text, "node name"))


def _canonical(name: str, given: str, what: str) -> str:
    """Lower ``name`` and check it label by label; ``given`` is what the error shows."""
    name = name.removesuffix(".")
    if not name.isascii():
        raise InvalidNameError(
            f"{what} {given!r} is not plain ASCII: write international names in their xn-- form"
        )
    name = name.lower()
    if len(name) > MAX_NAME:
        raise InvalidNameError(
            f"{what} {given[:40]!r}... has {len(name)} octets: shorten it to {MAX_NAME} or fewer"
        )
    labels = name.split(".")
    for label in labels:
        if len(label) > MAX_LABEL:
            raise InvalidNameError(
                f"label {label[:40]!r}... of {what} is too long: shorten it to {MAX_LABEL} octets"
            )
        if not _LABEL.match(label):
            raise InvalidNameError(
                f"{given!r} is no {what}: use labels of letters, digits and inner hyphens, parted by dots"
            )
    if labels[-1].isdigit():  # RFC 3696, section 2: else it could be taken for an IPv4 address
        raise InvalidNameError(
            f"{given!r} is no {what}: its last label must not be a number, lest it pass for an address"
        )
    return name
