# SPDX-License-Identifier: Apache-2.0
"""Facts of the machine that ``moorline doctor`` judges: the kernel's own words, not yet weighed."""

from __future__ import annotations

import ctypes
import fcntl
import gzip
import os
import re
import socket
import struct
import sys
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Final, Literal

_ETHTOOL_GTXCSUM: Final = 0x16
_SIOCGIFMTU: Final = 0x8921
_STA_UNSYNC: Final = 0x40
"""From linux/ethtool.h, linux/sockios.h and linux/timex.h."""


class Capability(IntEnum):
    """Capabilities that a node needs (linux/capability.h)."""

    CAP_NET_ADMIN = 12
    CAP_PERFMON = 38
    CAP_BPF = 39


class ProgramType(IntEnum):
    """Kinds of BPF programs that a node loads (linux/bpf.h)."""

    SCHED_CLS = 3
    XDP = 6


class MapType(IntEnum):
    """Kinds of BPF maps that a node uses (linux/bpf.h)."""

    ARRAY = 2
    PERCPU_ARRAY = 6
    RINGBUF = 27


def kernel_release() -> tuple[str, tuple[int, int]]:
    """The kernel's release, whole and as major and minor number."""
    release = os.uname().release
    match = re.match(r"(\d+)\.(\d+)", release)
    return release, (int(match[1]), int(match[2])) if match else (0, 0)


def kernel_options() -> dict[str, str] | None:
    """The options that the running kernel was built with; ``None`` where it does not tell."""
    try:
        text = gzip.decompress(Path("/proc/config.gz").read_bytes()).decode()
    except OSError:
        try:
            text = Path(f"/boot/config-{os.uname().release}").read_text()
        except OSError:
            return None
    return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_"))


def effective_capabilities() -> set[Capability]:
    """Those capabilities of ``Capability`` that this process has."""
    status = Path("/proc/self/status").read_text()
    mask = int(re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)[1], 16)  # type: ignore[index]
    return {capability for capability in Capability if mask >> capability & 1}


def missing_from_bpf() -> list[str]:
    """Kinds of programs and maps that the kernel lacks, asked by libbpf; raises ``OSError`` without it."""
    libbpf = ctypes.CDLL("libbpf.so.1")
    programs = [kind.name for kind in ProgramType if libbpf.libbpf_probe_bpf_prog_type(kind, None) != 1]
    return programs + [kind.name for kind in MapType if libbpf.libbpf_probe_bpf_map_type(kind, None) != 1]


def jit_is_on() -> bool | None:
    """Whether BPF programs are compiled to machine code; ``None`` where this network namespace hides it."""
    try:
        return Path("/proc/sys/net/core/bpf_jit_enable").read_text().strip() != "0"
    except OSError:
        return None


def mount_type(path: Path) -> str | None:
    """The kind of the file system that ``path`` would be in; the last mount over a place wins."""
    found: tuple[int, str] | None = None
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place, kind = line.split()[1:3]
        mount = Path(place.encode().decode("unicode_escape"))
        if path.is_relative_to(mount) and (found is None or len(mount.parts) >= found[0]):
            found = len(mount.parts), kind
    return found[1] if found else None


def interface_mtu(interface: str) -> int | None:
    """The MTU of an interface in octets; ``None`` where there is no such interface.

    Asked of this process's network namespace: /sys may show that of another.
    """
    request = struct.pack("16si20x", interface.encode()[:15], 0)  # struct ifreq
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        try:
            answer = fcntl.ioctl(handle, _SIOCGIFMTU, request)
        except OSError:
            return None
    return int(struct.unpack_from("16si", answer)[1])


class Setting(StrEnum):
    """How a setting of the network stands."""

    ON = "on"
    OFF = "off"
    FIXED = "off, and cannot be changed here"
    ABSENT = "absent"


def forwarding(interface: str, family: Literal["ipv4", "ipv6"]) -> Setting:
    """Whether an interface forwards packets of a family."""
    path = Path(f"/proc/sys/net/{family}/conf/{interface}/forwarding")
    try:
        if path.read_text().strip() != "0":
            return Setting.ON
    except OSError:
        return Setting.ABSENT
    return Setting.OFF if os.access(path, os.W_OK) else Setting.FIXED


def interface_driver(interface: str) -> str:
    """The driver of an interface, such as ``veth`` or ``virtio_net``; empty where it does not tell."""
    from dataplane.bpf.attach import driver_of  # late: it draws in netlink

    return driver_of(interface)


def checksums_on_sending(interface: str) -> bool:
    """Whether the interface, not the kernel, completes checksums; raises ``OSError``."""
    from dataplane.bpf.attach import ethtool  # late: it draws in netlink

    value = bytearray(struct.pack("=II", _ETHTOOL_GTXCSUM, 0))  # struct ethtool_value
    ethtool(interface, value)
    return bool(struct.unpack("=II", value)[1])


def clock_is_synchronised() -> bool:
    """Whether a time service keeps the kernel's clock (adjtimex(2), STA_UNSYNC)."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = ctypes.create_string_buffer(256)  # more than struct timex; modes = 0: read only
    if libc.adjtimex(timex) < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    status_offset = 5 * ctypes.sizeof(
        ctypes.c_long
    )  # modes (padded), offset, freq, maxerror, esterror, status
    return not int.from_bytes(timex.raw[status_offset : status_offset + 4], sys.byteorder) & _STA_UNSYNC
