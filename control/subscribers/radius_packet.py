# SPDX-License-Identifier: Apache-2.0
"""Accounting packets of RADIUS (RFC 2866): checked for who sent them, then read. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

from pydantic import ValidationError
from pyrad.dictionary import Dictionary
from pyrad.packet import AccountingRequest, AcctPacket, PacketError, StatusServer

from control.subscribers.model import UserTunnel, check_text
from control.subscribers.records import Traffic
from moorline.addresses import Network, stands_for_ipv4
from moorline.errors import MoorlineError

HEADER_OCTETS: Final = 20
MAX_OCTETS: Final = 4096
"""Of a packet (RFC 2865, section 3)."""

_NO_ADDRESS: Final = {IPv4Address("255.255.255.255"), IPv4Address("255.255.255.254"), IPv4Address(0)}
"""What stands for an address that somebody else chooses (RFC 2865, section 5.8)."""

_TUNNEL_KINDS: Final = {7: "ipip", 10: "gre", 12: "ipip"}
"""Values of Tunnel-Type (RFC 2868, section 3.1)."""

_MAX_TAG: Final = 0x1F
_DICTIONARY: Final = Dictionary()
"""Empty: attributes are known by their numbers, whatever an operator's dictionary calls them."""


class Reason(StrEnum):
    """Why a packet is dropped."""

    UNKNOWN_CLIENT = "unknown_client"
    MALFORMED = "malformed"
    BAD_AUTHENTICATOR = "bad_authenticator"
    NO_ACCOUNTING = "no_accounting"
    """Another code than Accounting-Request and Status-Server."""

    INCOMPLETE = "incomplete"
    """No status, session or customer, or a value that means nothing."""

    BUSY = "busy"


class RadiusError(MoorlineError):
    """A packet that is dropped."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Attribute(IntEnum):
    """The attributes that are read (RFC 2865, 2866, 2868, 2869, 3162, 4818, 6911)."""

    USER_NAME = 1
    NAS_IP_ADDRESS = 4
    NAS_PORT = 5
    FRAMED_IP_ADDRESS = 8
    FILTER_ID = 11
    CLASS = 25
    CALLING_STATION_ID = 31
    NAS_IDENTIFIER = 32
    ACCT_STATUS_TYPE = 40
    ACCT_DELAY_TIME = 41
    ACCT_INPUT_OCTETS = 42
    ACCT_OUTPUT_OCTETS = 43
    ACCT_SESSION_ID = 44
    ACCT_INPUT_PACKETS = 47
    ACCT_OUTPUT_PACKETS = 48
    ACCT_INPUT_GIGAWORDS = 52
    ACCT_OUTPUT_GIGAWORDS = 53
    TUNNEL_TYPE = 64
    TUNNEL_CLIENT_ENDPOINT = 66
    TUNNEL_PRIVATE_GROUP_ID = 81
    NAS_PORT_ID = 87
    NAS_IPV6_ADDRESS = 95
    FRAMED_IPV6_PREFIX = 97
    DELEGATED_IPV6_PREFIX = 123
    FRAMED_IPV6_ADDRESS = 168


class Status(IntEnum):
    """Values of Acct-Status-Type (RFC 2866, section 5.1) that are acted upon."""

    START = 1
    STOP = 2
    INTERIM = 3
    ON = 7
    OFF = 8


@dataclass(frozen=True, slots=True)
class Report:
    """What an Accounting-Request says; ``port`` is a port's name or number at the server.

    ``status`` is None for a Status-Server request, and for a status that nothing follows from.
    """

    status: Status | None
    nas: str = ""
    session: str = ""
    customer: str = ""
    station: str = ""
    prefixes: tuple[Network, ...] = ()
    profiles: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    tunnel: UserTunnel | None = None
    delay_seconds: int = 0
    traffic: Traffic = field(default_factory=Traffic)


@dataclass(frozen=True, slots=True)
class Request:
    """A packet whose sender is known: what it says, and what to answer once that is stored."""

    report: Report
    answer: bytes


def read(data: bytes, secret: bytes) -> Request:
    """Check and read a datagram of a client with this secret; raises :class:`RadiusError`."""
    _check_shape(data)
    if data[0] not in (AccountingRequest, StatusServer):
        raise RadiusError(Reason.NO_ACCOUNTING, f"code {data[0]} is not taken: send Accounting-Request")
    try:
        packet = AcctPacket(secret=secret, dict=_DICTIONARY, packet=data)
    except (PacketError, ValueError, IndexError, KeyError) as error:
        raise RadiusError(Reason.MALFORMED, f"it cannot be read ({type(error).__name__})") from None
    if not _is_authentic(packet):
        raise RadiusError(Reason.BAD_AUTHENTICATOR, "its authenticator is wrong: compare the secrets")
    report = Report(None) if data[0] == StatusServer else _Reader(packet).report()
    return Request(report, packet.CreateReply().ReplyPacket())


def _is_authentic(packet: Any) -> bool:
    if packet.message_authenticator and len(dict.__getitem__(packet, 80)[0]) != 16:
        return False
    return bool(packet.VerifyAcctRequest()) and (
        not packet.message_authenticator or bool(packet.verify_message_authenticator())
    )


def _check_shape(data: bytes) -> None:
    """Whether lengths fit together (RFC 2865, section 3); what follows the packet is padding."""
    length = int.from_bytes(data[2:4])
    if not HEADER_OCTETS <= length <= min(len(data), MAX_OCTETS):
        raise RadiusError(Reason.MALFORMED, f"its length is {length} in {len(data)} octets")
    at = HEADER_OCTETS
    while at < length:
        size = data[at + 1] if at + 1 < length else 0
        if size < 2 or at + size > length:
            raise RadiusError(Reason.MALFORMED, f"an attribute at octet {at} has a wrong length")
        at += size


class _Reader:
    """Reads the attributes of an authentic request; raises :class:`RadiusError`."""

    def __init__(self, packet: Any) -> None:
        self._packet = packet

    def report(self) -> Report:
        number = self._integer(Attribute.ACCT_STATUS_TYPE)
        if number is None:
            raise RadiusError(Reason.INCOMPLETE, "it has no Acct-Status-Type")
        try:
            status = Status(number)
        except ValueError:
            return Report(None)  # of tunnels and links (RFC 2867): theirs is to be answered all the same
        nas = self._nas()
        if status in (Status.ON, Status.OFF):
            return Report(status, nas)
        station = self._text(Attribute.CALLING_STATION_ID)
        return Report(
            status,
            nas,
            self._required(Attribute.ACCT_SESSION_ID),
            self._text(Attribute.USER_NAME) or station or self._required(Attribute.USER_NAME),
            station,
            tuple(dict.fromkeys(self._prefixes())),
            tuple(dict.fromkeys(self._profiles())),
            tuple(self._ports()),
            self._tunnel(),
            self._integer(Attribute.ACCT_DELAY_TIME) or 0,
            self._traffic(),
        )

    def _nas(self) -> str:
        if name := self._text(Attribute.NAS_IDENTIFIER):
            return name
        for attribute in (Attribute.NAS_IP_ADDRESS, Attribute.NAS_IPV6_ADDRESS):
            for octets in self._all(attribute):
                return str(self._address(attribute, octets))
        return ""

    def _prefixes(self) -> Iterator[Network]:
        for prefix in self._all_prefixes():
            if stands_for_ipv4(prefix):
                raise RadiusError(Reason.INCOMPLETE, f"{prefix} is an address of IPv4 in the form of IPv6")
            yield prefix

    def _all_prefixes(self) -> Iterator[Network]:
        for octets in self._all(Attribute.FRAMED_IP_ADDRESS):
            address = self._address(Attribute.FRAMED_IP_ADDRESS, octets)
            if address not in _NO_ADDRESS:
                yield ip_network(address)
        for octets in self._all(Attribute.FRAMED_IPV6_ADDRESS):
            yield ip_network(self._address(Attribute.FRAMED_IPV6_ADDRESS, octets))
        for attribute in (Attribute.FRAMED_IPV6_PREFIX, Attribute.DELEGATED_IPV6_PREFIX):
            for octets in self._all(attribute):
                yield _prefix(attribute, octets)

    def _profiles(self) -> Iterator[str]:
        """Filter-Id is text; Class may be anything, and is a profile where it is text."""
        for octets in self._all(Attribute.FILTER_ID):
            yield _text(Attribute.FILTER_ID, octets)
        for octets in self._all(Attribute.CLASS):
            try:
                yield check_text(octets.decode())
            except ValueError:
                continue

    def _ports(self) -> Iterator[str]:
        if name := self._text(Attribute.NAS_PORT_ID):
            yield name
        if (number := self._integer(Attribute.NAS_PORT)) is not None:
            yield str(number)

    def _tunnel(self) -> UserTunnel | None:
        """Of the first kind that is ours; its other attributes are found by its tag (RFC 2868, section 3)."""
        for octets in self._all(Attribute.TUNNEL_TYPE):
            kind = _TUNNEL_KINDS.get(int.from_bytes(octets[1:])) if len(octets) == 4 else None
            if kind is None:
                continue
            remote = self._tagged(Attribute.TUNNEL_CLIENT_ENDPOINT, octets[0])
            key = self._tagged(Attribute.TUNNEL_PRIVATE_GROUP_ID, octets[0]) or "0"
            try:
                return UserTunnel.model_validate({"kind": kind, "remote": remote, "key": key})
            except ValidationError:
                raise RadiusError(
                    Reason.INCOMPLETE, "its tunnel has no sound Tunnel-Client-Endpoint or key"
                ) from None
        return None

    def _tagged(self, attribute: Attribute, tag: int) -> str:
        for octets in self._all(attribute):
            has_tag = octets[:1] <= bytes([_MAX_TAG])
            if (octets[0] if has_tag and octets else 0) in (tag, 0):
                return _text(attribute, octets[1:] if has_tag else octets)
        return ""

    def _traffic(self) -> Traffic:
        def octets(low: Attribute, high: Attribute) -> int:
            return (self._integer(high) or 0) << 32 | (self._integer(low) or 0)

        return Traffic(
            octets(Attribute.ACCT_INPUT_OCTETS, Attribute.ACCT_INPUT_GIGAWORDS),
            octets(Attribute.ACCT_OUTPUT_OCTETS, Attribute.ACCT_OUTPUT_GIGAWORDS),
            self._integer(Attribute.ACCT_INPUT_PACKETS) or 0,
            self._integer(Attribute.ACCT_OUTPUT_PACKETS) or 0,
        )

    # ---- values --------------------------------------------------------------------------------------------

    def _all(self, attribute: Attribute) -> Sequence[bytes]:
        found: Sequence[bytes] = dict.get(self._packet, int(attribute), ())
        return found

    def _required(self, attribute: Attribute) -> str:
        if text := self._text(attribute):
            return text
        raise RadiusError(Reason.INCOMPLETE, f"it has no {_name(attribute)}")

    def _text(self, attribute: Attribute) -> str:
        return next((_text(attribute, octets) for octets in self._all(attribute)), "")

    def _integer(self, attribute: Attribute) -> int | None:
        for octets in self._all(attribute):
            if len(octets) != 4:
                raise RadiusError(Reason.INCOMPLETE, f"{_name(attribute)} has {len(octets)} octets, not 4")
            return int.from_bytes(octets)
        return None

    @staticmethod
    def _address(attribute: Attribute, octets: bytes) -> IPv4Address | IPv6Address:
        v4 = attribute in (Attribute.FRAMED_IP_ADDRESS, Attribute.NAS_IP_ADDRESS)
        if len(octets) != (4 if v4 else 16):
            raise RadiusError(Reason.INCOMPLETE, f"{_name(attribute)} has {len(octets)} octets")
        return ip_address(octets)


def _prefix(attribute: Attribute, octets: bytes) -> Network:
    """A reserved octet, the length, and as much of the prefix as is needed (RFC 3162, section 2.3)."""
    if not 2 <= len(octets) <= 18 or octets[1] > 128 or len(octets) - 2 < (octets[1] + 7) // 8:
        raise RadiusError(Reason.INCOMPLETE, f"{_name(attribute)} is no prefix")
    return ip_network((octets[2:].ljust(16, b"\0"), octets[1]), strict=False)


def _text(attribute: Attribute, octets: bytes) -> str:
    try:
        return check_text(octets.decode())
    except ValueError:
        raise RadiusError(Reason.INCOMPLETE, f"{_name(attribute)} is no text that can be taken") from None


def _name(attribute: Attribute) -> str:
    return attribute.name.replace("_", "-").title()
