# SPDX-License-Identifier: Apache-2.0
"""A BMv2 switch run for ``moorline switch run``: started, added, and ended with the command."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import grpc
import structlog
from finsy.proto import p4r, p4r_grpc

from dataplane.agent.features import Feature
from dataplane.agent.features import switch as set_feature
from dataplane.bpf.attach import driver_of
from moorline.api.v1.moorline_pb2_grpc import NodesStub
from moorline.cli.client import CALL_SECONDS, controller_channel
from moorline.cli.options import Options
from moorline.cli.switch_file import add_request
from moorline.errors import MoorlineError
from moorline.local_socket import make_way
from moorline.switch import CPU_PORT, SwitchConfig

log = structlog.get_logger(__name__)

PROGRAM: Final = "simple_switch_grpc"
SOURCE: Final = "https://build.opensuse.org/package/show/home:p4lang/p4lang-bmv2"
DEVICE_ID: Final = 1
START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0
_SOCKETS: Final = Path("/run/moorline")
_PORT_REFUSED: Final = b"Add port operation failed"
_PR_SET_PDEATHSIG: Final = 1
_SIOCGIFFLAGS: Final = 0x8913
_IFREQ: Final = struct.Struct("16sH14x")
_IFF_UP: Final = 1
_JOINING: Final = (
    Feature.TRANSMIT_SEGMENTS,
    Feature.TRANSMIT_LATE_SEGMENTS,
    Feature.RECEIVE_JOINING,
)


class SwitchProgramError(MoorlineError):
    """A switch that cannot be run here."""


async def run_switch(options: Options, name: str, config: SwitchConfig, p4runtime: str) -> None:
    """Run a switch until cancelled.

    Args:
        options: how the controller is reached.
        name: of the node.
        config: its ports; each must name its interface.
        p4runtime: where it serves, ``host:port``; empty: a socket of its own on this machine.

    Raises:
        SwitchProgramError: it cannot be started, or has ended.
        SocketPathError: its socket is in use, or cannot be made.
        RemoteError: the controller cannot be reached, or does not take it.
    """
    program = find_program()
    target = p4runtime or _socket(options, name)
    interfaces = {port.number: _usable(port.number, port.interface) for port in config.ports}
    with _whole_frames(list(interfaces.values())):
        async with _started(program, interfaces, target) as process:
            ended = asyncio.create_task(_forward_log(process))
            try:
                await _serving(target, ended)
                async with controller_channel(options) as channel:
                    request = add_request(name, target, DEVICE_ID, config)
                    await NodesStub(channel).AddSwitch(request, timeout=CALL_SECONDS)
                log.info("switch_runs", switch=name, p4runtime=target, ports=len(interfaces))
                await ended
            finally:
                ended.cancel()


def find_program() -> str:
    """Where the switch's program is; raises :class:`SwitchProgramError`."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise SwitchProgramError(
            f"{PROGRAM} is not on the PATH: install p4lang's package p4lang-bmv2, {SOURCE}"
        )
    return program


def _socket(options: Options, name: str) -> str:
    if options.controller or options.settings().client.controller:
        raise SwitchProgramError(
            f"the controller elsewhere has to reach switch {name}: say where with --p4runtime HOST:PORT"
        )
    path = _SOCKETS / f"switch-{name}.sock"
    make_way(path, "--p4runtime HOST:PORT")  # else a second one would take it from the first
    return f"unix:{path}"


def _usable(number: int, interface: str) -> str:
    if not interface:
        raise SwitchProgramError(f"port {number} names no interface: set its key interface in the file")
    try:
        flags = _flags(interface)
    except OSError:
        raise SwitchProgramError(
            f"interface {interface} of port {number} does not exist: see 'ip link', or correct the file"
        ) from None
    if not flags & _IFF_UP:
        raise SwitchProgramError(f"interface {interface} is down: 'ip link set {interface} up'")
    return interface


def _flags(interface: str) -> int:
    """Its IFF_* flags; raises OSError when it does not exist."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, _IFREQ.pack(interface.encode(), 0))
    flags: int = _IFREQ.unpack(answer)[1]
    return flags


@contextmanager
def _whole_frames(interfaces: list[str]) -> Iterator[None]:
    """Keep interfaces from joining segments meanwhile: the switch takes frames as they were on the wire.

    Nor must they be able to cut: libpcap gives each packet of its buffer the room of the longest that may
    come, so that with these offloads on a burst of more than 32 packets is lost.
    """
    changed = [
        (name, feature) for name in interfaces for feature in _JOINING if set_feature(name, feature, on=False)
    ]
    for name in interfaces:
        if driver_of(name) == "veth":
            log.warning(
                "veth_needs_whole_frames", interface=name, mend="at its other end: ethtool -K NAME tx off"
            )
    try:
        yield
    finally:
        for name, feature in reversed(changed):
            set_feature(name, feature, on=True)


@asynccontextmanager
async def _started(program: str, interfaces: dict[int, str], target: str) -> AsyncIterator[Process]:
    ports = [word for number, name in interfaces.items() for word in ("-i", f"{number}@{name}")]
    general = ["--no-p4", "--device-id", str(DEVICE_ID), "--log-console", "--log-level", "warn"]
    own = ["--grpc-server-addr", target, "--cpu-port", str(CPU_PORT)]
    process = await asyncio.create_subprocess_exec(
        program,
        *ports,
        *general,
        "--",
        *own,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,  # a terminal's Ctrl-C is ours alone
        preexec_fn=_die_with(os.getpid()),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _die_with(parent: int) -> Callable[[], None]:
    """What the child does before it becomes the switch: it must not outlive this command, however that ends;
    and whoever may open its socket may do everything with it.
    """
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        os.umask(0o177)

    return prepare


async def _forward_log(process: Process) -> None:
    """Write what the switch says to standard error; raises when it ends, or goes on without a port."""
    assert process.stdout is not None
    async for line in process.stdout:
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
        if _PORT_REFUSED in line:
            raise SwitchProgramError(f"{PROGRAM} cannot open its interfaces: run as root")
    status = await process.wait()
    raise SwitchProgramError(f"{PROGRAM} ended with status {status}: its last words stand above")


async def _serving(target: str, ended: asyncio.Task[None]) -> None:
    """Wait until P4Runtime answers; raises what ``ended`` raises if that is sooner."""
    async with grpc.aio.insecure_channel(target) as channel:
        asked = p4r_grpc.P4RuntimeStub(channel).Capabilities(
            p4r.CapabilitiesRequest(), timeout=START_SECONDS, wait_for_ready=True
        )
        answered = asyncio.ensure_future(_answered(asked, target))
        try:
            await asyncio.wait([answered, ended], return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ended.result()
            await answered
        finally:
            answered.cancel()


async def _answered(call: object, target: str) -> None:
    try:
        await call  # type: ignore[misc]
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise SwitchProgramError(
                f"{PROGRAM} does not serve P4Runtime at {target}: see what else uses that address"
            ) from error
