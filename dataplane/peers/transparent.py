# SPDX-License-Identifier: Apache-2.0
"""Hands nginx sockets that take connections to anybody's address, which it cannot open by itself.

``python -m dataplane.peers.transparent PORT nginx ...``: it takes them over as from an earlier nginx.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Final

_IP_TRANSPARENT: Final = 19
_IPV6_TRANSPARENT: Final = 75
_BACKLOG: Final = 4096


def listening(family: socket.AddressFamily, port: int) -> socket.socket:
    """A listening socket for connections to any address."""
    handle = socket.socket(family, socket.SOCK_STREAM)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET:
        handle.setsockopt(socket.SOL_IP, _IP_TRANSPARENT, 1)
    else:
        handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        handle.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    handle.bind(("0.0.0.0" if family == socket.AF_INET else "::", port))  # noqa: S104 - only in its namespace
    handle.listen(_BACKLOG)
    handle.set_inheritable(True)
    return handle


def main() -> None:
    """Open the sockets, and become nginx."""
    port, *command = sys.argv[1:]
    handles = [listening(family, int(port)) for family in (socket.AF_INET, socket.AF_INET6)]
    os.environ["NGINX"] = "".join(f"{handle.fileno()};" for handle in handles)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
