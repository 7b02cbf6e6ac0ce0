# SPDX-License-Identifier: Apache-2.0
"""Features of network interfaces that ethtool(8) switches."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

import structlog

from dataplane.bpf.attach import ethtool

log = structlog.get_logger(__name__)

_VALUE: Final = struct.Struct("II")
"""``struct ethtool_value``: command, data."""


class Feature(IntEnum):
    """The ethtool commands that set them (linux/ethtool.h)."""

    TRANSMIT_CHECKSUMS = 0x17
    """Checksums, and with them segments, are left to the interface to complete."""
    TRANSMIT_SEGMENTS = 0x1F
    """TSO: what is too long for a frame is left to the interface to cut."""
    TRANSMIT_LATE_SEGMENTS = 0x24
    """GSO: it is cut just before the interface gets it."""
    RECEIVE_JOINING = 0x2C
    """GRO: segments of one flow become one packet."""


def switch(interface: str, feature: Feature, *, on: bool) -> bool:
    """Set a feature; whether it was otherwise before."""
    value = bytearray(_VALUE.pack(feature - 1, 0))  # each command to set stands behind the one to get
    try:
        ethtool(interface, value)
        if bool(_VALUE.unpack(value)[1]) == on:
            return False
        ethtool(interface, bytearray(_VALUE.pack(feature, on)))
    except OSError as error:
        log.warning("feature_not_set", interface=interface, feature=feature.name, error=error.strerror)
        return False
    return True
