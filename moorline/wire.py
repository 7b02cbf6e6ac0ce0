# SPDX-License-Identifier: Apache-2.0
"""Constants of the wire format and of the contract that all parts of Moorline share.

The wire format is Geneve (RFC 8926) with one option; see ``docs/wire-format.md``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

GENEVE_PORT: Final = 6081
"""UDP destination port of every data packet (RFC 8926, section 3.3)."""

CHANGE_PORT: Final = 6082
"""UDP port on which agents tell one another of address changes."""

CONTROLLER_PORT: Final = 6083
"""TCP port of the controller's gRPC API (TLS, client certificate required)."""

JOIN_PORT: Final = 6084
"""TCP port on which the controller admits new nodes (TLS, join token required)."""

OAM_PORT: Final = 6083
"""UDP destination port of the probes that trace a service path."""

VXLAN_PORT: Final = 4789
"""UDP destination port of VXLAN (RFC 7348)."""

FIRST_SI: Final = 255
"""Service index at the start of a path: one less behind each feature peer (RFC 8300)."""

P4RUNTIME_PORT: Final = 9559
"""TCP port of an agent's P4Runtime server, as registered with IANA."""

OPTION_CLASS: Final = 0xFF4D
OPTION_TYPE: Final = 0x81
"""Geneve option of Moorline: experimental class, critical bit set."""

OPTION_WORDS: Final = 3
"""Length of the option's data in words of 4 octets: SCID, SPI and SI."""

SLOT_BITS: Final = 24
"""The lowest bits of an SCID: its slot, free at both ends of the connection."""

OVERHEAD_IPV4: Final = 52
OVERHEAD_IPV6: Final = 72
"""Octets that encapsulation adds to the inner packet."""

ROUTER_HOPS: Final = 1
"""What a gateway port takes off the TTL of what comes in there or leaves there: it is a router's."""

PORT_BITS: Final = 9
EVENTS_PER_PORT: Final = 64
"""Stride of the indirect counter ``port_events``: index = port * 64 + event."""


class Tunnel(IntEnum):
    """Kind of tunnel, as in the keys of ``terminate`` and ``device``.

    NONE: plain packets for the node itself. IPIP: IPv4 or IPv6 in IPv4 or IPv6.
    """

    NONE = 0
    GENEVE = 1
    VXLAN = 2
    GRE = 3
    IPIP = 4


class PeerHeader(IntEnum):
    """What stands between Ethernet and packet on the way to a feature peer, and back."""

    NONE = 0
    VLAN = 1
    QINQ = 2
    MPLS = 3
    GRE = 4
    PBB = 5


class PeerCheck(IntEnum):
    """What a packet back from a feature peer is compared with (action ``resume_path``)."""

    NONE = 0
    CONNECTION = 1
    CLASS = 2


PROTOCOLS_WITH_PORTS: Final = frozenset({6, 17, 33, 132, 136})
"""TCP, UDP, DCCP, SCTP, UDP-Lite: source and destination port in their first four octets."""


class Event(IntEnum):
    """What became of a packet at a port, counted in ``port_events``.

    ``RX`` counts each packet once on arrival; exactly one other event follows for each. Values are
    part of the contract: the P4 program and the C sources use the same.
    """

    RX = 0
    TX = 1
    PASS = 2
    PUNT_CONNECTION_MISS = 3
    PUNT_TOO_BIG = 4
    PUNT_TTL_EXPIRED = 5
    DROP_PACKET_IN_FULL = 8
    DROP_OUTER_TRUNCATED = 9
    DROP_OUTER_HEADER_LENGTH = 10
    DROP_OUTER_CHECKSUM = 11
    DROP_OUTER_LENGTH = 12
    DROP_OUTER_FRAGMENT = 13
    DROP_UDP_LENGTH = 14
    DROP_UDP_CHECKSUM = 15
    DROP_GENEVE_TRUNCATED = 16
    DROP_GENEVE_VERSION = 17
    DROP_GENEVE_OPTIONS = 18
    DROP_GENEVE_UNKNOWN_CRITICAL = 19
    DROP_GENEVE_PROTOCOL = 20
    DROP_SCID_ZERO = 21
    DROP_SCID_UNKNOWN = 22
    DROP_TENANT = 23
    DROP_SOURCE = 24
    DROP_SERVICE_PATH = 25
    DROP_INNER_ADDRESS = 26
    DROP_INNER_TRUNCATED = 27
    DROP_INNER_VERSION = 28
    DROP_INNER_HEADER_LENGTH = 29
    DROP_INNER_CHECKSUM = 30
    DROP_INNER_LENGTH = 31
    DROP_INNER_ECN = 32
    DROP_CONNECTION_DENIED = 33
    DROP_NODE_UNKNOWN = 34
    DROP_UPLINK_UNKNOWN = 35
    DROP_NO_ROUTE = 36
    DROP_NO_NEIGHBOUR = 37
    DROP_NO_ROOM = 38
    DROP_OUTER_TTL = 39
    DROP_OUTER_TOO_BIG = 40
    DROP_SERVICE_INDEX = 41
    DROP_PEER_UNKNOWN = 42
    DROP_PEER_UNEXPECTED = 43
    DROP_PEER_DOWN = 44
    DROP_CLASSIFIER_DENIED = 45
    DROP_DEVICE_UNKNOWN = 46
    DROP_DEVICE_ADDRESS = 47
    DROP_PEER_HEADER = 48
    DROP_TUNNEL_HEADER = 49
    DROP_PROBE_END = 50

    @property
    def is_drop(self) -> bool:
        """Whether the packet was dropped for this reason."""
        return self >= Event.DROP_PACKET_IN_FULL


def slot_of(scid: int) -> int:
    """The slot in an SCID: the element of the table ``scid`` at both ends."""
    return scid & ((1 << SLOT_BITS) - 1)
