# SPDX-License-Identifier: Apache-2.0
"""``moorline doctor``: what this machine lacks to be a node, and what to do about it.

A check is a function of the settings that yields findings. Each finding says what was found; one that is not
well also says what to do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import typer

from moorline.cli import probes
from moorline.cli.options import Options
from moorline.cli.output import Column, Output, OutputOption, show_rows
from moorline.errors import MoorlineError
from moorline.wire import OVERHEAD_IPV6

if TYPE_CHECKING:
    from moorline.cli.settings import Settings

OLDEST_KERNEL: Final = (5, 18)
"""The first with all that the programs call: the latest is reading octets of a packet at XDP."""

KERNEL_OPTIONS: Final = (
    "CONFIG_BPF_SYSCALL",
    "CONFIG_NET_CLS_ACT",
    "CONFIG_NET_CLS_BPF",
    "CONFIG_NET_SCH_INGRESS",
    "CONFIG_VETH",
)
"""What the kernel must have, built in or as a module."""

SMALLEST_INNER_MTU: Final = 1280
"""IPv6 needs that much (RFC 8200, section 5)."""

COLUMNS = (
    Column("CHECK", "check"),
    Column("STATE", "state"),
    Column("FOUND", "found"),
    Column("WHAT TO DO", "mend"),
)


class State(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; ``mend`` says what to do about it and is empty when all is well."""

    check: str
    state: State
    found: str
    mend: str = ""


Check = Callable[["Settings"], Iterator[Finding]]


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, State.OK, found)


def warn(check: str, found: str, mend: str) -> Finding:
    """Something works worse than it could, or could not be found out."""
    return Finding(check, State.WARN, found, mend)


def fail(check: str, found: str, mend: str) -> Finding:
    """A node cannot work."""
    return Finding(check, State.FAIL, found, mend)


def check_kernel(_settings: Settings) -> Iterator[Finding]:
    """Release of the kernel."""
    release, number = probes.kernel_release()
    if number >= OLDEST_KERNEL:
        yield ok("kernel", f"Linux {release}")
    else:
        oldest = ".".join(map(str, OLDEST_KERNEL))
        yield fail("kernel", f"Linux {release}", f"install a kernel from {oldest} on")


def check_kernel_options(_settings: Settings) -> Iterator[Finding]:
    """What the kernel was built with."""
    options = probes.kernel_options()
    if options is None:
        yield warn(
            "kernel options", "the kernel does not tell", "see that it has " + ", ".join(KERNEL_OPTIONS)
        )
        return
    missing = [name for name in KERNEL_OPTIONS if options.get(name) not in ("y", "m")]
    if missing:
        yield fail(
            "kernel options", f"without {', '.join(missing)}", "install a kernel that was built with them"
        )
    else:
        yield ok("kernel options", f"all {len(KERNEL_OPTIONS)} are there")


def check_privileges(_settings: Settings) -> Iterator[Finding]:
    """Capabilities of this process."""
    missing = set(probes.Capability) - probes.effective_capabilities()
    if missing:
        names = ", ".join(sorted(capability.name for capability in missing))
        yield fail("privileges", f"without {names}", "run the node as root, or grant it these capabilities")
    else:
        yield ok("privileges", ", ".join(capability.name for capability in probes.Capability))


def check_bpf(_settings: Settings) -> Iterator[Finding]:
    """Kinds of BPF programs and maps, tried out."""
    try:
        missing = probes.missing_from_bpf()
    except OSError as error:
        yield fail("bpf", str(error), "install libbpf: apt install libbpf1")
        return
    if missing:
        mend = "run as root; if it stays, the kernel needs CONFIG_BPF_SYSCALL and must not be locked down"
        yield fail("bpf", f"the kernel refuses {', '.join(missing)}", mend)
    else:
        yield ok("bpf", "XDP and TC programs, arrays and ring buffers can be loaded")


def check_jit(_settings: Settings) -> Iterator[Finding]:
    """Whether BPF programs run as machine code."""
    on = probes.jit_is_on()
    if on:
        yield ok("bpf jit", "on")
    elif on is None:
        mend = "look at net.core.bpf_jit_enable in the host's network namespace"
        yield warn("bpf jit", "hidden in this network namespace", mend)
    else:
        yield warn("bpf jit", "off: packets cost several times more", "sysctl net.core.bpf_jit_enable=1")


def check_bcc(_settings: Settings) -> Iterator[Finding]:
    """The compiler of the BPF programs."""
    try:
        import bcc
    except ImportError as error:
        mend = "apt install python3-bpfcc, and make the virtual environment with --system-site-packages"
        yield fail("bcc", f"{error} in {sys.prefix}", mend)
    else:
        yield ok("bcc", f"BCC {bcc.__version__}")


def check_headers(_settings: Settings) -> Iterator[Finding]:
    """Kernel headers for the compiler: the running kernel's, or any recent ones."""
    from dataplane.bpf.headers import HeadersError, find_headers

    try:
        yield ok("headers", str(find_headers()))
    except HeadersError as error:
        yield fail("headers", str(error), "apt install linux-headers-$(dpkg --print-architecture)")


def check_bpffs(settings: Settings) -> Iterator[Finding]:
    """Where maps and programs are pinned."""
    pins = settings.node.pins
    if (kind := probes.mount_type(pins)) == "bpf":
        yield ok("bpffs", f"{pins} is in a BPF file system")
    else:
        yield fail("bpffs", f"{pins} is in {kind or 'nothing'}", "mount -t bpf bpf /sys/fs/bpf")


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Whether there is an interface to other nodes."""
    underlay = [port.name for port in settings.node.ports if port.role == "underlay"]
    if underlay:
        yield ok("ports", ", ".join(underlay))
    else:
        yield warn("ports", "no underlay port", "name the interface to other nodes in [[node.port]]")


def check_mtu(settings: Settings) -> Iterator[Finding]:
    """MTU of each underlay port, and what it leaves for packets inside."""
    for port in settings.node.ports:
        name = f"mtu of {port.name}"
        mtu = probes.interface_mtu(port.name)
        if mtu is None:
            yield fail(name, "there is no such interface", "correct name in [[node.port]], or create it")
        elif port.role == "underlay":
            yield _judged_mtu(name, mtu)
        else:
            yield _judged_gateway_mtu(name, mtu, settings)


def _judged_gateway_mtu(name: str, mtu: int, settings: Settings) -> Finding:
    underlay = (probes.interface_mtu(port.name) for port in settings.node.ports if port.role == "underlay")
    largest = max(min(filter(None, underlay), default=0) - OVERHEAD_IPV6, SMALLEST_INNER_MTU)
    if mtu < largest:
        found = f"{mtu}: other nodes send packets of up to {largest}, and what is larger than {mtu} is lost"
        return warn(name, found, f"raise it to {largest}")
    return ok(name, str(mtu))


def _judged_mtu(name: str, mtu: int) -> Finding:
    found = f"{mtu}: packets inside up to {mtu - OVERHEAD_IPV6}"  # IPv4 may become IPv6 by an address change
    needed = SMALLEST_INNER_MTU + OVERHEAD_IPV6
    if mtu < needed:
        return fail(name, found, f"raise it to {needed} or more, else IPv6 inside cannot work")
    return ok(name, found)


def check_checksum_offload(settings: Settings) -> Iterator[Finding]:
    """Half-made checksums: a veth hands them to XDP as the sender left them."""
    for port in settings.node.ports:
        name = f"checksum offload of {port.name}"
        try:
            driver, offloaded = probes.interface_driver(port.name), probes.checksums_on_sending(port.name)
        except OSError as error:
            yield warn(name, f"cannot be read ({error.strerror})", "see that the interface exists")
            continue
        if port.hook == "xdp" and driver == "veth":
            mend = f'set hook = "tc" or "auto", or run ethtool -K PEER tx off on the other end of {port.name}'
            yield warn(name, "XDP on a veth sees packets whose checksums are not complete", mend)
        else:
            yield ok(name, f"{'on' if offloaded else 'off'}, driver {driver or 'unknown'}")


def check_sending_from_xdp(settings: Settings) -> Iterator[Finding]:
    """What ports at XDP need of the interfaces that their packets leave by: those towards nodes for what
    comes in at an access port, those towards plain hosts for what comes in anywhere.
    """
    node = settings.node
    at_xdp = {port.role for port in node.ports if port.hook == "xdp"}
    from_access = node.access_hook == "xdp" or "gateway" in at_xdp
    for port in node.ports:
        if from_access or (at_xdp and port.role == "gateway"):
            yield _judged_forwarding(port.name)
            if probes.interface_driver(port.name) == "veth":
                found = "a veth takes packets from XDP only when its other end has GRO or a program at XDP"
                mend = (
                    f'set access_hook = "auto", or run ethtool -K PEER gro on on the other end of {port.name}'
                )
                yield warn(f"sending by {port.name}", found, mend)


def _judged_forwarding(interface: str) -> Finding:
    """The kernel tells programs at XDP the routes of forwarding interfaces only."""
    name = f"forwarding of {interface}"
    states = {family: probes.forwarding(interface, family) for family in ("ipv4", "ipv6")}
    fixed = [family for family, state in states.items() if state is probes.Setting.FIXED]
    if fixed:
        commands = " ".join(f"net.{family}.conf.{interface}.forwarding=1" for family in fixed)
        mend = f"outside the container, run sysctl -w {commands} in its network namespace"
        return fail(name, f"off for {' and '.join(fixed)}, and not to be changed from here", mend)
    found = ", ".join(f"{family} {state}" for family, state in states.items())
    return ok(name, f"{found} (the node switches on what is off)")


def check_clock(_settings: Settings) -> Iterator[Finding]:
    """Certificates and leases need the time of day."""
    if probes.clock_is_synchronised():
        yield ok("clock", "synchronised")
    else:
        yield warn("clock", "no time service keeps it", "apt install systemd-timesyncd, or chrony")


def check_controller(settings: Settings) -> Iterator[Finding]:
    """Whether the controller that this node joined can be reached."""
    from moorline.cli import reach

    try:
        target = asyncio.run(reach.controller_of_node(settings))
    except MoorlineError as error:
        found, _, mend = str(error).rpartition(": ")
        yield fail("controller", found, mend)
        return
    if target is None:
        yield warn("controller", "this machine has joined none", "moorline node join TOKEN")
    else:
        yield ok("controller", f"{target} answers")


CHECKS: Final[tuple[Check, ...]] = (
    check_kernel,
    check_kernel_options,
    check_privileges,
    check_bpf,
    check_jit,
    check_bcc,
    check_headers,
    check_bpffs,
    check_ports,
    check_mtu,
    check_checksum_offload,
    check_sending_from_xdp,
    check_clock,
    check_controller,
)


def doctor(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Check whether this machine can be a node.

    Says what was found and what to do about it; fails when any check fails.
    """
    settings = Options.of(ctx).settings()
    findings = [finding for check in CHECKS for finding in check(settings)]
    show_rows([asdict(finding) for finding in findings], COLUMNS, output, empty="")
    if any(finding.state is State.FAIL for finding in findings):
        raise typer.Exit(1)
