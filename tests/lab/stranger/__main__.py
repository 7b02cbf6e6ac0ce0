# SPDX-License-Identifier: Apache-2.0
"""A stranger at a node's P4Runtime port: p4runtime-shell, which knows of Moorline only what the P4Info says.

Run by ``test_stranger_shell.py`` with the Python of p4runtime-shell's own environment, inside a host's
namespace: ``python stranger SITUATION``, a JSON object. Writes what it saw to its standard output, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import p4runtime_sh.shell as sh
from entries import ROWS, key, message, seen, typed, wanted
from google.protobuf import text_format
from p4runtime_sh.context import P4Type
from p4runtime_sh.p4runtime import SSLOptions
from refusals import ELECTION, arbitration, batches, full_tables, non_canonical, refusals
from traffic import counters, idle, mapped, packets


def contract() -> dict[str, Any]:
    tables = {table.preamble.alias: table.preamble.id for table in sh.P4Objects(P4Type.table)}
    p4info = sh.client.get_p4info()
    return {"p4info": text_format.MessageToString(p4info), "tables": tables, "version": sh.APIVersion()}


def programming() -> dict[str, Any]:
    """Insert, read, modify, read, delete, read; in every table."""
    story = {}
    for table, (match, first, second) in ROWS.items():
        steps: dict[str, Any] = {}
        typed(table, match, *first).insert()
        steps["inserted"] = seen(table, match)
        steps["among all"] = key(message(table)) in [
            key(entry.msg()) for entry in sh.TableEntry(table).read()
        ]
        typed(table, match, *second).modify()
        steps["modified"] = seen(table, match)
        typed(table, match).delete()
        steps["deleted"] = seen(table, match)
        steps["wanted"] = [wanted(message(table, row)) for row in (1, 2)]
        story[table] = steps
    return story


def mess(situation: dict[str, Any]) -> None:
    """What no controller would leave: its own entries gone, others there."""
    match = {"tenant": "0", "src": mapped(situation["source"]), "dst": mapped(situation["target"])}
    typed("connection", match).delete()
    for table in ("scid", "connection", "locator"):
        typed(table, ROWS[table][0], *ROWS[table][1]).insert()


def main(arguments: Sequence[str]) -> None:
    situation = json.loads(arguments[0])
    folder = Path(situation["credentials"])
    options = SSLOptions(False, *(str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem")))
    sh.setup(1, situation["address"], ELECTION, ssl_options=options, verbose=False)
    try:
        story = {
            "contract": contract(),
            "programming": programming(),
            "refusals": refusals(),
            "non-canonical": non_canonical(),
            "full": full_tables(),
            "batches": batches(),
            "arbitration": arbitration(situation, options),
            "counters": counters(situation),
            "packets": packets(situation),
            "idle": idle(),
        }
        mess(situation)
    finally:
        sh.teardown()
    print(json.dumps(story))


if __name__ == "__main__":
    main(sys.argv[1:])
