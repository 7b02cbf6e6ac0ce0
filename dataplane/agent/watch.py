# SPDX-License-Identifier: Apache-2.0
"""Watches the host's links, addresses and routes: an rtnetlink socket in the event loop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

import structlog

from dataplane.agent.netlink import (
    NLMSG_DONE,
    RTM_GETADDR,
    RTM_GETLINK,
    RTMGRP_IPV4_IFADDR,
    RTMGRP_IPV4_ROUTE,
    RTMGRP_IPV6_IFADDR,
    RTMGRP_IPV6_ROUTE,
    RTMGRP_LINK,
    Changed,
    HostTable,
    dump_request,
    split,
)

log = structlog.get_logger(__name__)

_GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE
_BUFFER = 1 << 20
_READ = 1 << 16


def read_host() -> HostTable:
    """The host's links and addresses as they stand."""
    table = HostTable()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as handle:
        handle.bind((0, 0))
        for kind in (RTM_GETLINK, RTM_GETADDR):
            handle.send(dump_request(kind))
            while True:
                messages = handle.recv(_READ)
                table.apply(messages)
                if any(found == NLMSG_DONE for found, _ in split(messages)):
                    break
    return table


class HostWatch:
    """Keeps a :class:`HostTable` up to date and tells what changed, once for all that has come in together.

    The callback runs in the event loop right after the kernel's message, with no delay: a burst that is
    already in the socket is one change, and what comes later is the next.
    """

    def __init__(self, on_change: Callable[[Changed], None]) -> None:
        self._on_change = on_change
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind((0, _GROUPS))
        # Read after the socket listens, so that nothing falls between; what is told twice does no harm.
        self.table = read_host()

    def refresh(self) -> None:
        """Read everything anew, without waiting to be told."""
        self.table = read_host()

    def start(self) -> None:
        """Begin to call back."""
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Stop."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        changed = self._drain()
        if changed:
            self._on_change(changed)

    def _drain(self) -> Changed:
        changed = Changed.NOTHING
        while True:
            try:
                changed |= self.table.apply(self._socket.recv(_READ))
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                log.warning("netlink_overrun")
                self.table = read_host()
                changed |= Changed.ADDRESSES | Changed.LINKS | Changed.ROUTES
