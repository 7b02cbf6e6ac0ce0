# SPDX-License-Identifier: Apache-2.0
"""The name that a connection begins with, and who is not to reach it."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
from dnslib import DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from dataplane.peers import names_in
from dataplane.peers.blocked import Blocked
from dataplane.peers.names_in import MoreError


def hello(name: str | None) -> bytes:
    """A ClientHello of the system's own TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def in_records(octets: bytes, size: int) -> bytes:
    """The same message in records of ``size`` octets."""
    message = octets[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(octets[:3] + len(part).to_bytes(2) + part for part in parts)


def test_the_name_in_a_hello() -> None:
    assert names_in.in_tls(hello("Files.Example")) == "files.example"
    assert names_in.in_tls(in_records(hello("files.example"), 50)) == "files.example"
    assert names_in.in_tls(hello(None)) is None
    assert names_in.in_tls(b"GET / HTTP/1.1\r\n") is None
    assert names_in.in_tls(b"\x16\x03\x01\x00\x04\x02\0\0\0") is None  # no ClientHello


@given(st.integers(min_value=0, max_value=400))
def test_a_hello_that_is_not_whole_yet(length: int) -> None:
    octets = in_records(HELLO, 100)
    with pytest.raises(MoreError):
        names_in.in_tls(octets[: min(length, len(octets) - 1)])


HELLO = hello("files.example")


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"GET / HTTP/1.1\r\nHost: Files.Example\r\n\r\n", "files.example"),
        (b"POST /x HTTP/1.1\r\nA: b\r\nhOsT:\tfiles.example.:8080 \r\n", "files.example"),
        (b"GET http://files.example:80/x HTTP/1.1\r\nHost: other.example\r\n\r\n", "files.example"),
        (b"GET / HTTP/1.0\r\n\r\n", None),
        (b"\x16\x03\x01", None),
        (b"hello", None),
    ],
)
def test_the_host_of_a_request(octets: bytes, name: str | None) -> None:
    assert names_in.in_http(octets) == name


@pytest.mark.parametrize(
    "octets", [b"G", b"GET", b"GET ", b"GET / HTTP/1.1\r\nHost: files.exam", b"GET http://fi"]
)
def test_a_request_that_is_not_whole_yet(octets: bytes) -> None:
    with pytest.raises(MoreError):
        names_in.in_http(octets)


def test_the_name_in_a_question() -> None:
    question = DNSRecord.question("Files.Example")
    assert names_in.in_dns(question.pack()) == "files.example"
    assert names_in.in_dns(question.reply().pack()) is None
    assert names_in.in_dns(b"") is None


@pytest.mark.parametrize("find", [names_in.in_dns, names_in.in_tls, names_in.in_http])
@given(octets=st.binary(max_size=300))
def test_whatever_comes_there_is_a_name_or_none(find: Callable[[bytes], str | None], octets: bytes) -> None:
    for begun in (octets, b"\x16\x03\x01" + octets, b"GET " + octets, HELLO[:50] + octets):
        try:
            found = find(begun)
        except MoreError:
            continue
        assert found is None or isinstance(found, str)


def test_lists_are_for_their_customers_and_for_all_names_below() -> None:
    blocked = Blocked(
        [
            {"customers": ["10.1.0.0/16", "fd01::/64"], "names": ["*.Ads.example.", "bad.example"]},
            {"customers": ["10.1.2.0/24"], "names": ["games.example"]},
        ]
    )
    one, other, stranger, six = (
        bytes([10, 1, 9, 9]),
        bytes([10, 1, 2, 9]),
        bytes([10, 2, 0, 1]),
        b"\xfd\1" + bytes(14),
    )
    assert all(
        blocked.forbids(who, name) for who in (one, six) for name in ("bad.example", "a.b.ads.example")
    )
    assert not blocked.forbids(one, "notbad.example")
    assert not blocked.forbids(one, "example")
    assert [blocked.forbids(who, "games.example") for who in (one, other, stranger)] == [False, True, False]
    assert not blocked.forbids(stranger, "bad.example")
