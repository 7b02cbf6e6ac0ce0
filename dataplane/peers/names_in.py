# SPDX-License-Identifier: Apache-2.0
"""The name that a customer asks for, found in what a connection begins with: DNS, TLS (RFC 8446), HTTP/1.

Each finder takes the octets so far: it returns a name, ``None`` when there is none to come, and raises
:class:`MoreError` while it may yet come.
"""

from __future__ import annotations

import re
from typing import Final

from dnslib import DNSRecord

LONGEST: Final = 16 << 10
"""Octets in which the name has to appear."""

_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0
_RECORD, _MESSAGE = 5, 4
_HELLO_FIXED: Final = 34
"""Version and random octets of a ClientHello."""

_METHOD: Final = re.compile(rb"[A-Z]{1,20} ")
_START: Final = re.compile(rb"[A-Z]{1,20}\Z")
_HOST: Final = re.compile(rb"\r\n[Hh][Oo][Ss][Tt]:[ \t]*([^\r\n]*?)[ \t]*\r\n")
_PORT: Final = re.compile(r":[0-9]*\Z")
_ABSOLUTE: Final = re.compile(rb"[A-Z]+ http://([^/ ?#]*)", re.IGNORECASE)


class MoreError(Exception):
    """More octets are needed."""


def in_dns(message: bytes) -> str | None:
    """The name in a question for it."""
    try:
        question = DNSRecord.parse(message)
    except Exception:  # dnslib raises whatever its reading runs into
        return None
    return None if question.header.qr or not question.questions else canonical(str(question.q.qname))


def in_tls(data: bytes) -> str | None:
    """The server's name in a ClientHello, over any number of records."""
    message = b""
    at = 0
    while len(message) < _MESSAGE or len(message) < _MESSAGE + int.from_bytes(message[1:4]):
        if data[at : at + 1] not in (b"", bytes([_HANDSHAKE])) or message[:1] not in (
            b"",
            bytes([_CLIENT_HELLO]),
        ):
            return None
        if len(data) < at + _RECORD:
            raise MoreError
        end = at + _RECORD + int.from_bytes(data[at + 3 : at + 5])
        if len(data) < end:
            raise MoreError
        message += data[at + _RECORD : end]
        at = end
    return _server_name(message[_MESSAGE : _MESSAGE + int.from_bytes(message[1:4])])


def _server_name(hello: bytes) -> str | None:
    at = _HELLO_FIXED
    for octets in (1, 2, 1):  # session id, cipher suites, compression methods
        at += octets + int.from_bytes(hello[at : at + octets])
    at += 2
    while at + 4 <= len(hello):
        kind, length = int.from_bytes(hello[at : at + 2]), int.from_bytes(hello[at + 2 : at + 4])
        content = hello[at + 4 : at + 4 + length]
        if kind == _SERVER_NAME and len(content) >= 5 and content[2] == _HOST_NAME:
            name = content[5 : 5 + int.from_bytes(content[3:5])]
            return canonical(name.decode("ascii", "replace"))
        at += 4 + length
    return None


def in_http(data: bytes) -> str | None:
    """The host of a request."""
    if not _METHOD.match(data):
        if _START.match(data):
            raise MoreError
        return None
    if absolute := _ABSOLUTE.match(data):
        if absolute.end() == len(data):
            raise MoreError
        return _host(absolute[1])
    if host := _HOST.search(data):
        return _host(host[1])
    if b"\r\n\r\n" not in data:
        raise MoreError
    return None


def starts_request(data: bytes) -> bool:
    """Whether octets in a connection look like the beginning of a request."""
    return bool(_METHOD.match(data))


def _host(text: bytes) -> str:
    return canonical(_PORT.sub("", text.decode("ascii", "replace")))


def canonical(name: str) -> str:
    """A name as lists have it."""
    return name.strip().rstrip(".").lower()
