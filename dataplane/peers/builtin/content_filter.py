# SPDX-License-Identifier: Apache-2.0
"""A content filter: names that customers are not to reach, as seen in DNS, in TLS and in HTTP.

The kernel hands the few packets that can hold a name to a program, by an interface of the program's; all
others pass without it. Those that it lets go on come back by the same interface.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from dataplane.peers.base import PeerError
from dataplane.peers.config import NameList, PeerConfig, listed_name
from dataplane.peers.recipe import IN, PROBE_SOURCE, TO_INSPECTOR, ProgramPlan, Recipe
from dataplane.peers.wiring import INSPECT

ALLOWED: Final = 1
"""Mark of TLS connections whose name has been seen."""

SETTINGS: Final = "names.json"
_LARGEST_BARE: Final = 100
"""Octets of the longest packet that holds no more than headers."""


def recipe(config: PeerConfig, folder: Path, _cache: Path) -> Recipe:
    """What may hold a name of whose customers has a list; QUIC of theirs is dropped, they have TCP then."""
    lists = [_list(names) for names in config.lists]
    chosen = [_chosen(lists, version) for version in (4, 6)]
    inspect = f"meta mark set meta mark | {TO_INSPECTOR}"
    arriving = [
        f'        iifname "{IN}" ip saddr {PROBE_SOURCE} udp dport 53 {inspect}',
        f'        iifname "{INSPECT}" tcp dport 443 ct mark set {ALLOWED}',
    ]
    for those in filter(None, chosen):
        from_them = f'        iifname "{IN}" {those}'
        arriving += [
            f"{from_them} meta l4proto {{ tcp, udp }} th dport 53 {inspect}",
            f"{from_them} udp dport 443 drop",
            f"{from_them} tcp dport 443 ct mark {ALLOWED} accept",
        ]
        for text in (f"meta length > {_LARGEST_BARE}", "tcp flags & psh == psh"):
            arriving.append(f"{from_them} tcp dport {{ 80, 443 }} {text} {inspect}")
    program = (sys.executable, "-m", "dataplane.peers.inspector", str(folder / SETTINGS))
    return Recipe(
        arriving="\n".join(arriving),
        programs=(ProgramPlan("inspector", program),),
        files={SETTINGS: json.dumps(lists, indent=1)},
    )


def _list(names: NameList) -> dict[str, list[str]]:
    found = list(names.names)
    if names.file is not None:
        try:
            lines = names.file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PeerError(f"list {names.file} cannot be read ({error}): see key file") from error
        found += _names(names.file, lines)
    return {"customers": [str(prefix) for prefix in names.customers], "names": found}


def _names(file: Path, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if text := line.partition("#")[0].strip():
            try:
                yield listed_name(text)
            except ValueError as error:
                raise PeerError(f"list {file} holds {text[:80]!r} in line {number}: {error}") from None


def _chosen(lists: Iterable[dict[str, list[str]]], version: int) -> str:
    """The match for customers of a family who have lists."""
    found = [prefix for one in lists for prefix in one["customers"] if (":" in prefix) == (version == 6)]
    family = "ip" if version == 4 else "ip6"
    return f"{family} saddr {{ {', '.join(dict.fromkeys(found))} }}" if found else ""
