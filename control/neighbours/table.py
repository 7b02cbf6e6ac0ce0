# SPDX-License-Identifier: Apache-2.0
"""The neighbours of one switch: found, kept fresh, given up; and its answers to theirs. Sans-IO.

Only neighbours that somebody wants are kept, so that no stranger can fill the table, and each at its own port
only. A neighbour goes through the states of RFC 4861, section 7.3.2, with two differences: nobody tells
whether packets arrive, so that each is asked again when its time is over; and the packets of one whose
link-layer address is doubted go on to that address meanwhile.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from control.neighbours.arp import Arp, Operation
from control.neighbours.frame import Frame, is_station
from control.neighbours.link import Link
from control.neighbours.ndisc import Advertisement, Solicitation, parse
from moorline import ethernet
from moorline.limits import Limiter

RETRANSMIT: Final = 1.0
REACHABLE: Final = 30.0
"""Seconds: RFC 4861, section 10. Neighbours are asked again after 0.5 to 1.5 times the latter."""

ATTEMPTS: Final = 3
"""Questions to the station that had the address, then to all, before it is given up."""

_MOST_DOUBLINGS: Final = 5
"""Of the time between two questions for a neighbour that never answers: 32 seconds in the end."""

LOCK: Final = 1.0
"""Seconds for which a link-layer address that was just learned is not replaced: of two machines with one
address each answers to every question."""

LIMIT: Final = 3072
"""Neighbours of one switch; its table of next hops has to hold them."""

QUESTIONS_PER_SECOND: Final = 500.0
QUESTIONS_BURST: Final = 100.0
"""Of one switch: a broadcast costs everybody on the link."""

ANSWERS_PER_SECOND: Final = 200.0
ANSWERS_BURST: Final = 100.0
"""Of one port."""

DEFENCE_INTERVAL: Final = 10.0
"""Seconds between two announcements that an address is ours (RFC 5227, section 2.4 (b))."""

Key = tuple[int, bytes]
"""A port, and an address in 4 or 16 octets."""


@dataclass(frozen=True, slots=True)
class Send:
    """A frame is to leave by a port."""

    port: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Resolved:
    """A neighbour is at ``mac`` now; None: nobody knows."""

    port: int
    address: bytes
    mac: bytes | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another machine has one of the switch's own addresses."""

    port: int
    address: bytes
    mac: bytes


Output = Send | Resolved | Conflict


@dataclass(slots=True, eq=False)
class _Neighbour:
    """``questions`` that were asked since the last answer; ``due``: when the next is to be asked.

    ``noted`` is the time of its note on the agenda, not later than ``due``; what another time says is void.
    """

    link: Link
    address: bytes
    source: bytes
    mac: bytes | None = None
    questions: int = 0
    due: float = 0.0
    noted: float = float("inf")
    learned: float = float("-inf")


@dataclass(slots=True, eq=False)
class _Port:
    link: Link
    answers: Limiter = field(default_factory=lambda: Limiter(ANSWERS_PER_SECOND, ANSWERS_BURST))
    defended: float = float("-inf")


class Neighbours:
    """All ports of one switch."""

    def __init__(self) -> None:
        self._ports: dict[int, _Port] = {}
        self._neighbours: dict[Key, _Neighbour] = {}
        self._agenda: list[tuple[float, int, _Neighbour]] = []
        self._notes = 0
        self._questions = Limiter(QUESTIONS_PER_SECOND, QUESTIONS_BURST)
        self._held_back = 0.0

    @property
    def deadline(self) -> float:
        """When :meth:`tick` has something to do; infinity when it has nothing."""
        return max(self._agenda[0][0], self._held_back) if self._agenda else float("inf")

    def mac_of(self, port: int, address: bytes) -> bytes | None:
        """Where a neighbour is; None when that is not known."""
        neighbour = self._neighbours.get((port, address))
        return neighbour.mac if neighbour is not None else None

    def known(self) -> Iterator[tuple[Link, bytes, bytes]]:
        """All neighbours of which it is known where they are: link, address, link-layer address."""
        return ((one.link, one.address, one.mac) for one in self._neighbours.values() if one.mac is not None)

    def __len__(self) -> int:
        return len(self._neighbours)

    # ---- what is wanted ------------------------------------------------------------------------------------

    def configure(self, links: Iterable[Link], wanted: Iterable[Key], now: float) -> list[Output]:
        """Set the ports, and the neighbours that are to be known; what is beyond :data:`LIMIT` is not sought.

        A neighbour that its port has no address to ask from is passed over.
        """
        outputs = self._set_links({link.port: link for link in links})
        keys = [key for key in dict.fromkeys(wanted) if self._can_ask(key)][:LIMIT]
        for key in self._neighbours.keys() - set(keys):
            del self._neighbours[key]
        for port, address in keys:
            link = self._ports[port].link
            known = self._neighbours.get((port, address))
            if known is None or known.link != link:
                source = link.source_for(address)
                assert source is not None
                neighbour = _Neighbour(link, address, source, known.mac if known else None)
                self._neighbours[port, address] = neighbour
                self._appoint(neighbour, now)
        self._agenda = [one for one in self._agenda if self._is_kept(one[2])]
        heapq.heapify(self._agenda)
        return outputs

    def _set_links(self, links: Mapping[int, Link]) -> list[Output]:
        """Take ports over; those that are new announce their addresses."""
        outputs: list[Output] = []
        for link in links.values():
            port = self._ports.get(link.port)
            if port is None or port.link != link:
                self._ports[link.port] = _Port(link)
                outputs += [Send(link.port, link.announce(own.packed)) for own in link.addresses]
        for number in self._ports.keys() - links.keys():
            del self._ports[number]
        return outputs

    def _can_ask(self, key: Key) -> bool:
        port = self._ports.get(key[0])
        return port is not None and port.link.source_for(key[1]) is not None and not port.link.owns(key[1])

    def adopt(self, port: int, address: bytes, mac: bytes, now: float) -> bool:
        """Take over what the switch itself remembers of a neighbour, until it has answered.

        Returns whether it is wanted, and was not known.
        """
        neighbour = self._neighbours.get((port, address))
        if neighbour is None or neighbour.mac is not None:
            return False
        neighbour.mac = mac
        self._ask_soon(neighbour, now)
        return True

    # ---- time ----------------------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """Ask whom it is time to ask."""
        outputs: list[Output] = []
        while self._agenda and self._agenda[0][0] <= now:
            noted, _, neighbour = self._agenda[0]
            if noted != neighbour.noted or not self._is_kept(neighbour):
                heapq.heappop(self._agenda)
                continue
            if neighbour.due > now:
                heapq.heappop(self._agenda)
                self._note(neighbour)
                continue
            if not self._questions.allows(now):
                self._held_back = now + 1 / QUESTIONS_PER_SECOND
                break
            heapq.heappop(self._agenda)
            neighbour.noted = float("inf")
            outputs += self._ask(neighbour, now)
        return outputs

    def _ask(self, neighbour: _Neighbour, now: float) -> list[Output]:
        outputs: list[Output] = []
        link = neighbour.link
        if neighbour.mac is not None and neighbour.questions == 2 * ATTEMPTS:
            neighbour.mac = None
            neighbour.questions = 0
            outputs.append(Resolved(link.port, neighbour.address, None))
        station = neighbour.mac if neighbour.questions < ATTEMPTS else None
        outputs.append(Send(link.port, link.request(neighbour.source, neighbour.address, station)))
        neighbour.questions += 1
        self._appoint(neighbour, now + _pause(neighbour))
        return outputs

    def _appoint(self, neighbour: _Neighbour, at: float) -> None:
        neighbour.due = at
        if at < neighbour.noted:
            self._note(neighbour)

    def _note(self, neighbour: _Neighbour) -> None:
        neighbour.noted = neighbour.due
        self._notes += 1
        heapq.heappush(self._agenda, (neighbour.due, self._notes, neighbour))

    def _ask_soon(self, neighbour: _Neighbour, now: float) -> None:
        neighbour.questions = 0
        self._appoint(neighbour, now)

    def _is_kept(self, neighbour: _Neighbour) -> bool:
        return self._neighbours.get((neighbour.link.port, neighbour.address)) is neighbour

    # ---- frames --------------------------------------------------------------------------------------------

    def received(self, port: int, data: bytes, now: float) -> list[Output]:
        """Take in a frame that arrived at a port; anything but sound messages of its link is passed over."""
        frame = Frame.parse(data)
        at = self._ports.get(port)
        if frame is None or at is None or not at.link.hears(frame):
            return []
        if frame.kind == ethernet.ARP and (arp := Arp.parse(frame.payload)) is not None:
            return self._arp(at, arp, now, to_us=frame.destination == at.link.mac)
        match parse(frame.payload) if frame.kind == ethernet.IPV6 else None:
            case Solicitation() as solicitation:
                return self._solicited(at, solicitation, frame.source, now)
            case Advertisement() as advertisement:
                return self._advertised(at, advertisement, now)
        return []

    def _arp(self, at: _Port, arp: Arp, now: float, *, to_us: bool) -> list[Output]:
        if not is_station(arp.sender_mac) or arp.sender_mac == at.link.mac:
            return []
        if at.link.owns(arp.sender):
            return self._defend(at, arp.sender, arp.sender_mac, now)
        is_answer = arp.operation is Operation.REPLY and to_us
        outputs = self._learn(at, arp.sender, arp.sender_mac, now, confirmed=is_answer)
        if arp.operation is Operation.REQUEST and at.link.owns(arp.target) and at.answers.allows(now):
            outputs.append(Send(at.link.port, at.link.answer_arp(arp)))
        return outputs

    def _solicited(self, at: _Port, asked: Solicitation, source: bytes, now: float) -> list[Output]:
        mac = asked.mac or source
        if not is_station(mac) or mac == at.link.mac:
            return []
        if at.link.owns(asked.source):
            return self._defend(at, asked.source, mac, now)
        outputs: list[Output] = []
        if asked.mac is not None:
            outputs = self._learn(at, asked.source, mac, now, confirmed=False)
        if at.link.owns(asked.target) and at.answers.allows(now):
            outputs.append(Send(at.link.port, at.link.answer_solicitation(asked, source)))
        return outputs

    def _advertised(self, at: _Port, message: Advertisement, now: float) -> list[Output]:
        if message.solicited and not at.link.owns(message.destination):
            return []
        neighbour = self._neighbours.get((at.link.port, message.target))
        mac = message.mac or (neighbour.mac if neighbour is not None else None)
        if mac is None or not is_station(mac) or mac == at.link.mac:
            return []
        if at.link.owns(message.target):
            return self._defend(at, message.target, mac, now)
        if neighbour is not None and neighbour.mac not in (None, mac) and not message.override:
            # RFC 4861, section 7.2.5 (I): doubt what is known, but go on with it.
            if not neighbour.questions:
                self._ask_soon(neighbour, now)
            return []
        return self._learn(at, message.target, mac, now, confirmed=message.solicited)

    def _learn(self, at: _Port, address: bytes, mac: bytes, now: float, *, confirmed: bool) -> list[Output]:
        """Note where a wanted neighbour is; unless it answered a question it is asked at once whether so."""
        neighbour = self._neighbours.get((at.link.port, address))
        if neighbour is None:
            return []
        same = neighbour.mac == mac
        if not same and neighbour.mac is not None and now - neighbour.learned < LOCK:
            # Two changes in a row, or two machines: the one that was first is asked once more, then all.
            if not neighbour.questions:
                neighbour.questions = ATTEMPTS - 1
                self._appoint(neighbour, neighbour.learned + LOCK)
            return []
        if confirmed:
            neighbour.questions = 0
            self._appoint(neighbour, now + REACHABLE * _share(neighbour))
        elif not same:
            self._ask_soon(neighbour, now)
        if same:
            return []
        neighbour.mac, neighbour.learned = mac, now
        return [Resolved(at.link.port, address, mac)]

    def _defend(self, at: _Port, own: bytes, mac: bytes, now: float) -> list[Output]:
        if now - at.defended < DEFENCE_INTERVAL:
            return []
        at.defended = now
        return [Conflict(at.link.port, own, mac), Send(at.link.port, at.link.announce(own))]


def _pause(neighbour: _Neighbour) -> float:
    """Seconds until the next question: longer and longer for one that never answers."""
    if neighbour.mac is not None:
        return RETRANSMIT
    doublings = min(max(neighbour.questions - ATTEMPTS, 0), _MOST_DOUBLINGS)
    return float(RETRANSMIT * 2**doublings)


def _share(neighbour: _Neighbour) -> float:
    """0.5 to 1.5, the same for a neighbour at all times: spreads the questions (RFC 4861, section 6.3.2)."""
    return 0.5 + crc32(neighbour.address) / 2**32
