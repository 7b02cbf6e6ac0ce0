# SPDX-License-Identifier: Apache-2.0
"""Digests: what data planes tell of packets that the controller does not get to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import structlog
from finsy.proto import p4i, p4r, rpc_code

from control.errors import StartError
from control.southbound.client import P4RuntimeClient
from control.southbound.contract import INSERT, MODIFY

log = structlog.get_logger(__name__)

LIST_SIZE: Final = 128
LIST_NS: Final = 50_000_000
"""A list is sent when it has so many messages, or its first has waited so long (nanoseconds)."""

ACKNOWLEDGED_NS: Final = 1_000_000_000
"""For so long a message is not repeated while we have not acknowledged it."""

_UNKNOWN: Final = "scid_unknown"


class DigestFormat:
    """The digest of packets with an SCID that is not in the table; :class:`StartError` if there is none."""

    def __init__(self, p4info: p4i.P4Info) -> None:
        structs = p4info.type_info.structs
        ids = {digest.preamble.alias: digest.preamble.id for digest in p4info.digests}
        try:
            self.id = ids[_UNKNOWN]
            self._scid = [member.name for member in structs[_UNKNOWN].members].index("scid")
        except (KeyError, ValueError) as error:
            raise StartError(f"the contract's digests lack {error}: set another p4info") from error

    def scids(self, digests: p4r.DigestList) -> Iterator[int]:
        """The SCIDs in a list; none in a list of other digests."""
        if digests.digest_id == self.id:
            for data in digests.data:
                yield int.from_bytes(data.struct.members[self._scid].bitstring)


async def subscribe(client: P4RuntimeClient, p4info: p4i.P4Info) -> None:
    """Ask a data plane for all digests; one that has none goes without.

    What is as it should be already is not written again: BMv2 is not at its best where timers are replaced.
    """
    wanted = [_entry(digest.preamble.id) for digest in p4info.digests]
    refused = await _write(client, INSERT, wanted)
    there = [wanted[at] for at, (code, _) in refused.items() if code == rpc_code.ALREADY_EXISTS]
    refused = {at: why for at, why in refused.items() if why[0] != rpc_code.ALREADY_EXISTS}
    refused |= await _write(client, MODIFY, [entry for entry in there if not await _stands(client, entry)])
    for _, message in refused.values():
        log.warning("digest_refused", node=client.name, why=message)


async def _stands(client: P4RuntimeClient, entry: p4r.DigestEntry) -> bool:
    asked = p4r.Entity(digest_entry=p4r.DigestEntry(digest_id=entry.digest_id))
    return entry in [one.digest_entry async for entities in client.read(asked) for one in entities]


def acknowledgement(digests: p4r.DigestList) -> p4r.StreamMessageRequest:
    """That a list has arrived."""
    ack = p4r.DigestListAck(digest_id=digests.digest_id, list_id=digests.list_id)
    return p4r.StreamMessageRequest(digest_ack=ack)


def _entry(digest_id: int) -> p4r.DigestEntry:
    config = p4r.DigestEntry.Config(
        max_timeout_ns=LIST_NS, max_list_size=LIST_SIZE, ack_timeout_ns=ACKNOWLEDGED_NS
    )
    return p4r.DigestEntry(digest_id=digest_id, config=config)


async def _write(
    client: P4RuntimeClient, kind: int, entries: Iterable[p4r.DigestEntry]
) -> dict[int, tuple[int, str]]:
    request = client.request()
    for entry in entries:
        request.updates.add(type=kind, entity=p4r.Entity(digest_entry=entry))
    return await client.write(request) if request.updates else {}
