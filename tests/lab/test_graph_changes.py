# SPDX-License-Identifier: Apache-2.0
"""A graph is changed a hundred times while packets go by it: none is lost, none sees parts of two versions.

::

    user --- gate --- router --- north: one (signs a)
                        |
    server -------------+------- south: two (signs b)

The versions differ in the order of the peers, so that a packet led by one version first and the other then
would have a letter twice, or more than two.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from types import TracebackType
from typing import Final, Self

import pytest

from moorline.api.v1 import graphs_pb2 as api
from tools.lab import HostPlan, Lab
from tools.lab.edges import EdgeHost
from tools.lab.flow import PacedFlow
from tools.lab.forwarders import attach, signatures
from tools.lab.namespace import Namespace
from tools.lab.waiting import wait_until

CHANGES: Final = 100
VERSIONS: Final = ("[one, two]", "[two, one]")
GRAPH: Final = """
name: web
applies:
  - prefixes: ["{user}/32"]
    servers: ["{server}/32"]
forward: {forward}
"""
PER_SECOND: Final = 500
_TCP_INFO_TOTAL_RETRANS: Final = 100
"""Octets before ``tcpi_total_retrans`` in ``struct tcp_info`` (linux/tcp.h)."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    plans = (HostPlan("gate", edges=("user",)), HostPlan("north"), HostPlan("south", edges=("server",)))
    # Few former versions stand at a time, or there is no room for a hundred changes in a row.
    with Lab(plans, settings={"grace_seconds": 0.5}) as lab:
        peers = attach(lab, {"north": ["one"], "south": ["two"]})
        lab.start()

        def up() -> bool:
            return sum(row["state"] == "up" for row in lab.controller.ask("peer", "list")) == len(peers)

        wait_until(up, "the peers were up", 30)
        yield lab


def apply(lab: Lab, forward: str) -> None:
    user, server = lab.edges["user"].ipv4, lab.edges["server"].ipv4
    text = GRAPH.format(user=user, server=server, forward=forward)
    lab.controller.graphs.ApplyGraph(api.ApplyGraphRequest(text=text, source="web.yaml"), timeout=30)


def test_a_hundred_changes_lose_no_packet_and_mix_no_versions(lab: Lab) -> None:
    user, server = lab.edges["user"], lab.edges["server"]
    apply(lab, VERSIONS[-1])
    stream = _Stream(lab, user, server)
    there, back = _flow(user, server), _flow(server, user)
    with _NewConnections(user.place, server) as connections, stream, there, back:
        there.run(0.5)
        for number in range(CHANGES):
            apply(lab, VERSIONS[number % len(VERSIONS)])
        there.run(0.5)
    for flow in (there, back):
        assert flow.report.sent > CHANGES
        assert flow.report.lost == []
        assert flow.report.duplicates == 0
        assert signatures(flow.report.carried).keys() == {"ab", "ba"}
    assert connections.failures == []
    assert connections.made > CHANGES
    assert stream.octets > 1 << 20


def _flow(source: EdgeHost, target: EdgeHost) -> PacedFlow:
    return PacedFlow(source.place, target.place, target.ipv4, per_second=PER_SECOND)


class _Stream:
    """iperf3 beside it, with less under way than a cable's queue holds: what is lost is lost by the graph."""

    def __init__(self, lab: Lab, user: EdgeHost, server: EdgeHost) -> None:
        self.octets = 0
        self._log = lab.folder / "stream.json"
        lab.run_beside(server.place.start("iperf3", "iperf3", "-s"))

        def listens() -> bool:
            return bool(server.place.run("ss", "-Htln", "sport = 5201").stdout)

        wait_until(listens, "iperf3 listened")
        limits = ("-t", "600", "-b", "50M", "-w", "64K")
        words = ("-c", server.ipv4, *limits, "-J", "--logfile", str(self._log))
        self._client = lab.run_beside(user.place.start("stream", "iperf3", *words))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._client.check_running()
        self._client.stop()
        if error is None:
            self.octets = json.loads(self._log.read_text())["end"]["sum_sent"]["bytes"]


class _NewConnections:
    """Makes one TCP connection after the other; those whose handshake took a second attempt are failures."""

    PORT: Final = 7002

    def __init__(self, client: Namespace, server: EdgeHost) -> None:
        self.made = 0
        self.failures: list[str] = []
        self._client = client
        self._address = (server.ipv4, self.PORT)
        self._listener = server.place.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind(self._address)
        self._listener.listen(100)
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._connect, self._accept)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._threads[0].join()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[1].join()
        self._listener.close()

    def _connect(self) -> None:
        while not self._ending.wait(0.01):
            with closing(self._client.socket(socket.AF_INET, socket.SOCK_STREAM)) as client:
                client.settimeout(30)
                try:
                    client.connect(self._address)
                except OSError as error:
                    self.failures.append(str(error))
                    continue
                info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                (again,) = struct.unpack_from("=I", info, _TCP_INFO_TOTAL_RETRANS)
                if again:
                    self.failures.append(f"connection {self.made} took {again + 1} attempts")
                self.made += 1

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            accepted.close()
