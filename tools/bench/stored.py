# SPDX-License-Identifier: Apache-2.0
"""A store as it is after many lookups, so that a benchmark of what is stored need not make them first."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from control.config import ControllerConfig
from control.connection_records import Connection
from control.connection_records import Path as ConnectionPath
from control.records import Node, Service, Status
from control.store.base import Transaction
from control.store.sqlite import SqliteStore
from control.virtual import AddressPool
from moorline.paths import Locator
from moorline.wire import SLOT_BITS

_AT_ONCE = 10_000
_MTU = 1500


def fill_store(state_dir: Path, services: int) -> list[tuple[str, str]]:
    """Store ``services`` on two nodes that are away, and a connection of each with the next.

    Returns the names of each connection's client and server.
    """
    nodes = [
        Node(name, number, locators=(Locator(bytes([10, 0, 0, number]), 2, "eth0", _MTU),), capacity=1 << 20)
        for number, name in enumerate(("server", "laptop"), 1)
    ]
    config = ControllerConfig()
    pool = AddressPool(config.ipv4_prefix, config.ipv6_prefix)
    registered = [
        Service(f"s{i}.bench", nodes[i % 2], 0, *pool.take(f"s{i}.bench"), 0, 0, 1) for i in range(services)
    ]
    connections = [
        _connection(registered[i - 1], registered[i], secrets.randbits(40) << SLOT_BITS | i + 1)
        for i in range(services)
    ]
    state_dir.mkdir(mode=0o700)
    asyncio.run(_store(state_dir / config.store_path.name, [*nodes, *registered, *connections]))
    return [(connection.client.name, connection.server.name) for connection in connections]


def _connection(client: Service, server: Service, scid: int) -> Connection:
    path = ConnectionPath((client.node, server.node), (scid,))
    return Connection(scid, client, server, secrets.token_bytes(32), path, Status.UP, 0, 1)


async def _store(path: Path, records: Sequence[Node | Service | Connection]) -> None:
    store = await SqliteStore.open(path)
    entries: Iterator[tuple[str, bytes]] = ((record.key, record.encode()) for record in records)
    while puts := dict(islice(entries, _AT_ONCE)):
        await store.commit(Transaction(puts=puts))
    await store.close()
