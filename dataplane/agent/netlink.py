# SPDX-License-Identifier: Apache-2.0
"""Links and addresses of the host as rtnetlink tells them (rtnetlink(7)), sans-IO: octets in, a table kept up
to date.

pyroute2 takes milliseconds for what has to be known at once when an address changes; this reads only the few
fields that count.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Final

NLMSG_DONE: Final = 3
RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22
RTM_NEWROUTE: Final = 24
RTM_DELROUTE: Final = 25

RTMGRP_LINK: Final = 0x1
RTMGRP_IPV4_IFADDR: Final = 0x10
RTMGRP_IPV4_ROUTE: Final = 0x40
RTMGRP_IPV6_IFADDR: Final = 0x100
RTMGRP_IPV6_ROUTE: Final = 0x400

_NLM_F_REQUEST: Final = 0x1
_NLM_F_DUMP: Final = 0x300

_IFF_UP: Final = 0x1
_IFF_LOWER_UP: Final = 0x10000
_IFLA_ADDRESS: Final = 1
_IFLA_IFNAME: Final = 3
_IFLA_MTU: Final = 4

_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_FLAGS: Final = 8
_IFA_F_DADFAILED: Final = 0x08
_IFA_F_TENTATIVE: Final = 0x40
_SCOPE_UNIVERSE: Final = 0
_SCOPE_SITE: Final = 200

_HEADER: Final = struct.Struct("=IHHII")
_LINK: Final = struct.Struct("=BxHiII")
_ADDRESS: Final = struct.Struct("=BBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface; ``up`` when it is switched on and has a carrier."""

    index: int
    name: str
    up: bool
    mtu: int
    mac: bytes


class Changed(Flag):
    """What a run of messages touched."""

    NOTHING = 0
    ADDRESSES = auto()
    """Addresses or links: the locators may be others now."""
    LINKS = auto()
    """Links: what the kernel keeps by them may be gone. Always with ``ADDRESSES``."""
    ROUTES = auto()


_LINK_CHANGED: Final = Changed.LINKS | Changed.ADDRESSES


@dataclass(slots=True)
class HostTable:
    """The host's links, and the addresses on them that others can reach, in the kernel's order, each with the
    length of its prefix.
    """

    links: dict[int, Link] = field(default_factory=dict)
    addresses: dict[int, dict[bytes, int]] = field(default_factory=dict)

    def apply(self, messages: bytes) -> Changed:
        """Take in what was read from an rtnetlink socket; anything unknown or cut off is left out."""
        changed = Changed.NOTHING
        for kind, body in split(messages):
            if kind in (RTM_NEWLINK, RTM_DELLINK):
                changed |= self._link(kind, body)
            elif kind in (RTM_NEWADDR, RTM_DELADDR):
                changed |= self._address(kind, body)
            elif kind in (RTM_NEWROUTE, RTM_DELROUTE):
                changed |= Changed.ROUTES
        return changed

    def link_named(self, name: str) -> Link | None:
        """The interface of this name."""
        return next((link for link in self.links.values() if link.name == name), None)

    def _link(self, kind: int, body: bytes) -> Changed:
        if len(body) < _LINK.size:
            return Changed.NOTHING
        family, _kind, index, flags, _change = _LINK.unpack_from(body)
        if family != socket.AF_UNSPEC:  # the bridge's or IPv6's own view of a link
            return Changed.NOTHING
        if kind == RTM_DELLINK:
            self.addresses.pop(index, None)
            return _LINK_CHANGED if self.links.pop(index, None) else Changed.NOTHING
        attributes = dict(_attributes(body[_LINK.size :]))
        up = bool(flags & _IFF_UP and flags & _IFF_LOWER_UP)
        name = attributes.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode("utf-8", "replace")
        mtu = int.from_bytes(attributes.get(_IFLA_MTU, b"")[:4], "little")
        link = Link(index, name, up, mtu, attributes.get(_IFLA_ADDRESS, b""))
        if self.links.get(index) == link:
            return Changed.NOTHING
        self.links[index] = link
        return _LINK_CHANGED

    def _address(self, kind: int, body: bytes) -> Changed:
        if len(body) < _ADDRESS.size:
            return Changed.NOTHING
        _family, length, flags, scope, index = _ADDRESS.unpack_from(body)
        attributes = dict(_attributes(body[_ADDRESS.size :]))
        address = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b"")
        flags = int.from_bytes(attributes.get(_IFA_FLAGS, bytes([flags])), "little")
        usable = scope in (_SCOPE_UNIVERSE, _SCOPE_SITE) and not flags & (_IFA_F_TENTATIVE | _IFA_F_DADFAILED)
        known = self.addresses.setdefault(index, {})
        if kind == RTM_NEWADDR and usable and len(address) in (4, 16):
            if known.get(address) == length:
                return Changed.NOTHING
            known[address] = length
            return Changed.ADDRESSES
        if address not in known:
            return Changed.NOTHING
        del known[address]
        return Changed.ADDRESSES


def split(messages: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages in what was read: kind and body; stops at the first that is cut off."""
    at = 0
    while at + _HEADER.size <= len(messages):
        length, kind, _flags, _sequence, _port = _HEADER.unpack_from(messages, at)
        if length < _HEADER.size or at + length > len(messages):
            return
        yield kind, messages[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def dump_request(kind: int) -> bytes:
    """The request for all links (``RTM_GETLINK``) or addresses (``RTM_GETADDR``)."""
    body = bytes(_LINK.size)
    return _HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0) + body


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
