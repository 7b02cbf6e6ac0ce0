# SPDX-License-Identifier: Apache-2.0
"""What the node's DNS server does with a query (RFC 1035, RFC 6891): answer, ask the controller, or forward.
Sans-IO.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Protocol

from dnslib import AAAA, CLASS, EDNS0, PTR, QTYPE, RCODE, RR, A, DNSError, DNSHeader, DNSRecord

from moorline.names import InvalidNameError, ServiceName

TTL_SECONDS: Final = 5
"""How long an answer may be kept: a name may go to another service's address when it is registered anew."""

MAX_UDP: Final = 1232
"""Octets that the server takes in a datagram, as all resolvers have agreed (DNS flag day 2020)."""

_HEADER_OCTETS: Final = 12
_RESPONSE_FLAG: Final = 0x80
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
    try:
        record = DNSRecord.parse(packet)
        question = record.questions[0] if len(record.questions) == 1 else None
        name = "" if question is None else str(question.qname).rstrip(".").lower()
    except (DNSError, ValueError, IndexError):
        question = None
        name = ""
    if question is None:
        return Answer(_header_only(packet, RCODE.FORMERR))
    query = Query(packet, name, question.qtype, record)
    if record.header.opcode != 0:
        return Answer(refuse(query, RCODE.NOTIMP))
    if question.qclass != CLASS.IN:
        return Answer(refuse(query, RCODE.REFUSED))
    if query.kind == QTYPE.PTR:
        return _reverse(query, directory)
    return _by_name(query, directory)


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
    """Whether ``packet`` is a response with the query's id and question (RFC 5452, section 9.1)."""
    if len(packet) < _HEADER_OCTETS or packet[:2] != query[:2] or not packet[2] & _RESPONSE_FLAG:
        return False
    try:
        asked, answered = DNSRecord.parse(query).questions, DNSRecord.parse(packet).questions
    except (DNSError, ValueError, IndexError):
        return False
    # Some servers leave the question out of an error.
    return not answered or bool(asked == answered)


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


def _reply(query: Query) -> DNSRecord:
    reply = query.record.reply(ra=1, aa=1)
    if any(record.rtype == QTYPE.OPT for record in query.record.ar):
        reply.add_ar(EDNS0(udp_len=MAX_UDP))
    return reply


def _header_only(packet: bytes, code: int) -> bytes:
    identifier = int.from_bytes(packet[:2])
    return bytes(DNSRecord(DNSHeader(id=identifier, qr=1, ra=1, aa=0, rcode=code)).pack())
