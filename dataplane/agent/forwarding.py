# SPDX-License-Identifier: Apache-2.0
"""Lets programs at XDP ask for routes: the kernel answers them only on interfaces that forward.

Only an access port at XDP needs it (at TC the kernel itself finds the way), or a relay. An interface that
forwards would also take plain packets to virtual addresses from strangers and send them on as if they were
the host's own; a rule stops these.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AF_INET6
from typing import Any, Final

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.sysctl import read_sysctl, write_sysctl

log = structlog.get_logger(__name__)

RULE_PRIORITY: Final = 6081
_ACCEPT_EVEN_IF_FORWARDING: Final = "2"


def forward_on(interface: str) -> None:
    """Switch forwarding on for one interface; addresses by router advertisement stay as they were."""
    write_sysctl(f"ipv4/conf/{interface}/forwarding", "1")
    if read_sysctl(f"ipv6/conf/{interface}/accept_ra") == "1":
        write_sysctl(f"ipv6/conf/{interface}/accept_ra", _ACCEPT_EVEN_IF_FORWARDING)
    write_sysctl(f"ipv6/conf/{interface}/forwarding", "1")
    log.info("forwarding_switched_on", interface=interface)


async def guard(
    netlink: Any, interfaces: Sequence[str], prefixes: Sequence[IPv4Network | IPv6Network]
) -> None:
    """Drop what comes in on these interfaces and would be forwarded to virtual addresses."""
    for interface in interfaces:
        for prefix in prefixes:
            rule = {
                "iifname": interface,
                "dst": str(prefix.network_address),
                "dst_len": prefix.prefixlen,
                "family": AF_INET if prefix.version == 4 else AF_INET6,
                "priority": RULE_PRIORITY,
                "action": "FR_ACT_BLACKHOLE",
            }
            try:
                await netlink.rule("add", **rule)
            except NetlinkError as error:
                log.debug("rule_not_added", interface=interface, code=error.code)  # it is there already
