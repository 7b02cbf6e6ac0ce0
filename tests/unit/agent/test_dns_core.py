# SPDX-License-Identifier: Apache-2.0
"""What the DNS server does with a query, octets in and octets out."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from dnslib import CLASS, EDNS0, OPCODE, QTYPE, RCODE, RR, A, DNSQuestion, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from dataplane.agent import dns_core as core

FILES = core.Addresses(IPv4Address("198.18.0.7").packed, IPv6Address("fd00::7").packed)


class Site:
    """Knows one service and which addresses are virtual."""

    def name_of(self, address: bytes) -> str | None:
        return "files.demo" if address in (FILES.ipv4, FILES.ipv6) else None

    def is_virtual(self, address: bytes) -> bool:
        return address[:2] in (b"\xc6\x12", b"\xfd\x00")

    def addresses_of(self, name: str) -> core.Addresses | None:
        return FILES if name == "files.demo" else None


def ask(name: str, kind: str = "A", edns: EDNS0 | None = None) -> bytes:
    record = DNSRecord.question(name, kind)
    if edns is not None:
        record.add_ar(edns)
    return bytes(record.pack())


def decided(packet: bytes) -> core.Answer | core.Ask | core.Forward | None:
    return core.decide(packet, Site())


def answered(packet: bytes) -> DNSRecord:
    decision = decided(packet)
    assert isinstance(decision, core.Answer)
    return DNSRecord.parse(decision.packet)


def asked(packet: bytes) -> core.Ask:
    decision = decided(packet)
    assert isinstance(decision, core.Ask)
    return decision


@pytest.mark.parametrize(("kind", "address"), [("A", "198.18.0.7"), ("AAAA", "fd00::7")])
def test_a_service_has_an_address_of_each_family(kind: str, address: str) -> None:
    question = asked(ask("Files.Demo", kind))
    assert question.service == "files.demo"
    packet = core.answer(question.query, FILES)
    reply = DNSRecord.parse(packet)
    assert [str(record.rdata) for record in reply.rr] == [address]
    assert (reply.header.aa, reply.header.ra, reply.rr[0].ttl) == (1, 1, core.TTL_SECONDS)
    assert core.is_answer_to(packet, question.query.packet)


def test_a_family_that_a_service_lacks_is_no_missing_name() -> None:
    reply = DNSRecord.parse(
        core.answer(asked(ask("files.demo", "AAAA")).query, core.Addresses(b"\1\2\3\4", b""))
    )
    assert (reply.rr, reply.header.rcode) == ([], RCODE.NOERROR)


def test_other_types_of_a_service_are_empty_and_of_other_names_forwarded() -> None:
    reply = answered(ask("files.demo", "MX"))
    assert (reply.rr, reply.header.rcode) == ([], RCODE.NOERROR)
    assert isinstance(decided(ask("other.demo", "MX")), core.Forward)


def test_names_that_no_service_can_have_are_forwarded() -> None:
    for name in ("_ldap._tcp.example.org", "a_b.example", "."):
        assert isinstance(decided(ask(name)), core.Forward), name


@pytest.mark.parametrize("address", ["198.18.0.7", "fd00::7"])
def test_an_address_has_its_name(address: str) -> None:
    reply = answered(ask(ip_address(address).reverse_pointer, "PTR"))
    assert [str(record.rdata) for record in reply.rr] == ["files.demo."]


def test_reverse_names_of_others() -> None:
    unknown = ask(ip_address("198.18.0.8").reverse_pointer, "PTR")
    assert answered(unknown).header.rcode == RCODE.NXDOMAIN
    for name in (ip_address("192.0.2.1").reverse_pointer, "18.198.in-addr.arpa", "x.y.z.w.in-addr.arpa"):
        assert isinstance(decided(ask(name, "PTR")), core.Forward), name


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_reverse_names_are_read_as_they_are_written(address: IPv4Address | IPv6Address) -> None:
    assert core.reverse_address(address.reverse_pointer) == address


def test_edns_is_answered_with_edns_and_only_then() -> None:
    packet = core.answer(asked(ask("files.demo", edns=EDNS0(udp_len=4096))).query, FILES)
    (option,) = DNSRecord.parse(packet).ar
    assert (option.rtype, option.rclass) == (QTYPE.OPT, core.MAX_UDP)
    assert DNSRecord.parse(core.answer(asked(ask("files.demo")).query, FILES)).ar == []


def test_a_later_edns_version_is_refused() -> None:
    reply = answered(ask("files.demo", edns=EDNS0(version=1)))
    (option,) = reply.ar
    assert (option.ttl >> 24, reply.header.rcode) == (1, 0)  # together 16: BADVERS
    assert reply.rr == []


def test_what_is_no_plain_question() -> None:
    update = DNSRecord.question("files.demo")
    update.header.opcode = OPCODE.UPDATE
    assert answered(bytes(update.pack())).header.rcode == RCODE.NOTIMP
    chaos = DNSRecord(q=DNSQuestion("version.bind", QTYPE.TXT, CLASS.CH))
    assert answered(bytes(chaos.pack())).header.rcode == RCODE.REFUSED
    two = DNSRecord.question("files.demo")
    two.add_question(DNSQuestion("other.demo"))
    assert answered(bytes(two.pack())).header.rcode == RCODE.FORMERR
    assert decided(ask("files.demo")[:11]) is None
    assert decided(bytes(DNSRecord.question("files.demo").reply().pack())) is None  # an answer: no loops


def test_a_malformed_question_keeps_its_id() -> None:
    packet = ask("files.demo")
    reply = answered(packet[:20])
    assert (reply.header.id, reply.header.rcode) == (int.from_bytes(packet[:2]), RCODE.FORMERR)


def test_a_label_of_a_reserved_kind_is_malformed() -> None:
    packet = ask("x" * 63 + ".demo")
    longer = packet[:12] + b"\x40x" + packet[13:]  # 64 octets: RFC 1035 gives no such label a meaning
    assert answered(longer).header.rcode == RCODE.FORMERR


QUERIES = [ask("files.demo"), ask("files.demo", "PTR"), ask("x" * 60 + ".demo", "AAAA", EDNS0())]


@given(st.data())
def test_no_datagram_upsets_the_server(data: st.DataObject) -> None:
    packet = bytearray(data.draw(st.sampled_from(QUERIES)))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(packet) - 1))
        packet[at] = data.draw(st.sampled_from([0, 1, 0x0C, 63, 64, 0xC0, 0xFF]) | st.integers(0, 255))
    cut = bytes(packet[: data.draw(st.integers(0, len(packet)))])
    for query in (bytes(packet), cut):
        match core.decide(query, Site()):
            case core.Answer(answer):
                assert answer[:2] == query[:2]
                assert answer[2] & 0x80
            case core.Ask(parsed) | core.Forward(parsed):
                for answer in (core.answer(parsed, FILES), core.refuse(parsed, RCODE.SERVFAIL)):
                    assert answer[:2] == query[:2]
            case None:
                assert len(query) < 12 or query[2] & 0x80
        core.is_answer_to(query, QUERIES[0])


# ---- answers of others -------------------------------------------------------------------------------------


def upstream(query: bytes, name: str = "www.example.org") -> bytes:
    reply = DNSRecord.parse(query).reply()
    reply.add_answer(RR(name, rdata=A("203.0.113.5")))
    return bytes(reply.pack())


def test_an_answer_is_known_by_id_and_question() -> None:
    query = ask("www.example.org")
    good = upstream(query)
    assert core.is_answer_to(good, query)
    assert core.is_answer_to(good.replace(b"example", b"eXaMpLe", 1), query)
    assert not core.is_answer_to(b"\0\0" + good[2:], b"\1\1" + query[2:])
    assert not core.is_answer_to(query, query)  # no response
    other = ask("www.example.com")
    assert not core.is_answer_to(upstream(query[:2] + other[2:]), query)
    kind = ask("www.example.org", "AAAA")
    assert not core.is_answer_to(upstream(query[:2] + kind[2:]), query)
    assert not core.is_answer_to(good[:20], query)


def test_an_error_without_its_question_is_an_answer() -> None:
    query = ask("www.example.org")
    assert core.is_answer_to(query[:2] + b"\x80\x02" + bytes(8), query)


def test_records_that_nobody_here_understands_do_not_matter() -> None:
    query = ask("www.example.org")
    head = upstream(query)[: len(query)]
    assert core.is_answer_to(head + b"\xc0\xff\xff\xff garbage", query)


def test_no_such_name_is_told_from_other_answers() -> None:
    query = asked(ask("files.demo")).query
    assert core.says_no_such_name(core.refuse(query, RCODE.NXDOMAIN))
    assert not core.says_no_such_name(core.refuse(query, RCODE.SERVFAIL))
    assert not core.says_no_such_name(core.answer(query, FILES))
    assert not core.says_no_such_name(b"\0\0\0\3")


def test_servers_of_a_resolv_conf() -> None:
    text = """
# a comment
nameserver 192.0.2.1
nameserver 127.0.0.54
nameserver 2001:db8::1 # of the provider
nameserver not-an-address
search example.org
nameserver 192.0.2.1
nameserver
"""
    assert core.nameservers(text, frozenset({"127.0.0.54"})) == ("192.0.2.1", "2001:db8::1")
