# SPDX-License-Identifier: Apache-2.0
"""Makes a case smaller while targets still differ in the same: fewer entries, then a plainer frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from tools.fuzz.generate import SHORTEST, mend
from tools.fuzz.rules import DATA_HEADER, IPV4, IPV6, link
from tools.fuzz.template import Template
from tools.vectors.model import Entry

from .drive import Case

Differs = Callable[[tuple[Entry, ...], int, bytes], str]
"""In what targets differ over a frame; empty when in nothing."""

_SIZES: Final = re.compile(r"\(\d+, \d+\)")
_TAG: Final = slice(12, 16)


def kind(difference: str) -> str:
    """What kind of difference it is, whatever the numbers of octets."""
    return _SIZES.sub(lambda counts: "-" if counts[0].startswith("(0,") else "+", difference)


def minimise(case: Case, differs: Differs) -> Case:
    """The smallest case that it comes to."""
    wanted = kind(case.difference)

    def same(entries: tuple[Entry, ...], frame: bytes) -> bool:
        return kind(differs(entries, case.port, frame)) == wanted

    if not same(case.entries, case.frame):
        return case  # it does not happen to the frame alone
    entries = _fewer(case.entries, lambda some: same(some, case.frame))
    frame = _plainer(case.frame, case.port, lambda other: same(entries, other))
    return Case(entries, case.port, frame, differs(entries, case.port, frame))


def _fewer(entries: tuple[Entry, ...], holds: Callable[[tuple[Entry, ...]], bool]) -> tuple[Entry, ...]:
    """Leave out entries in runs of halving length."""
    size = len(entries) // 2
    while size:
        at = 0
        while at < len(entries):
            without = entries[:at] + entries[at + size :]
            if holds(without):
                entries = without
            else:
                at += size
        size //= 2
    return entries


def _plainer(frame: bytes, port: int, holds: Callable[[bytes], bool]) -> bytes:
    """Take attempt after attempt, until none makes the frame plainer."""
    changed = True
    while changed:
        changed = False
        for attempt in _attempts(frame):
            for form in (attempt, _mended(attempt, port)):
                if _plainness(form) < _plainness(frame) and holds(form):
                    frame, changed = form, True
                    break
            if changed:
                break
    return frame


def _plainness(frame: bytes) -> tuple[int, int]:
    return len(frame), len(frame) - frame.count(0)


def _attempts(frame: bytes) -> Iterator[bytes]:
    """Shorter frames, then frames with more zeros."""
    if frame[_TAG][:2] in (b"\x81\x00", b"\x88\xa8"):
        yield frame[:12] + frame[16:]
    cut = len(frame) - SHORTEST
    while cut > 0:
        yield frame[: len(frame) - cut]
        cut //= 2
    for size in (16, 8, 4, 2, 1):
        for at in range(0, len(frame), size):
            if any(frame[at : at + size]):
                yield frame[:at] + bytes(len(frame[at : at + size])) + frame[at + size :]


def _mended(frame: bytes, port: int) -> bytes:
    """The frame with lengths and checksums made right, as far as its headers are where they usually are."""
    at, ethertype = link(frame)
    if ethertype not in (IPV4, IPV6) or len(frame) < at + 20:
        return frame
    udp = at + (20 if ethertype == IPV4 else 40)
    tunnelled = frame[udp + 2 : udp + 4] == b"\x17\xc1"
    headers = (udp, udp + 8, udp + 8 + DATA_HEADER) if tunnelled else (0, 0, 0)
    mended = bytearray(frame)
    mend(mended, Template(port, frame, at, *headers))
    return bytes(mended)
