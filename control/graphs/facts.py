# SPDX-License-Identifier: Apache-2.0
"""What graphs ask of a directory of customers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from moorline.addresses import Network


class Subscribers(Protocol):
    """Who knows customers (``control.subscribers.Subscribers``)."""

    def prefixes_of_customer(self, customer: str) -> Iterable[Network]:
        """The addresses of all devices of a customer; none when there is no such customer."""

    def prefixes_of_profile(self, profile: str) -> Iterable[Network]:
        """The addresses of all devices of all customers with a profile."""

    def nodes(self) -> Iterable[str]:
        """The nodes where packets of devices come in, beside those with edge ports."""
