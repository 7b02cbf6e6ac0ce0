# SPDX-License-Identifier: Apache-2.0
"""Answers programs of a feature peer that ask for names, by the host's own resolvers.

``python -m dataplane.peers.resolver NAMESPACE OWN RESOLV_CONF [SERVER...]``, the fields of :class:`Upstream`
after the namespace's name. The node's own server is not asked: customers choose the names, and are not to
have connections made to services.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from threading import Thread
from typing import Final

from dnslib import RCODE

from dataplane.agent import dns_core as core
from dataplane.agent.dns_upstream import PORT, Upstream
from dataplane.peers.namespace import Namespace
from moorline.dns_transport import DnsListener

ADDRESS: Final = "127.0.0.1"
"""In the peer's namespace."""


def command(namespace: Namespace, upstream: Upstream) -> tuple[str, ...]:
    """The command line, to be run outside."""
    where = (namespace.name, upstream.own, str(upstream.resolv_conf), *upstream.given)
    return (sys.executable, "-m", __name__, *where)


async def serve(upstream: Upstream, outside: asyncio.AbstractEventLoop) -> None:
    """Listen where this thread is, and ask where the thread of ``outside`` is, for ever. Raises OSError."""

    async def answer(packet: bytes, *, tcp: bool) -> bytes | None:
        query = core.parse(packet)
        if query is None:
            return None
        asked = asyncio.run_coroutine_threadsafe(upstream.ask(packet, tcp=tcp), outside)
        found = await asyncio.wrap_future(asked)
        return found if found is not None else core.refuse(query, RCODE.SERVFAIL)

    await DnsListener(lambda _client: answer).listen(ADDRESS, PORT)
    await asyncio.Event().wait()


def main() -> None:
    """Answer until told to end."""
    name, own, resolv_conf, *given = sys.argv[1:]
    outside = asyncio.new_event_loop()
    Thread(target=outside.run_forever, daemon=True).start()
    # It is the first thread by which the namespace's programs are found, when they are to end.
    Namespace(name).enter()
    asyncio.run(serve(Upstream(own, Path(resolv_conf), tuple(given)), outside))


if __name__ == "__main__":
    main()
