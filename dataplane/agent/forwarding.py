# SPDX-License-Identifier: Apache-2.0
"""Lets programs at XDP ask for routes: the kernel answers them only on interfaces that forward.

Only an access port at XDP needs it (at TC the kernel itself finds the way), or a relay. An interface that
forwards would also take plain packets to virtual addresses from strangers and send them on as if they were
the host's own; a rule stops these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from socket import AF_INET, AF_INET6
from typing import Any, Final

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.dumps import dump
from dataplane.agent.known import Known
from dataplane.agent.marks import PROTOCOL
from dataplane.agent.ports import Ports
from dataplane.agent.sysctl import read_sysctl, write_sysctl
from dataplane.bpf.hook import Hook
from moorline.addresses import Network

log = structlog.get_logger(__name__)

RULE_PRIORITY: Final = 6081
_ACCEPT_EVEN_IF_FORWARDING: Final = "2"


def forward_on(interface: str, former: dict[str, str]) -> None:
    """Switch forwarding on for one interface; addresses by router advertisement stay as they were.

    Args:
        interface: its name.
        former: gets the settings as they were, for :func:`restore`; what it has already stays.
    """
    settings = {f"ipv4/conf/{interface}/forwarding": "1"}
    if read_sysctl(f"ipv6/conf/{interface}/accept_ra") == "1":
        settings[f"ipv6/conf/{interface}/accept_ra"] = _ACCEPT_EVEN_IF_FORWARDING
    settings[f"ipv6/conf/{interface}/forwarding"] = "1"
    changed = {name: before for name in settings if (before := read_sysctl(name)) not in ("", settings[name])}
    for name, before in changed.items():
        former.setdefault(name, before)
        write_sysctl(name, settings[name])
    if changed:
        log.info("forwarding_switched_on", interface=interface)


def restore(former: dict[str, str]) -> None:
    """Set back what :func:`forward_on` changed, the last first; ``former`` is empty then."""
    while former:
        write_sysctl(*former.popitem())


class Forwarding:
    """Keeps interfaces of a node forwarding where its programs at XDP ask for routes, and guarded.

    Args:
        netlink: a ``pyroute2.AsyncIPRoute``.
        ports: the node's.
        former: the settings as they were; kept up to date.
        is_relay: whether the node relays.
        changed: called when ``former`` is another.
    """

    def __init__(
        self,
        netlink: Any,
        ports: Ports,
        former: dict[str, str],
        is_relay: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        self._guard = Guard(netlink)
        self._ports = ports
        self._former = former
        self._is_relay = is_relay
        self._changed = changed

    def doubt(self) -> None:
        """Links changed: compare with what the kernel has, next time."""
        self._guard.doubt()

    def switch(self, *, relaying: bool = False) -> None:
        """Let interfaces forward where that is needed, or will be for ``relaying``; set back what is needed
        no more.
        """
        interfaces = self._interfaces(relaying=relaying)
        before = dict(self._former)
        if interfaces:
            for interface in interfaces:
                forward_on(interface, self._former)
        else:
            restore(self._former)
        if before != self._former:
            self._changed()

    async def keep(self, prefixes: Sequence[Network]) -> None:
        """The same, and stop plain packets to addresses in ``prefixes``."""
        self.switch()
        await self._guard.keep(self._guarded(), prefixes)

    def _interfaces(self, *, relaying: bool) -> list[str]:
        """Where programs at XDP ask for routes: towards nodes for what comes in at an access port, or at any
        port of a relay; towards plain hosts for what comes in anywhere.
        """
        at_xdp = {port.role for port in self._ports if port.hook is Hook.XDP}
        asking = at_xdp if relaying or self._is_relay() else at_xdp - {"underlay"}
        underlay = [port.interface for port in self._ports.underlay] if asking else []
        return underlay + [port.interface for port in self._ports.plain if at_xdp]

    def _guarded(self) -> list[str]:
        """Where plain packets to virtual addresses are stopped; a gateway's kernel may forward anyhow."""
        if self._ports.plain:
            return [port.interface for port in self._ports if port is not self._ports.access]
        return self._interfaces(relaying=False)


@dataclass(frozen=True, slots=True)
class _Rule:
    interface: str
    destination: str
    length: int
    family: int

    def request(self) -> dict[str, Any]:
        return {
            "iifname": self.interface,
            "dst": self.destination,
            "dst_len": self.length,
            "family": self.family,
            "priority": RULE_PRIORITY,
            "protocol": PROTOCOL,
            "action": "FR_ACT_BLACKHOLE",
        }


class Guard:
    """The rules that stop plain packets to virtual addresses."""

    def __init__(self, netlink: Any) -> None:
        self._netlink = netlink
        self._known = Known[set[_Rule]]()

    def doubt(self) -> None:
        """Links changed: compare with what the kernel has, next time."""
        self._known.doubt()

    async def keep(self, interfaces: Iterable[str], prefixes: Sequence[Network]) -> None:
        """Drop what comes in on these interfaces and would be forwarded to virtual addresses, no more."""
        wanted = {
            _Rule(interface, str(prefix.network_address), prefix.prefixlen, _family(prefix))
            for interface in interfaces
            for prefix in prefixes
        }
        await self._known.have(wanted, self._make)

    async def _make(self, wanted: set[_Rule]) -> bool:
        present = {rule for family in (AF_INET, AF_INET6) for rule in await self._present(family)}
        added = [await self._change("add", rule) for rule in wanted - present]
        removed = [await self._change("del", rule) for rule in present - wanted]
        return all(added + removed)

    async def _present(self, family: int) -> list[_Rule]:
        """The rules of this kind that an agent made."""
        return [
            _Rule(found.get_attr("FRA_IIFNAME"), found.get_attr("FRA_DST"), found["dst_len"], family)
            for found in await dump(self._netlink, "rule", family=family)
            if found.get_attr("FRA_PROTOCOL") == PROTOCOL and found.get_attr("FRA_PRIORITY") == RULE_PRIORITY
        ]

    async def _change(self, command: str, rule: _Rule) -> bool:
        try:
            await self._netlink.rule(command, **rule.request())
        except NetlinkError as error:
            log.warning("rule_not_changed", command=command, interface=rule.interface, code=error.code)
            return False
        return True


def _family(prefix: Network) -> int:
    return AF_INET if prefix.version == 4 else AF_INET6
