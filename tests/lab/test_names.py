# SPDX-License-Identifier: Apache-2.0
"""Programs use names: the resolver of a host answers for services and leaves the rest of the world alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from dnslib import RCODE, DNSRecord

from tools.lab import Lab
from tools.lab.name_server import name_server
from tools.lab.programs import DNS_ADDRESS, Service


@pytest.fixture(scope="module")
def elsewhere(lab: Lab) -> Iterator[str]:
    """Another name server, beside the controller: it knows www.example.org and nothing else."""
    server = lab.controller.place.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with name_server(server, lab.controller.address, {"www.example.org": ("203.0.113.5",)}):
        yield "203.0.113.5"


def ask(lab: Lab, name: str, kind: str) -> DNSRecord:
    client = lab["laptop"].place.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.settimeout(5)
        client.sendto(DNSRecord.question(name, kind).pack(), (DNS_ADDRESS, 53))
        return DNSRecord.parse(client.recv(4096))


@pytest.mark.usefixtures("laptop")
def test_a_service_has_both_addresses(lab: Lab, files: Service):
    assert [str(r.rdata) for r in ask(lab, "files.demo", "A").rr] == [files.ipv4]
    assert [str(r.rdata) for r in ask(lab, "FILES.demo", "AAAA").rr] == [files.ipv6]


@pytest.mark.usefixtures("laptop")
def test_the_resolver_of_the_system_library_agrees(lab: Lab, files: Service):
    answer = lab["laptop"].place.run("getent", "ahosts", "files.demo").stdout
    assert {line.split()[0] for line in answer.splitlines()} == {files.ipv4, files.ipv6}


@pytest.mark.usefixtures("laptop")
def test_an_address_has_its_name(lab: Lab, files: Service):
    for address in (files.ipv4, files.ipv6):
        assert lab["laptop"].place.run("getent", "hosts", address).stdout.split()[1] == "files.demo"


def test_an_unknown_virtual_address_has_no_name(lab: Lab, laptop: Service):
    unknown = laptop.ipv4.rsplit(".", 1)[0] + ".254"
    reverse = ".".join(reversed(unknown.split("."))) + ".in-addr.arpa"
    assert ask(lab, reverse, "PTR").header.rcode == RCODE.NXDOMAIN


def test_other_names_are_forwarded(lab: Lab, elsewhere: str):
    assert [str(r.rdata) for r in ask(lab, "www.example.org", "A").rr] == [elsewhere]
    assert ask(lab, "nothing.example.org", "A").header.rcode == RCODE.NXDOMAIN


def test_a_name_is_known_as_soon_as_it_is_registered_and_gone_when_it_is_taken_back(lab: Lab, elsewhere: str):
    assert ask(lab, "new.demo", "A").header.rcode == RCODE.NXDOMAIN
    lab["server"].register(lab.controller, "new.demo")
    assert len(ask(lab, "new.demo", "A").rr) == 1
    lab.controller.moorline("service", "unregister", "new.demo")
    assert ask(lab, "new.demo", "A").header.rcode == RCODE.NXDOMAIN
