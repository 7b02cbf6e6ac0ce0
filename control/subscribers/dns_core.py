# SPDX-License-Identifier: Apache-2.0
"""What the authoritative server for the names of endpoints answers (RFC 1035, 2308, 6891, 7871). Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

from dnslib import (
    AAAA,
    CLASS,
    EDNS0,
    NS,
    QTYPE,
    RCODE,
    RR,
    SOA,
    A,
    DNSBuffer,
    DNSError,
    DNSHeader,
    DNSRecord,
    EDNSOption,
)
from dnslib.label import DNSLabelError

from control.subscribers.client_subnet import OPTION, ClientSubnet, ClientSubnetError
from control.subscribers.endpoints import KINDS, Found
from moorline.addresses import Network

MAX_UDP: Final = 1232
"""Octets that the server takes in a datagram (DNS flag day 2020)."""

_HEADER_OCTETS: Final = 12
_RESPONSE_FLAG: Final = 0x80
_BADVERS_UPPER: Final = 1
_VERSIONS: Final = {QTYPE.A: 4, QTYPE.AAAA: 6}
_TIMES: Final = (3600, 600, 86_400)
"""Refresh, retry and expire of the SOA: nobody transfers this zone."""


@dataclass(frozen=True, slots=True)
class Zone:
    """The names that are answered: ``vxlan.NAME``, ``gre.NAME``, ``ipip.NAME``.

    ``find`` finds endpoints for a client's network, a kind of tunnel and an IP version.
    """

    name: str
    nameserver: str
    ttl_seconds: int
    find: Callable[[Network, str, int], Found]


def answer(packet: bytes, source: IPv4Address | IPv6Address, zone: Zone) -> bytes | None:
    """The answer to a message from ``source``; None: it is no query."""
    if len(packet) < _HEADER_OCTETS or packet[2] & _RESPONSE_FLAG:
        return None
    query = _parse(packet)
    if query is None:
        return _header_only(packet)
    options = [record for record in query.ar if record.rtype == QTYPE.OPT]
    if not options:
        reply = query.reply(ra=0, aa=0)
        _fill(query, reply, ip_network(source), zone)
    elif options[0].ttl >> 16 & 0xFF:
        reply = query.reply(ra=0, aa=0)
        reply.add_ar(EDNS0(udp_len=MAX_UDP, ext_rcode=_BADVERS_UPPER))
    else:
        reply = _with_options(query, options, source, zone)
    return bytes(reply.pack())


def _with_options(
    query: DNSRecord, options: list[RR], source: IPv4Address | IPv6Address, zone: Zone
) -> DNSRecord:
    """The answer to a query with EDNS; a subnet of no length is a client's wish not to be told of."""
    reply = query.reply(ra=0, aa=0)
    try:
        subnet = _subnet(options)
    except ClientSubnetError:
        reply.header.rcode = RCODE.FORMERR
        reply.add_ar(EDNS0(udp_len=MAX_UDP))
        return reply
    told = subnet is not None and subnet.network.prefixlen > 0
    scope = _fill(query, reply, subnet.network if subnet and told else ip_network(source), zone)
    echoed = [] if subnet is None else [ClientSubnet(subnet.network, scope if told else 0)]
    reply.add_ar(EDNS0(udp_len=MAX_UDP, opts=[EDNSOption(OPTION, one.pack()) for one in echoed]))
    return reply


def _parse(packet: bytes) -> DNSRecord | None:
    """The query; None where there is not just one question, or none that can be said again."""
    try:
        record = DNSRecord.parse(packet)
        if len(record.questions) != 1:
            return None
        record.questions[0].pack(DNSBuffer())  # a name that was read may be too long to be written
        return record
    except (DNSError, DNSLabelError, BufferError, ValueError, IndexError):
        return None


def _subnet(options: list[RR]) -> ClientSubnet | None:
    """The client's subnet in a query, if it names one; raises :class:`ClientSubnetError`."""
    found = [ClientSubnet.parse(one.data) for option in options for one in option.rdata if one.code == OPTION]
    if len(options) > 1 or len(found) > 1 or any(one.scope for one in found):
        raise ClientSubnetError("a query has two client subnets, or one with a scope")
    return found[0] if found else None


def _fill(query: DNSRecord, reply: DNSRecord, client: Network, zone: Zone) -> int:
    """Write the answer; how many bits of the client's address it depends on."""
    question = query.questions[0]
    name = str(question.qname).rstrip(".").lower()
    if query.header.opcode != 0:
        reply.header.rcode = RCODE.NOTIMP
        return 0
    if question.qclass != CLASS.IN or (name != zone.name and not name.endswith("." + zone.name)):
        reply.header.rcode = RCODE.REFUSED
        return 0
    reply.header.aa = 1
    kind = name.removesuffix("." + zone.name)
    if name == zone.name:
        _apex(question.qtype, reply, zone)
    elif kind not in KINDS:
        reply.header.rcode = RCODE.NXDOMAIN
    elif (version := _VERSIONS.get(question.qtype)) is not None:
        found = zone.find(client, kind, version)
        if found.endpoints:
            address = found.endpoints[0].address
            rdata = A(str(IPv4Address(address))) if version == 4 else AAAA(str(IPv6Address(address)))
            reply.add_answer(RR(question.qname, question.qtype, rdata=rdata, ttl=zone.ttl_seconds))
        else:
            reply.add_auth(_authority(zone))
        return found.network.prefixlen
    if not reply.rr:
        reply.add_auth(_authority(zone))
    return 0


def _apex(kind: int, reply: DNSRecord, zone: Zone) -> None:
    if kind == QTYPE.SOA:
        reply.add_answer(_authority(zone))
    elif kind == QTYPE.NS:
        reply.add_answer(RR(zone.name, QTYPE.NS, rdata=NS(zone.nameserver), ttl=_TIMES[0]))


def _authority(zone: Zone) -> RR:
    """The SOA record; its last number says how long a name may be taken to have no address (RFC 2308)."""
    times = (1, *_TIMES, zone.ttl_seconds)
    rdata = SOA(zone.nameserver, f"hostmaster.{zone.name}", times)
    return RR(zone.name, QTYPE.SOA, rdata=rdata, ttl=zone.ttl_seconds)


def _header_only(packet: bytes) -> bytes:
    identifier = int.from_bytes(packet[:2])
    return bytes(DNSRecord(DNSHeader(id=identifier, qr=1, ra=0, aa=0, rcode=RCODE.FORMERR)).pack())
