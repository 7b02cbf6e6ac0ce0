# SPDX-License-Identifier: Apache-2.0
"""The controller as a whole, with fake nodes."""

from __future__ import annotations

from pathlib import Path

from moorline.addresses import mapped
from tests.unit.control.site import Site


async def test_lookup_programs_both_ends(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        answer = await site.lookup("laptop.demo", "files.demo")
        assert answer.scid >> 24
        assert not answer.key  # an operator is no end of the connection
        for node, local, peer in (
            (one, answer.client_ipv4, answer.server_ipv4),
            (two, answer.server_ipv4, answer.client_ipv4),
        ):
            entry = node.plane.entry("scid", answer.scid)
            assert entry is not None
            assert node.plane.params(entry)["local4"] == local
            assert node.plane.params(entry)["peer4"] == peer
            assert node.plane.entry("connection", 0, mapped(local), mapped(peer)) is not None
            assert len(node.plane.tables["connection"]) == 2
            assert len(node.plane.tables["locator"]) == 1
