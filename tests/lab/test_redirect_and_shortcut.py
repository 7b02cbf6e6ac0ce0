# SPDX-License-Identifier: Apache-2.0
"""An HTTP redirect to a cache server: requests go through the peers first, then by a short-cut until idle.

::

    customer --- entry --- router --- exit --- origin: answers by a redirect
                   |                     +---- cache: has the page
             fw1, st1 (peers)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import pytest

from moorline.api.v1 import graphs_pb2 as api
from tests.lab.test_feature_peers_alone import connect, listen
from tools.lab import HostPlan, Lab
from tools.lab.edges import EdgeHost
from tools.lab.waiting import wait_until

PORT = 80
TCP = 6
PAGE = b"the page\n"
IDLE_SECONDS = 2
GRAPH = """
name: web
applies:
  - prefixes: ["{customer}"]
    protocol: tcp
    ports: [80]
forward: [firewall, statistics]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("redirect")
    rules = folder / "rules.nft"
    rules.write_text("ct state established,related accept\ntcp dport 80 accept\n")
    peers = [
        {"name": "fw1", "kind": "firewall", "run": "firewall", "rules": rules},
        {"name": "st1", "kind": "statistics", "run": "statistics"},
    ]
    plans = (
        HostPlan("entry", edges=("customer",), settings={"peer": peers}),
        HostPlan("exit", edges=("origin", "cache")),
    )
    with Lab(plans) as lab:
        lab.start()
        wait_until(
            lambda: [row["state"] for row in lab.controller.ask("peer", "list")] == ["up", "up"],
            "both peers were up",
            30,
        )
        file = folder / "web.yaml"
        file.write_text(GRAPH.format(customer=lab.edges["customer"].addresses[4].network))
        lab.controller.moorline("graph", "apply", str(file))
        yield lab


@contextmanager
def answering(host: EdgeHost, location: str = "") -> Iterator[None]:
    """A web server that answers with the page, or by a redirect to ``location``."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self) -> None:
            self.send_response(302 if location else 200)
            if location:
                self.send_header("Location", location)
            body = b"" if location else PAGE
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer((host.ipv4, PORT), Answer, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = listen(host.place, PORT, host.ipv4)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def fetch(connection: HTTPConnection, path: str) -> tuple[HTTPResponse, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer, answer.read()


def open_http(customer: EdgeHost, address: str) -> HTTPConnection:
    connection = HTTPConnection(address, PORT)
    connection.sock = connect(customer.place, PORT, address)
    return connection


def through_peers(lab: Lab) -> list[int]:
    """Packets that each peer of each path was given."""
    graph = lab.controller.graphs.GetGraph(api.GetGraphRequest(name="web"), timeout=10)
    return [one.packets for path in graph.paths for hop in path.hops for one in hop.instances]


def carried(lab: Lab) -> tuple[int, int]:
    """Packets of the one short-cut in each direction."""
    (one,) = lab.controller.graphs.ListShortcuts(api.ListShortcutsRequest(), timeout=10).shortcuts
    return one.packets, one.packets_back


@pytest.fixture
def watch(lab: Lab) -> Iterator[Any]:
    """What becomes of short-cuts (api.ShortcutEvent)."""
    events = lab.controller.graphs.WatchShortcuts(api.WatchShortcutsRequest(), timeout=60)
    yield events
    events.cancel()


def test_a_redirected_customer_goes_through_the_peers_then_straight_until_idle(lab: Lab, watch: Any) -> None:
    customer, origin, cache = (lab.edges[name] for name in ("customer", "origin", "cache"))
    with answering(origin, f"http://{cache.ipv4}/page"), answering(cache):
        with closing(open_http(customer, origin.ipv4)) as connection:
            redirect, _ = fetch(connection, "/page")
        target = urlsplit(redirect.headers["Location"])
        assert (redirect.status, target.hostname) == (302, cache.ipv4)

        with closing(open_http(customer, cache.ipv4)) as connection:
            source, port = connection.sock.getsockname()
            before = through_peers(lab)
            assert fetch(connection, target.path)[1] == PAGE
            transient = through_peers(lab)
            assert all(now > then for now, then in zip(transient, before, strict=True))

            flow = api.Flow(
                source=ip_address(source).packed,
                destination=ip_address(cache.ipv4).packed,
                protocol=TCP,
                source_port=port,
                destination_port=PORT,
            )
            request = api.RequestShortcutRequest(graph="web", flow=flow, idle_seconds=IDLE_SECONDS)
            one = lab.controller.graphs.RequestShortcut(request, timeout=10)

            def goes_straight() -> bool:
                before = through_peers(lab)
                assert fetch(connection, target.path)[1] == PAGE
                return through_peers(lab) == before

            # The first round may have seen the end of the connection to the origin.
            wait_until(goes_straight, "a request passed the peers by")
            straight, used = through_peers(lab), carried(lab)
            assert min(used) > 0

            # Nobody speaks on it any more.
            usage = next(event for event in watch if event.kind == api.ShortcutEvent.KIND_EXPIRED).shortcut
            assert (usage.id, usage.flow) == (one.id, flow)
            assert usage.packets >= used[0]
            assert usage.packets_back >= used[1]
            assert min(usage.bytes, usage.bytes_back) > len(PAGE)
            assert not lab.controller.graphs.ListShortcuts(api.ListShortcutsRequest(), timeout=10).shortcuts

            assert fetch(connection, target.path)[1] == PAGE
            assert all(now > then for now, then in zip(through_peers(lab), straight, strict=True))
