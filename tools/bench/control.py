# SPDX-License-Identifier: Apache-2.0
"""The controller: lookups beside an empty echo service, and new connections with both ends programmed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice, product
from pathlib import Path
from statistics import median, quantiles

import grpc

from control.config import ControllerConfig
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc
from tools.bench.lookups import Drive, drive
from tools.bench.report import Row
from tools.bench.rounds import interleave, ratio
from tools.bench.stored import fill_store
from tools.lab.lab import Lab
from tools.lab.process import Process
from tools.lab.waiting import wait_until

SERVICES = 100_000
ROUNDS = 5
SECONDS = 3.0
CALLERS = 32
STREAMED = 20_000
NEW = 4_000
SERVICES_EACH = 120
WANTED_PER_SECOND = 800
"""New connections that a controller is to bear. The load of the waiting time is half of it, and not half of
what was measured, which would ask more of a quicker controller."""
PACED = 1_200


def stored_lookups() -> list[Row]:
    """``control.lookups_ratio_echo`` and ``control.lookups_stream_per_s``."""
    with Lab(hosts=()) as lab:
        pairs = fill_store(lab.controller.folder / "state", SERVICES)
        lab.controller.start()
        socket = lab.controller.socket
        echo = lab.folder / "echo.sock"
        lab.run_beside(_start_echo(echo, lab.folder / "echo.log"))
        samples = interleave(
            {"lookup": lambda: _lookup_rate(socket, pairs), "echo": lambda: _echo_rate(echo)}, ROUNDS
        )
        streamed = median(drive(socket, pairs[:STREAMED]).per_second for _ in range(ROUNDS))
    rate = samples["lookup"].median
    return [
        Row(
            "control.lookups_ratio_echo", rate, "1/s", "empty grpc.aio echo", ratio(samples, "lookup", "echo")
        ),
        Row("control.lookups_stream_per_s", streamed, "1/s", "", streamed),
    ]


def new_connections() -> list[Row]:
    """``control.connections_per_s`` and ``control.connection_p99_ms``."""
    with Lab(settings={"accounting_seconds": ControllerConfig().accounting_seconds}) as lab:
        lab.start()
        for name in ("server", "laptop"):
            services = [f"{name}{i}.bench" for i in range(SERVICES_EACH)]
            asyncio.run(_register(lab.controller.socket, services, name))
        fresh = ((f"laptop{i}.bench", f"server{j}.bench") for i, j in product(range(SERVICES_EACH), repeat=2))
        rates = [_drive_next(lab, fresh).per_second for _ in range(2)]
        rate = median(rates)
        p99 = median(_p99(lab, list(islice(fresh, PACED))) for _ in range(ROUNDS))
    return [
        Row("control.connections_per_s", rate, "1/s", "", rate),
        Row("control.connection_p99_ms", p99, "ms", f"at {WANTED_PER_SECOND // 2} a second", p99),
    ]


def _p99(lab: Lab, pairs: Sequence[tuple[str, str]]) -> float:
    paced = drive(lab.controller.socket, pairs, per_second=WANTED_PER_SECOND / 2)
    return 1000 * quantiles(paced.each, n=100)[98]


def _drive_next(lab: Lab, fresh: Iterator[tuple[str, str]]) -> Drive:
    return drive(lab.controller.socket, list(islice(fresh, NEW)))


async def _register(socket: Path, names: Sequence[str], node: str) -> None:
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        stub = rpc.NamingStub(channel)
        remaining = iter(names)

        async def register_some() -> None:
            for name in remaining:
                await stub.RegisterService(api.RegisterServiceRequest(name=name, node=node))

        await asyncio.gather(*(register_some() for _ in range(CALLERS)))


def _start_echo(socket: Path, log: Path) -> Process:
    process = Process("echo service", [sys.executable, "-m", "tools.bench.echo", str(socket)], log)
    wait_until(socket.exists, "the echo service listens")
    return process


def _lookup_rate(socket: Path, pairs: Sequence[tuple[str, str]]) -> float:
    requests = [
        api.LookupRequest(client=client, server=server) for client, server in pairs[:: len(pairs) // 5000]
    ]
    return asyncio.run(_rate(socket, "/moorline.v1.Naming/Lookup", requests, api.LookupResponse))


def _echo_rate(socket: Path) -> float:
    empty = api.GetControllerStatusRequest
    return asyncio.run(_rate(socket, "/bench.Echo/Echo", [empty()], empty))


async def _rate(socket: Path, method: str, requests: Sequence[object], answer: type) -> float:
    """Unary calls a second by ``CALLERS`` callers over one channel."""
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        call: Callable[[object], Awaitable[object]] = channel.unary_unary(
            method,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,  # type: ignore[attr-defined]
        )
        counts = [0] * CALLERS
        end = time.perf_counter() + SECONDS

        async def caller(number: int) -> None:
            at = number
            while time.perf_counter() < end:
                await call(requests[at % len(requests)])
                counts[number] += 1
                at += CALLERS

        begin = time.perf_counter()
        await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        return sum(counts) / (time.perf_counter() - begin)
