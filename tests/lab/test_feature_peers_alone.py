# SPDX-License-Identifier: Apache-2.0
"""Each feature peer that an agent can run, alone, with real packets through its namespace."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from dataplane.peers.base import PeerError
from dataplane.peers.builtin import statistics, tap
from dataplane.peers.flows import Flow, Traffic
from dataplane.peers.managed import CACHES
from dataplane.peers.namespace import FOLDER
from tests.lab.peer_stand import CUSTOMER, RESOLVER, SERVER, Stand
from tools.lab import Namespace
from tools.lab.name_server import name_server
from tools.lab.waiting import wait_until

PATIENCE = 5.0
SOON = 0.3
"""Seconds after which what has not come is taken for dropped."""


def listen(place: Namespace, port: int, address: str = SERVER[0]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    handle = place.socket(family, socket.SOCK_STREAM)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    handle.bind((address, port))
    handle.listen()
    handle.settimeout(PATIENCE)
    return handle


def connect(
    place: Namespace, port: int, address: str = SERVER[0], patience: float = PATIENCE
) -> socket.socket:
    handle = place.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    handle.settimeout(patience)
    handle.connect((address, port))
    return handle


def passes(one: socket.socket, other: socket.socket) -> bool:
    """Whether octets pass a connection both ways."""
    for sender, receiver in ((one, other), (other, one)):
        sender.sendall(b"moorline")
        if receiver.recv(8) != b"moorline":
            return False
    return True


# ---- firewall ----------------------------------------------------------------------------------------------

RULES = """
ct state established,related accept
tcp dport 80 accept
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.nft"
    path.write_text(RULES)
    return path


@pytest.mark.parametrize("address", SERVER)
async def test_a_firewall_lets_in_what_its_rules_say_and_the_answers(rules: Path, address: str) -> None:
    async with Stand("firewall", rules=rules) as stand:
        customer, server = stand.join()
        with listen(server, 80, address) as open_port, listen(server, 81, address):
            with connect(customer, 80, address) as one, open_port.accept()[0] as other:
                assert passes(one, other)
            with pytest.raises(TimeoutError):
                connect(customer, 81, address, SOON)
        own = CUSTOMER[SERVER.index(address)]
        with listen(customer, 81, own), pytest.raises(TimeoutError):
            connect(server, 81, own, SOON)


async def test_rules_are_replaced_under_standing_connections(rules: Path) -> None:
    async with Stand("firewall", rules=rules) as stand:
        customer, server = stand.join()
        with listen(server, 80) as first, listen(server, 443) as second:
            with connect(customer, 80) as one, first.accept()[0] as other:
                rules.write_text(RULES.replace("80", "443"))
                await stand.peer.start()
                assert passes(one, other)
            with connect(customer, 443) as one, second.accept()[0] as other:
                assert passes(one, other)
            with pytest.raises(TimeoutError):
                connect(customer, 80, patience=SOON)


async def test_rules_that_are_none_are_told_with_their_place(rules: Path) -> None:
    async with Stand("firewall", rules=rules) as stand:
        rules.write_text("tcp dport 80 accept\ntcp dport eighty accept\n")
        with pytest.raises(PeerError, match=rf"^nft says: {rules}:2:"):
            await stand.peer.start()
        assert (await stand.peer.health()).up  # with the rules of before


# ---- NAT ---------------------------------------------------------------------------------------------------

NAT = ("198.51.100.7", "fd03::7")


@pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])
async def test_a_nat_lends_its_address(family: int) -> None:
    async with Stand("nat", addresses=NAT) as stand:
        customer, server = stand.join()
        with listen(server, 80, SERVER[family]) as port, connect(customer, 80, SERVER[family]) as one:
            other, (source, *_) = port.accept()
            with other:
                assert source == NAT[family]
                assert passes(one, other)
        customer.add_address("lo", ip_interface(NAT[family]))  # it would answer
        with listen(customer, 80, NAT[family]), pytest.raises(TimeoutError):
            connect(server, 80, NAT[family], SOON)  # nobody inside had asked


# ---- content filter ----------------------------------------------------------------------------------------

LISTS = [{"customers": ["10.1.0.0/24", "fd01::/64"], "names": ["bad.example", "*.ads.example"]}]


def get(customer: Namespace, host: str, address: str = SERVER[0]) -> bytes:
    with connect(customer, 80, address) as one:
        one.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return one.recv(100)


@contextmanager
def echoing(place: Namespace, port: int, address: str = SERVER[0]) -> Iterator[list[bytes]]:
    """A server that answers whatever first comes with ``ok``; what came."""
    came: list[bytes] = []

    def serve(handle: socket.socket) -> None:
        while True:
            try:
                other, _ = handle.accept()
            except OSError:
                return
            with other:
                other.settimeout(1)
                try:
                    came.append(other.recv(4096))
                    other.sendall(b"ok")
                except OSError:
                    continue

    handle = listen(place, port, address)
    handle.settimeout(None)
    thread = threading.Thread(target=serve, args=(handle,), daemon=True)
    thread.start()
    try:
        yield came
    finally:
        handle.shutdown(socket.SHUT_RDWR)
        handle.close()
        thread.join(PATIENCE)


def hello(name: str) -> bytes:
    """A ClientHello of the system's own TLS."""
    outgoing = ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("address", SERVER)
async def test_a_filter_ends_http_and_tls_to_names_on_the_list(address: str) -> None:
    async with Stand("filter", list=LISTS) as stand:
        customer, server = stand.join()
        with echoing(server, 80, address) as came:
            assert get(customer, "good.example", address) == b"ok"
            for host in ("bad.example", "www.bad.example", "BAD.example:80"):
                with pytest.raises(ConnectionResetError):
                    get(customer, host, address)
            assert len([octets for octets in came if octets]) == 1
        with echoing(server, 443, address) as came:
            for parts in (1, 3):  # also over several segments
                with connect(customer, 443, address) as one:
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    octets = hello("good.example")
                    size = -(-len(octets) // parts)
                    for at in range(0, len(octets), size):
                        one.sendall(octets[at : at + size])
                    assert one.recv(100) == b"ok"
            with connect(customer, 443, address) as one, pytest.raises(ConnectionResetError):
                one.sendall(hello("x.ads.example"))
                one.recv(100)
        assert (await stand.peer.health()).up is False  # the cables are elsewhere: it says so


async def test_a_filter_answers_for_names_on_the_list_and_asks_on_for_others() -> None:
    async with Stand("filter", list=LISTS) as stand:
        customer, server = stand.join()
        resolver = server.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking = customer.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with resolver, asking:
            resolver.bind((SERVER[0], 53))
            asking.connect((SERVER[0], 53))
            for handle in (resolver, asking):
                handle.settimeout(PATIENCE)
            asking.send(DNSRecord.question("www.bad.example").pack())
            assert DNSRecord.parse(asking.recv(512)).header.rcode == RCODE.NXDOMAIN
            asking.send(DNSRecord.question("good.example").pack())
            octets, source = resolver.recvfrom(512)
            question = DNSRecord.parse(octets)
            assert str(question.q.qname) == "good.example."
            answer = question.reply()
            answer.add_answer(RR("good.example", QTYPE.A, rdata=A("203.0.113.1")))
            resolver.sendto(answer.pack(), source)
            assert DNSRecord.parse(asking.recv(512)).rr[0].rdata.data == (203, 0, 113, 1)


async def test_customers_without_a_list_reach_all_names() -> None:
    async with Stand("filter", list=[{"customers": ["10.9.0.0/16"], "names": ["bad.example"]}]) as stand:
        customer, server = stand.join()
        with echoing(server, 80):
            assert get(customer, "bad.example") == b"ok"


# ---- statistics --------------------------------------------------------------------------------------------


async def test_statistics_count_each_address_and_caps_hold() -> None:
    caps = [{"customers": ["10.1.0.0/24"], "megabytes": 1}]
    async with Stand("statistics", cap=caps) as stand:
        customer, server = stand.join()
        customer.run("ping", "-c3", "-i0.01", "-s100", SERVER[0])
        customer.run("ping", "-c2", "-i0.01", "-s100", SERVER[1])
        listing = await stand.peer.listing()
        used = statistics.usage(listing)
        four, six = (used[ip_address(address)] for address in CUSTOMER)
        assert (four.sent_packets, four.sent_octets) == (3, 3 * 128)
        assert (four.received_packets, four.received_octets) == (3, 3 * 128)
        assert (six.sent_packets, six.received_octets) == (2, 2 * 148)
        ends = ip_address(CUSTOMER[0]), ip_address(SERVER[0])
        for number in (1, 2):  # the second is added to the first
            past = Flow(*ends, 6, 4000 + number, 80)
            await stand.peer.take_usage(past, Traffic(5, 500), Traffic(7, 700))
        now = statistics.usage(await stand.peer.listing())[ends[0]]
        assert (now.sent_packets, now.sent_octets) == (13, 3 * 128 + 1000)
        assert (now.received_packets, now.received_octets) == (17, 3 * 128 + 1400)
        assert customer.run("ping", "-c1", "-W1", SERVER[0], check=False).returncode == 0
        with (
            listen(server, 80) as port,
            connect(customer, 80, patience=SOON) as one,
            port.accept()[0] as other,
        ):
            other.settimeout(SOON)
            with pytest.raises(TimeoutError):
                for _ in range(100):
                    other.sendall(bytes(1 << 16))
                    received = 0
                    while received < 1 << 16:
                        received += len(one.recv(1 << 16))
        assert customer.run("ping", "-c1", "-W1", SERVER[0], check=False).returncode
        assert customer.run("ping", "-c1", "-W1", SERVER[1], check=False).returncode == 0


async def test_what_went_past_statistics_counts_towards_a_cap() -> None:
    caps = [{"customers": ["10.1.0.0/24", "fd01::/64"], "megabytes": 1}]
    async with Stand("statistics", cap=caps) as stand:
        customer, _ = stand.join()
        for mine, theirs in zip(CUSTOMER, SERVER, strict=True):
            assert customer.run("ping", "-c1", "-W1", theirs, check=False).returncode == 0
            past = Flow(ip_address(theirs), ip_address(mine), 17, 53, 4000)
            for octets, passing in ((1 << 19, True), (1 << 19, False)):
                await stand.peer.take_usage(past, Traffic(400, octets), Traffic(1, 80))
                ping = customer.run("ping", "-c1", "-W1", theirs, check=False)
                assert (ping.returncode == 0) is passing


async def test_statistics_tell_of_long_flows() -> None:
    async with Stand("statistics", shortcut={"graph": "web", "megabytes": 1}) as stand:
        found: list[Flow] = []
        stand.peer.on_flow(found.append)
        customer, server = stand.join()
        with listen(server, 80) as port:
            for octets in (1 << 16, 1 << 21):
                with connect(customer, 80) as one, port.accept()[0] as other:
                    sender = threading.Thread(target=other.sendall, args=(bytes(octets),))
                    sender.start()
                    left = octets
                    while left:
                        left -= len(one.recv(1 << 16))
                    sender.join()
                    await stand.peer.seek_flows()
                    ports = one.getsockname()[1], 80
        (flow,) = found
        assert (str(flow.source), str(flow.destination), flow.protocol) == (CUSTOMER[0], SERVER[0], 6)
        assert (flow.source_port, flow.destination_port) == ports


# ---- cache -------------------------------------------------------------------------------------------------


@contextmanager
def origin(place: Namespace, address: str) -> Iterator[list[tuple[str, str]]]:
    """A web server whose pages may be kept but for those below ``/private``; who asked for what."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.client_address[0], self.path))
            content = self.headers["Host"].encode()
            self.send_response(200)
            kept = "no-store" if self.path.startswith("/private") else "max-age=60"
            self.send_header("Cache-Control", kept)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer((address, 80), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listen(place, 80, address)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


def fetch(place: Namespace, address: str, path: str, host: str) -> tuple[str, bytes]:
    """Whether the cache had it, and the content."""
    connection = http.client.HTTPConnection(address, 80, timeout=PATIENCE)
    connection.sock = connect(place, 80, address)
    with closing(connection):
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return cache_status(answer), answer.read()


def cache_status(answer: http.client.HTTPResponse) -> str:
    """HIT or MISS."""
    return str(answer.headers["X-Cache"]).partition(" ")[0]


NAMES = {
    "site.example": (SERVER[0],),
    "six.example": (SERVER[1],),
    "other.example": SERVER,
    "victim.example": ("203.0.113.66", "fd02::66"),
}


@pytest.fixture
def names() -> Iterator[list[str]]:
    """The host's resolver answers; the names that it was asked for."""
    with name_server(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), RESOLVER, NAMES) as asked:
        yield asked


@pytest.mark.usefixtures("names")
async def test_a_cache_answers_for_the_server_and_is_not_seen() -> None:
    async with Stand("cache", cache_megabytes=10) as stand:
        customer, server = stand.join()
        for source, address, site in zip(CUSTOMER, SERVER, ("site.example", "six.example"), strict=True):
            with origin(server, address) as asked:
                assert fetch(customer, address, "/page", site) == ("MISS", site.encode())
                assert fetch(customer, address, "/page", site) == ("HIT", site.encode())
                other = f"/{site}"
                assert fetch(customer, address, other, "other.example") == ("MISS", b"other.example")
                for _ in range(2):
                    assert fetch(customer, address, "/private", site)[0] == "MISS"
                assert asked == [(source, path) for path in ("/page", other, "/private", "/private")]
            with (
                listen(server, 8080, address) as port,
                connect(customer, 8080, address) as one,
                port.accept()[0] as beyond,
            ):
                assert passes(one, beyond)
    assert not (CACHES / f"{stand.name}-peer").exists()


async def test_a_cache_keeps_nothing_from_an_address_that_the_name_has_not(names: list[str]) -> None:
    async with Stand("cache") as stand:
        customer, server = stand.join()
        victim = NAMES["victim.example"][0]
        server.add_address("lo", ip_interface(f"{victim}/32"))
        with origin(server, SERVER[0]) as asked, origin(server, victim) as at_victim:
            for host in ("victim.example", "unknown.example"):
                for _ in range(2):
                    assert fetch(customer, SERVER[0], "/page", host) == ("MISS", host.encode())
            assert len(asked) == 4
            assert fetch(customer, victim, "/page", "victim.example")[0] == "MISS"
            assert fetch(customer, victim, "/page", "victim.example")[0] == "HIT"
            assert len(at_victim) == 1
        assert set(names) == {"victim.example", "unknown.example"}


async def test_without_names_a_cache_passes_all_and_keeps_nothing() -> None:
    async with Stand("cache") as stand:
        customer, server = stand.join()
        with origin(server, SERVER[0]) as asked:
            note = stand.folder / "peer" / "resolver.process"
            # The host's resolvers are away, and then the program that asks them.
            for host in ("site.example", "other.example"):
                for _ in range(2):
                    assert fetch(customer, SERVER[0], "/page", host) == ("MISS", host.encode())
                os.kill(json.loads(note.read_text())["pid"], signal.SIGKILL)
            assert len(asked) == 4


@pytest.mark.usefixtures("names")
async def test_a_cache_tells_of_the_flows_that_it_answers_and_answers_without_its_agent() -> None:
    async with Stand("cache", shortcut={"graph": "web"}) as stand:
        found: asyncio.Queue[Flow] = asyncio.Queue()
        stand.peer.on_flow(found.put_nowait)
        await stand.peer.seek_flows()
        customer, server = stand.join()
        with origin(server, SERVER[0]):
            for status in ("MISS", "HIT"):
                assert fetch(customer, SERVER[0], "/page", "site.example")[0] == status
            async with asyncio.timeout(PATIENCE):
                flow = await found.get()
            assert (str(flow.source), str(flow.destination)) == (CUSTOMER[0], SERVER[0])
            assert (flow.protocol, flow.destination_port, found.empty()) == (6, 80, True)
            stand.peer.close()
            for status in ("MISS", "HIT", "HIT"):
                assert fetch(customer, SERVER[0], "/page", "other.example")[0] == status


# ---- tap ---------------------------------------------------------------------------------------------------


async def test_a_tap_keeps_a_copy_of_what_passes() -> None:
    async with Stand("tap") as stand:
        customer, _ = stand.join()
        ring = stand.folder / "peer" / f"{tap.RING}0"
        wait_until(ring.exists, "the ring has its first file")
        customer.run("ping", "-c2", "-i0.01", SERVER[0])

        def copies() -> list[str]:
            return customer.run("tcpdump", "-nr", str(ring), "icmp").stdout.splitlines()

        wait_until(lambda: len(copies()) == 4, "both directions were copied")
        assert f"{CUSTOMER[0]} > {SERVER[0]}: ICMP echo request" in copies()[0]


# ---- life --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["filter", "cache", "tap", "statistics", "nat"])
async def test_a_peer_is_healthy_and_the_next_agent_takes_it_over(run: str) -> None:
    async with Stand(run, **({"addresses": NAT} if run == "nat" else {})) as stand:
        assert (await stand.peer.health()).problem == ""
        before = main_programs(stand)
        stand.peer.close()
        stand.peer = stand.again()
        await stand.peer.attach()
        await stand.peer.start()
        assert (await stand.peer.health()).problem == ""
        assert before <= programs(stand)
        assert bool(before) == (run in ("filter", "cache", "tap"))
    assert not (FOLDER / f"{stand.name}-peer").exists()
    assert not any(runs(number) for number in before)


async def test_a_program_that_ends_is_noticed_at_once_and_started_again() -> None:
    async with Stand("filter", list=LISTS) as stand:
        noticed = asyncio.Event()
        stand.peer.watch(noticed.set)
        for number in programs(stand):
            os.kill(number, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            await noticed.wait()
        assert (await stand.peer.health()).problem.startswith("inspector has ended: ")
        await stand.peer.attach()
        await stand.peer.start()
        assert (await stand.peer.health()).problem == ""


async def test_a_program_with_other_settings_takes_the_place_of_the_one_before() -> None:
    async with Stand("tap") as stand:
        before = main_programs(stand)
        stand.peer.close()
        stand.peer = stand.again(ring_megabytes=200)
        await stand.peer.start()
        assert not any(runs(number) for number in before)
        assert programs(stand) == main_programs(stand)


async def test_without_its_program_a_filter_lets_nothing_pass_that_it_should_see() -> None:
    async with Stand("filter", list=LISTS) as stand:
        customer, server = stand.join()
        with echoing(server, 80):
            assert get(customer, "good.example") == b"ok"
            for number in programs(stand):
                os.kill(number, signal.SIGKILL)
            wait_until(lambda: not programs(stand), "the program has ended")
            with connect(customer, 80, patience=SOON) as one, pytest.raises(TimeoutError):
                one.sendall(b"GET / HTTP/1.1\r\nHost: bad.example\r\n\r\n")
                one.recv(100)


def main_programs(stand: Stand) -> set[int]:
    """Numbers of those that the agent started."""
    return {json.loads(path.read_text())["pid"] for path in (stand.folder / "peer").glob("*.process")}


def runs(number: int) -> bool:
    """Whether a process runs: one that has ended may still be waited for."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def programs(stand: Stand) -> set[int]:
    """Numbers of the processes in the peer's namespace."""
    wanted = (FOLDER / f"{stand.name}-peer").stat()
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            inside = (path / "ns/net").stat()
        except OSError:
            continue
        if (inside.st_dev, inside.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.add(int(path.name))
    return found
