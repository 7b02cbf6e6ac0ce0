# SPDX-License-Identifier: Apache-2.0
"""Takes a switch away from the controller: ``python -m tests.lab.rival TARGET [COOKIE]``.

It becomes primary with an election id above the controller's and empties the table ``scid``; or, with a
cookie, sets the pipeline anew under it. Then it says ``done``, and stays until its standard input ends.
"""

from __future__ import annotations

import asyncio
import sys

from finsy.proto import p4r

from control.config import ControllerConfig
from control.southbound.client import P4RuntimeClient
from control.southbound.contract import Contract
from control.southbound.program import Program

ELECTION = (1 << 64) + 1


async def main(target: str, cookie: int) -> None:
    config = ControllerConfig()
    contract = Contract.load(config.p4info)
    async with P4RuntimeClient("the switch", target, None, []) as client:
        await client.bid(ELECTION)
        while (await client.receive()).arbitration.status.code:
            pass
        if cookie:
            pipeline = Program.load(contract, config.p4json).config
            pipeline.cookie.cookie = cookie
            await client.set_pipeline(pipeline)
        else:
            await empty(client, contract.tables["scid"].id)
        print("done", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def empty(client: P4RuntimeClient, table: int) -> None:
    request = client.request()
    async for entities in client.read(p4r.Entity(table_entry=p4r.TableEntry(table_id=table))):
        for entity in entities:
            request.updates.add(type=p4r.Update.DELETE).entity.table_entry.CopyFrom(entity.table_entry)
    refused = await client.write(request)
    assert not refused, refused


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
