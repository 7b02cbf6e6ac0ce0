# SPDX-License-Identifier: Apache-2.0
"""What the node's DNS server does with a query (RFC 1035, RFC 6891): answer, ask the controller, or forward.
Sans-IO.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Protocol

from dnslib import (
    AAAA,
    CLASS,
    EDNS0,
    PTR,
    QTYPE,
    RCODE,
    RR,
    A,
    DNSBuffer,
    DNSError,
    DNSHeader,
    DNSRecord,
)
from dnslib.label import DNSLabelError

from moorline.names import InvalidNameError, ServiceName

TTL_SECONDS: Final = 5
"""How long an answer may be kept: a name may go to another service's address when it is registered anew."""

MAX_UDP: Final = 1232
"""Octets that the server takes in a datagram, as all resolvers have agreed (DNS flag day 2020)."""

_HEADER_OCTETS: Final = 12
_RESPONSE_FLAG: Final = 0x80
_BADVERS_UPPER: Final = 1
"""The upper bits of BADVERS (16); the lower ones are 0."""

_LONGEST_LABEL: Final = 63
_QUESTION_TAIL_OCTETS: Final = 4
"""Type and class."""

_IPV4_LABELS: Final = 4
_IPV6_LABELS: Final = 32


class Directory(Protocol):
    """What the node knows without asking."""

    def name_of(self, address: bytes) -> str | None:
        """The service with this virtual address (4 or 16 octets)."""

    def is_virtual(self, address: bytes) -> bool:
        """Whether the address is in the site's virtual prefixes."""

    def addresses_of(self, name: str) -> Addresses | None:
        """A service that this node has, or has a connection with."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """A service's virtual addresses; empty where it has none of that family."""

    ipv4: bytes
    ipv6: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """A well-formed question."""

    packet: bytes
    name: str
    kind: int
    record: DNSRecord = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """Send this back."""

    packet: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """The controller has to say whether there is a service of this name."""

    query: Query
    service: str


@dataclass(frozen=True, slots=True)
class Forward:
    """None of ours: other servers know."""

    query: Query


def decide(packet: bytes, directory: Directory) -> Answer | Ask | Forward | None:
    """What to do with a datagram or message; None: nothing at all (it is no query)."""
    if len(packet) < _HEADER_OCTETS or packet[2] & _RESPONSE_FLAG:
        return None
    query = parse(packet)
    if query is None:
        return Answer(_header_only(packet, RCODE.FORMERR))
    if query.record.header.opcode != 0:
        return Answer(refuse(query, RCODE.NOTIMP))
    if _edns_version(query.record) > 0:
        return Answer(_bad_version(query))
    if query.record.questions[0].qclass != CLASS.IN:
        return Answer(refuse(query, RCODE.REFUSED))
    return _reverse(query, directory) if query.kind == QTYPE.PTR else _by_name(query, directory)


def parse(packet: bytes) -> Query | None:
    """The question in a message; None where there is not just one, or none that can be said again."""
    try:
        record = DNSRecord.parse(packet)
        if len(record.questions) != 1:
            return None
        question = record.questions[0]
        question.pack(DNSBuffer())  # a name that was read may be too long to be written
        return Query(packet, str(question.qname).rstrip(".").lower(), question.qtype, record)
    except (DNSError, DNSLabelError, BufferError, ValueError, IndexError):
        return None


def _reverse(query: Query, directory: Directory) -> Answer | Forward:
    address = reverse_address(query.name)
    if address is None or not directory.is_virtual(address.packed):
        return Forward(query)
    name = directory.name_of(address.packed)
    if name is None:
        return Answer(refuse(query, RCODE.NXDOMAIN))
    reply = _reply(query)
    reply.add_answer(RR(query.name, QTYPE.PTR, rdata=PTR(name), ttl=TTL_SECONDS))
    return Answer(bytes(reply.pack()))


def _by_name(query: Query, directory: Directory) -> Answer | Ask | Forward:
    try:
        service = ServiceName.parse(query.name)
    except InvalidNameError:
        return Forward(query)
    if service != query.name:
        return Forward(query)
    if query.kind in (QTYPE.A, QTYPE.AAAA):
        return Ask(query, service)
    # Another server would say that there is no such name, and resolvers would believe it of A and AAAA as
    # well.
    if directory.addresses_of(service) is not None:
        return Answer(bytes(_reply(query).pack()))
    return Forward(query)


def answer(query: Query, addresses: Addresses) -> bytes:
    """The answer to a question for A or AAAA; empty where the service has no address of that family."""
    reply = _reply(query)
    name = query.record.questions[0].qname
    if query.kind == QTYPE.A and addresses.ipv4:
        rdata = A(str(IPv4Address(addresses.ipv4)))
        reply.add_answer(RR(name, QTYPE.A, rdata=rdata, ttl=TTL_SECONDS))
    if query.kind == QTYPE.AAAA and addresses.ipv6:
        rdata = AAAA(str(IPv6Address(addresses.ipv6)))
        reply.add_answer(RR(name, QTYPE.AAAA, rdata=rdata, ttl=TTL_SECONDS))
    return bytes(reply.pack())


def refuse(query: Query, code: int) -> bytes:
    """An answer without records, with a response code of ``dnslib.RCODE``."""
    reply = _reply(query)
    reply.header.rcode = code
    return bytes(reply.pack())


def says_no_such_name(packet: bytes) -> bool:
    """Whether an answer is NXDOMAIN."""
    return len(packet) >= _HEADER_OCTETS and packet[3] & 0xF == RCODE.NXDOMAIN


def is_answer_to(packet: bytes, query: bytes) -> bool:
    """Whether ``packet`` is a response with the query's id and question (RFC 5452, section 9.1).

    No more of it is read: what is in the answer is between the client and the server.
    """
    if len(packet) < _HEADER_OCTETS or packet[:2] != query[:2] or not packet[2] & _RESPONSE_FLAG:
        return False
    if packet[4:6] == b"\0\0":  # some servers leave the question out of an error
        return True
    asked = _question(query)
    return asked is not None and _question(packet) == asked


def _question(packet: bytes) -> bytes | None:
    """The one question as it stands in a message, the name in small letters; None where there is not one."""
    at = _HEADER_OCTETS
    if packet[4:6] != b"\0\1":
        return None
    while at < len(packet) and 0 < packet[at] <= _LONGEST_LABEL:
        at += 1 + packet[at]
    end = at + 1 + _QUESTION_TAIL_OCTETS
    if end > len(packet) or packet[at]:
        return None
    return packet[_HEADER_OCTETS:at].lower() + packet[at:end]


def reverse_address(name: str) -> IPv4Address | IPv6Address | None:
    """The address that a name under in-addr.arpa or ip6.arpa stands for (RFC 1035, 3.5; RFC 3596, 2.5)."""
    labels = name.split(".")
    try:
        if name.endswith(".in-addr.arpa") and len(labels) == _IPV4_LABELS + 2:
            return IPv4Address(".".join(reversed(labels[:_IPV4_LABELS])))
        if name.endswith(".ip6.arpa") and len(labels) == _IPV6_LABELS + 2:
            return IPv6Address(bytes.fromhex("".join(reversed(labels[:_IPV6_LABELS]))))
    except ValueError:
        pass
    return None


def nameservers(resolv_conf: str, but: frozenset[str]) -> tuple[str, ...]:
    """The servers in a resolv.conf(5), without those in ``but`` (the server itself: that would be a loop)."""
    found = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                found.append(str(ip_address(words[1])))
            except ValueError:
                continue
    return tuple(address for address in dict.fromkeys(found) if address not in but)


def _edns_version(record: DNSRecord) -> int:
    """The version of EDNS in a query; 0 where it has none."""
    return next((found.ttl >> 16 & 0xFF for found in record.ar if found.rtype == QTYPE.OPT), 0)


def _bad_version(query: Query) -> bytes:
    """The answer to a version of EDNS that this server does not know (RFC 6891, section 6.1.3)."""
    reply = query.record.reply(ra=1, aa=0)
    reply.add_ar(EDNS0(udp_len=MAX_UDP, ext_rcode=_BADVERS_UPPER))
    return bytes(reply.pack())


def _reply(query: Query) -> DNSRecord:
    reply = query.record.reply(ra=1, aa=1)
    if any(record.rtype == QTYPE.OPT for record in query.record.ar):
        reply.add_ar(EDNS0(udp_len=MAX_UDP))
    return reply


def _header_only(packet: bytes, code: int) -> bytes:
    identifier = int.from_bytes(packet[:2])
    return bytes(DNSRecord(DNSHeader(id=identifier, qr=1, ra=1, aa=0, rcode=code)).pack())
