# SPDX-License-Identifier: Apache-2.0
"""Address changes told from node to node, authenticated with a key that the two share. Sans-IO.

A message is UDP to port 6082::

    version (8) | kind (8) | sender's node id (16) | generation (64) | sealed body

sealed with ChaCha20-Poly1305 (RFC 8439); the header is authenticated with it. The controller gives a key to
each two neighbours; that of each direction comes from it by HKDF (RFC 5869) with the node ids of sender and
receiver; the nonce is the kind and the generation. A generation has one set of locators for ever, so a nonce
never seals two different texts. The body of a change is the locators, each ``family (8: 4 or 6) | port (16) |
MTU (16) | address``; that of an acknowledgement is empty.

A change is sent again, at growing distances, until it is acknowledged. It is taken when it is authentic and
its generation is newer than all that was heard of the sender before, which makes a replay worthless.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dataplane.agent.locators import MAX_LOCATORS
from moorline.errors import MoorlineError
from moorline.paths import Locator

VERSION: Final = 3
KEY_OCTETS: Final = 32
RETRY_SECONDS: Final = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)
"""Waiting times after each try; after the last one the controller's word has to do."""

_HEADER: Final = struct.Struct("!BBHQ")
_LOCATOR: Final = struct.Struct("!BHH")
_FAMILY_OCTETS: Final = {4: 4, 6: 16}
_INFO: Final = b"moorline address change 3"


class ChangeError(MoorlineError):
    """A message that is malformed, not authentic or not for this node."""


class Kind(IntEnum):
    """What a message is."""

    CHANGE = 1
    ACKNOWLEDGEMENT = 2


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """A peer's new locators, authentic and newer than before."""

    peer: int
    generation: int
    locators: tuple[Locator, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A peer has taken this node's locators of this generation."""

    peer: int
    generation: int


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a datagram: perhaps an event, perhaps an answer to where it came from."""

    event: PeerMoved | Acknowledged | None
    answer: bytes | None = None


@dataclass(slots=True)
class _Pending:
    generation: int
    datagram: bytes
    tries: int
    due: float


class ChangeExchange:
    """One node's side of it: what is to be sent again when, and what is believed of whom. Time is seconds."""

    def __init__(self, node_id: int) -> None:
        self._node_id = node_id
        self._keys: dict[int, bytes] = {}
        self._heard: dict[int, int] = {}
        self._pending: dict[int, _Pending] = {}

    def set_node(self, node_id: int) -> None:
        """This node's id, which the controller says; with another one, nothing that was under way counts."""
        if node_id != self._node_id:
            self._node_id = node_id
            self._pending.clear()

    def set_key(self, peer: int, key: bytes) -> None:
        """The key that is shared with a peer."""
        if len(key) != KEY_OCTETS or peer == self._node_id:
            return
        if self._keys.get(peer, key) != key:  # another node with this id: it would take nothing of before
            self._pending.pop(peer, None)
        self._keys[peer] = key

    def forget(self, peer: int) -> None:
        """A node that is a peer no longer."""
        self._keys.pop(peer, None)
        self._pending.pop(peer, None)

    def keep_only(self, peers: set[int]) -> None:
        """Forget all other peers."""
        for peer in self._keys.keys() - peers:
            self.forget(peer)

    def heard(self, peer: int, generation: int) -> None:
        """The peer's locators of this generation are known from elsewhere."""
        self._heard[peer] = max(generation, self._heard.get(peer, 0))

    def announce(self, generation: int, locators: Iterable[Locator], now: float) -> None:
        """This node has moved: a message to each peer is due at once."""
        body = encode_locators(locators)
        for peer, key in self._keys.items():
            datagram = _seal(Kind.CHANGE, key, self._node_id, peer, generation, body)
            self._pending[peer] = _Pending(generation, datagram, 0, now)

    def hurry(self, now: float, peer: int | None = None) -> None:
        """Send at once what is still unanswered, to one peer or to all: it has moved too, or there is a route
        now.
        """
        for node_id, pending in self._pending.items():
            if peer in (None, node_id):
                pending.tries, pending.due = 0, now

    def due(self, now: float) -> list[tuple[int, bytes]]:
        """The messages whose time has come, each with the node that it is for."""
        found = []
        for peer, pending in list(self._pending.items()):
            if pending.due > now:
                continue
            if pending.tries == len(RETRY_SECONDS):
                del self._pending[peer]
                continue
            found.append((peer, pending.datagram))
            pending.due = now + RETRY_SECONDS[pending.tries]
            pending.tries += 1
        return found

    def next_due(self) -> float | None:
        """When ``due`` is to be asked next."""
        return min((pending.due for pending in self._pending.values()), default=None)

    def receive(self, datagram: bytes) -> Received:
        """Take in a datagram. Raises ChangeError for all that is not an authentic message to this node."""
        kind, sender, generation = _header(datagram)
        key = self._keys.get(sender)
        if key is None:
            raise ChangeError(f"address change from node {sender}, which is no neighbour: dropped")
        body = _open(key, sender, self._node_id, datagram)
        if kind is Kind.ACKNOWLEDGEMENT:
            return Received(self._acknowledged(sender, generation))
        return self._changed(sender, key, generation, decode_locators(body))

    def _acknowledged(self, peer: int, generation: int) -> Acknowledged | None:
        pending = self._pending.get(peer)
        if pending is None or pending.generation != generation:
            return None
        del self._pending[peer]
        return Acknowledged(peer, generation)

    def _changed(self, peer: int, key: bytes, generation: int, locators: tuple[Locator, ...]) -> Received:
        known = self._heard.get(peer, 0)
        if generation < known:
            return Received(None)
        # Known already: the acknowledgement was lost, or the controller was faster.
        answer = _seal(Kind.ACKNOWLEDGEMENT, key, self._node_id, peer, generation, b"")
        if generation == known:
            return Received(None, answer)
        self._heard[peer] = generation
        return Received(PeerMoved(peer, generation, locators), answer)


def encode_locators(locators: Iterable[Locator]) -> bytes:
    """The body of a change; interface names stay at home."""
    body = b""
    for locator in list(locators)[:MAX_LOCATORS]:
        family = 4 if len(locator.address) == 4 else 6
        body += _LOCATOR.pack(family, locator.port, min(locator.mtu, 0xFFFF)) + locator.address
    return body


def decode_locators(body: bytes) -> tuple[Locator, ...]:
    """The reverse of :func:`encode_locators`. Raises ChangeError."""
    found: list[Locator] = []
    at = 0
    while at < len(body):
        if at + _LOCATOR.size > len(body) or len(found) == MAX_LOCATORS:
            raise ChangeError(f"address change has a malformed body of {len(body)} octets: dropped")
        family, port, mtu = _LOCATOR.unpack_from(body, at)
        end = at + _LOCATOR.size + _FAMILY_OCTETS.get(family, len(body))
        if end > len(body):
            raise ChangeError(f"address change has a malformed body of {len(body)} octets: dropped")
        found.append(Locator(body[at + _LOCATOR.size : end], port, "", mtu))
        at = end
    return tuple(found)


def _header(datagram: bytes) -> tuple[Kind, int, int]:
    if len(datagram) < _HEADER.size:
        raise ChangeError(f"address change is cut off after {len(datagram)} octets: dropped")
    version, kind, sender, generation = _HEADER.unpack_from(datagram)
    if version != VERSION or kind not in (Kind.CHANGE, Kind.ACKNOWLEDGEMENT):
        raise ChangeError(f"address change of version {version}, kind {kind} is unknown: dropped")
    return Kind(kind), sender, generation


def _cipher(key: bytes, sender: int, receiver: int) -> ChaCha20Poly1305:
    info = _INFO + struct.pack("!HH", sender, receiver)
    return ChaCha20Poly1305(HKDF(SHA256(), KEY_OCTETS, salt=None, info=info).derive(key))


def _nonce(header: bytes) -> bytes:
    _version, kind, _sender, generation = _HEADER.unpack(header)
    return struct.pack("!IQ", kind, generation)


def _seal(kind: Kind, key: bytes, sender: int, receiver: int, generation: int, body: bytes) -> bytes:
    header = _HEADER.pack(VERSION, kind, sender, generation)
    return header + _cipher(key, sender, receiver).encrypt(_nonce(header), body, header)


def _open(key: bytes, sender: int, receiver: int, datagram: bytes) -> bytes:
    header = datagram[: _HEADER.size]
    try:
        return _cipher(key, sender, receiver).decrypt(_nonce(header), datagram[_HEADER.size :], header)
    except InvalidTag:
        raise ChangeError(f"address change from node {sender} is not authentic: dropped") from None
