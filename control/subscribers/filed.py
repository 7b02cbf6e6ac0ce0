# SPDX-License-Identifier: Apache-2.0
"""The addresses that files give to devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from control.prefixes import Prefix, Prefixes
from control.subscribers.model import CustomerSpec
from moorline.addresses import Network

Holder = tuple[str, str]
"""Customer, and name of the device in small letters."""


class Filed:
    """Whose each address is, by tenant."""

    def __init__(self, specs: Iterable[CustomerSpec]) -> None:
        self._holders: dict[int, dict[Prefix, Holder]] = defaultdict(dict)
        for spec in specs:
            for device in spec.devices:
                for prefix in device.addresses:
                    self._holders[spec.tenant][prefix] = spec.name, device.name.lower()
        self._prefixes = {tenant: Prefixes(holders) for tenant, holders in self._holders.items()}

    def is_free(self, tenant: int, prefix: Network, customer: str, station: str) -> bool:
        """Whether nothing of ``prefix`` is given to another device than this one."""
        prefixes = self._prefixes.get(tenant)
        if prefixes is None:
            return True
        mine, holders = (customer, station.lower()), self._holders[tenant]
        return all(holders[other] == mine for other in prefixes.overlapping(prefix))
