# SPDX-License-Identifier: Apache-2.0
"""Puts a loaded program on an interface, at XDP or at TC, and takes it off again.

A program that is there is replaced in one step, so that no packet passes between the old one and the new one.
What is attached stays when the process ends.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from typing import Any, Final

from pyroute2.netlink.exceptions import NetlinkError

from dataplane.bpf.hook import Hook, HookChoice
from moorline.errors import MoorlineError

_NATIVE_XDP: Final = frozenset(
    {
        "bnxt_en", "ena", "gve", "hv_netvsc", "i40e", "iavf", "ice", "igb", "igc", "ixgbe", "ixgbevf",
        "mana", "mlx4_en", "mlx5_core", "nfp", "sfc", "stmmac",
    }
)  # fmt: skip
"""Drivers that run XDP in the driver and still join segments (GRO) after it."""

_XDP_FLAGS_DRV_MODE: Final = 1 << 2
_INGRESS: Final = "ffff:fff2"
_EGRESS: Final = "ffff:fff3"
_INGRESS_PARENT: Final = 0xFFFFFFF2
_EGRESS_PARENT: Final = 0xFFFFFFF3
_FILTER_NAME: Final = "moorline"
_PRIORITY: Final = 6081
_FILTER_HANDLE: Final = 1
_PROTOCOL_ALL: Final = 0x0003
"""ETH_P_ALL."""

_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_GDRVINFO: Final = 0x03


class AttachError(MoorlineError):
    """A program that an interface did not take."""


def choose_hook(choice: HookChoice, driver: str, *, forwards_only: bool = False) -> Hook:
    """The hook for a port.

    ``auto`` takes XDP where the driver keeps its offloads behind it, or where nothing behind it would miss
    them because the port only forwards; TC elsewhere: XDP on veth or virtio switches segmentation offload off
    for all traffic.
    """
    if choice != "auto":
        return Hook(choice)
    return Hook.XDP if forwards_only or keeps_offloads(driver) else Hook.TC


def keeps_offloads(driver: str) -> bool:
    """Whether a driver runs XDP on packets that are whole, and keeps its offloads behind it."""
    return driver in _NATIVE_XDP


def hands_on_half_checksums(driver: str) -> bool:
    """Whether the other end of an interface gets packets as programs left them, checksums still to be made.

    Hardware completes them as it sends, and a hypervisor before a guest with XDP gets them; a veth does not.
    """
    return driver == "veth"


def driver_of(interface: str) -> str:
    """Name of the driver of a network interface, empty where it does not tell."""
    # struct ethtool_drvinfo: command, then the driver's name in 32 octets; 196 octets in all.
    answer = bytearray(196)
    struct.pack_into("I", answer, 0, _ETHTOOL_GDRVINFO)
    try:
        ethtool(interface, answer)
    except OSError:
        return ""
    return answer[4:36].split(b"\0", 1)[0].decode("ascii", "replace")


def ethtool(interface: str, command: bytearray) -> None:
    """One ethtool request by ioctl; the answer is written over ``command``. Raises OSError."""
    buffer = (ctypes.c_char * len(command)).from_buffer(command)
    request = struct.pack("16sP16x", interface.encode()[:15], ctypes.addressof(buffer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCETHTOOL, request)


async def attach(netlink: Any, interface: str, index: int, hook: Hook, program: int) -> None:
    """Put the program with the file descriptor ``program`` on an interface, in the place of what Moorline had
    there.

    Args:
        netlink: a ``pyroute2.AsyncIPRoute`` in the interface's network namespace.
        interface: name for the error.
        index: the interface's index.
        hook: XDP is asked for in the driver (native), never the slow generic form.
        program: file descriptor of a loaded program of the hook's kind.

    Raises:
        AttachError: the kernel refused.
    """
    try:
        if hook is Hook.XDP:
            await _set_xdp(netlink, index, program)
        else:
            await _set_filter(netlink, index, program, _INGRESS)
    except NetlinkError as error:
        mend = 'set its hook to "tc"' if hook is Hook.XDP else "free its TC ingress"
        raise AttachError(
            f"interface {interface} does not take the program at {hook} ({os.strerror(error.code)}): {mend}"
        ) from error


async def attach_to_departures(netlink: Any, interface: str, index: int, program: int) -> None:
    """Put a program of the TC hook where packets leave by an interface, in the place of what Moorline had
    there.

    Arguments as for :func:`attach`. It goes with the interface.

    Raises:
        AttachError: the kernel refused.
    """
    try:
        await _set_filter(netlink, index, program, _EGRESS)
    except NetlinkError as error:
        raise AttachError(
            f"interface {interface} does not take a program for what leaves ({os.strerror(error.code)}): "
            "free its TC egress"
        ) from error


async def detach(netlink: Any, index: int, hook: Hook) -> None:
    """Take Moorline's program off an interface; nothing happens where there is none."""
    try:
        if hook is Hook.XDP:
            await _set_xdp(netlink, index, -1)
        else:
            await netlink.tc(
                "del-filter",
                "bpf",
                index,
                _FILTER_HANDLE,
                parent=_INGRESS,
                prio=_PRIORITY,
                protocol=_PROTOCOL_ALL,
            )
            await _remove_if_empty(netlink, index)
    except NetlinkError as error:
        if error.code not in (errno.ENODEV, errno.ENOENT, errno.EINVAL):
            raise


async def _remove_if_empty(netlink: Any, index: int) -> None:
    """Take the place of filters away when nobody else has one there."""
    for parent in (_INGRESS_PARENT, _EGRESS_PARENT):
        async for _ in await netlink.get_filters(index=index, parent=parent):
            return
    await netlink.tc("del", "clsact", index)


async def _set_xdp(netlink: Any, index: int, program: int) -> None:
    settings = [("IFLA_XDP_FD", program), ("IFLA_XDP_FLAGS", _XDP_FLAGS_DRV_MODE)]
    await netlink.link("set", index=index, xdp={"attrs": settings})


async def _set_filter(netlink: Any, index: int, program: int, parent: str) -> None:
    try:
        await netlink.tc("add", "clsact", index)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
    await netlink.tc(
        "replace-filter",
        "bpf",
        index,
        _FILTER_HANDLE,
        fd=program,
        name=_FILTER_NAME,
        parent=parent,
        prio=_PRIORITY,
        protocol=_PROTOCOL_ALL,
        direct_action=True,
    )
