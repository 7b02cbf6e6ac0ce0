# SPDX-License-Identifier: Apache-2.0
"""Packets of the small world, made by scapy: what an access port sends, and data packets of the underlay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from scapy.compat import raw
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from moorline.wire import GENEVE_PORT, OPTION_CLASS, OPTION_TYPE

from . import world
from .entropy import entropy, flow_label

ETHERNET: Final = 14
VLAN_TAG: Final = 4
IPV4_HEADER: Final = 20
IPV6_HEADER: Final = 40
UDP_HEADER: Final = 8
GENEVE_BASE: Final = 8
OPTION: Final = 16
"""Octets of the headers, for cutting packets at their boundaries."""


def option(scid: int = world.SCID, spi: int = 0, si: int = 0) -> GeneveOptions:
    """Moorline's option."""
    return GeneveOptions(
        classid=OPTION_CLASS,
        type=OPTION_TYPE,
        data=scid.to_bytes(8, "big") + spi.to_bytes(3, "big") + si.to_bytes(1, "big"),
    )


def stranger_option(option_class: int, kind: int, words: int = 1) -> GeneveOptions:
    """An option of somebody else's."""
    return GeneveOptions(classid=option_class, type=kind, data=bytes(range(4 * words)))


@dataclass(frozen=True, slots=True)
class Data:
    """A data packet on the underlay, field by field; :meth:`frame` makes its octets.

    The defaults are a good packet that the peer sends to us over IPv4. ``ip``, ``udp`` and ``geneve``
    override single fields of those headers, by scapy's names.
    """

    inner: Packet
    source: str = world.UNDERLAY.neighbour.address4
    destination: str = world.UNDERLAY.address4
    scid: int = world.SCID
    spi: int = 0
    si: int = 0
    options: tuple[GeneveOptions, ...] | None = None
    tos: int = 0
    hop_limit: int = 64
    source_port: int = 50000
    tags: tuple[int, ...] = ()
    ethernet: tuple[str, str] = (world.UNDERLAY.neighbour.mac, world.UNDERLAY.mac)
    ip: dict[str, Any] = field(default_factory=dict)
    udp: dict[str, Any] = field(default_factory=dict)
    geneve: dict[str, Any] = field(default_factory=dict)

    @property
    def ipv6(self) -> bool:
        """Whether the outer header is IPv6."""
        return ":" in self.source

    @property
    def network(self) -> int:
        """Offset of the outer IP header."""
        return ETHERNET + VLAN_TAG * len(self.tags)

    @property
    def transport(self) -> int:
        """Offset of the UDP header of a packet without IP options."""
        return self.network + (IPV6_HEADER if self.ipv6 else IPV4_HEADER)

    @property
    def payload(self) -> int:
        """Offset of the inner packet, when Moorline's option is the only one."""
        return self.transport + UDP_HEADER + GENEVE_BASE + OPTION

    def packet(self) -> Packet:
        """The packet as scapy's layers."""
        return self._ethernet() / self._network() / self._transport() / self._geneve() / self.inner

    def frame(self) -> bytes:
        """The packet's octets."""
        return raw(self.packet())

    def _ethernet(self) -> Packet:
        source, destination = self.ethernet
        layers: Packet = Ether(src=source, dst=destination)
        for vlan in self.tags:
            layers = layers / Dot1Q(vlan=vlan)
        return layers

    def _network(self) -> Packet:
        if self.ipv6:
            return IPv6(
                src=self.source,
                dst=self.destination,
                tc=self.tos,
                hlim=self.hop_limit,
                **{"fl": 0, **self.ip},
            )
        fields = {"id": 0, "flags": "DF", **self.ip}
        return IP(src=self.source, dst=self.destination, tos=self.tos, ttl=self.hop_limit, **fields)

    def _transport(self) -> Packet:
        return UDP(**{"sport": self.source_port, "dport": GENEVE_PORT, "chksum": 0, **self.udp})

    def _geneve(self) -> Packet:
        options = (option(self.scid, self.spi, self.si),) if self.options is None else self.options
        fields = {
            "critical": 1,
            "proto": 0x86DD if isinstance(self.inner, IPv6) else 0x0800,
            "vni": world.TENANT,
            "options": list(options),
            **self.geneve,
        }
        return GENEVE(**fields)


def inner4(
    *,
    source: str = world.VIRTUAL4_LOCAL,
    destination: str = world.VIRTUAL4_PEER,
    size: int = 100,
    destination_port: int = 5000,
    **fields: Any,
) -> Packet:
    """A UDP packet between the virtual addresses, ``size`` octets in all; ``fields`` are those of IP."""
    payload = Raw(bytes(index & 0xFF for index in range(size - IPV4_HEADER - UDP_HEADER)))
    return (
        IP(**{"src": source, "dst": destination, "id": 0x1234, **fields})
        / UDP(sport=4000, dport=destination_port)
        / payload
    )


def inner6(
    *,
    source: str = world.VIRTUAL6_LOCAL,
    destination: str = world.VIRTUAL6_PEER,
    size: int = 100,
    destination_port: int = 5000,
    **fields: Any,
) -> Packet:
    """A UDP packet between the virtual addresses, ``size`` octets in all; ``fields`` are those of IPv6."""
    payload = Raw(bytes(index & 0xFF for index in range(size - IPV6_HEADER - UDP_HEADER)))
    return (
        IPv6(**{"src": source, "dst": destination, **fields})
        / UDP(sport=4000, dport=destination_port)
        / payload
    )


def arriving4(**fields: Any) -> Packet:
    """:func:`inner4` in the other direction: from the peer to the local address."""
    return inner4(**{"source": world.VIRTUAL4_PEER, "destination": world.VIRTUAL4_LOCAL, **fields})


def arriving6(**fields: Any) -> Packet:
    """:func:`inner6` in the other direction: from the peer to the local address."""
    return inner6(**{"source": world.VIRTUAL6_PEER, "destination": world.VIRTUAL6_LOCAL, **fields})


def sent(inner: Packet, access: world.Access = world.ACCESS) -> bytes:
    """The frame in which a host's own packet arrives at an access port."""
    return raw(Ether(src=access.near_mac, dst=access.far_mac) / inner)


def delivered(inner: Packet, access: world.Access = world.ACCESS) -> bytes:
    """The frame in which an access port hands a packet to the host."""
    return raw(Ether(src=access.far_mac, dst=access.near_mac) / inner)


def tunnelled(
    inner: Packet, port: world.Underlay = world.UNDERLAY, destination: str | None = None, **fields: Any
) -> bytes:
    """The frame in which an underlay port sends a packet to the peer, all fields as docs/wire-format.md says.

    ``destination`` is the peer's locator, by default the neighbour's IPv4 address; ``fields`` are those of
    :class:`Data`.
    """
    to = port.neighbour.address4 if destination is None else destination
    tos = inner.tc if isinstance(inner, IPv6) else inner.tos
    ip = {"fl": flow_label(raw(inner))} if ":" in to else {}
    defaults = {
        "ip": ip,
        "source": port.address6 if ":" in to else port.address4,
        "destination": to,
        "tos": tos,
        "source_port": entropy(raw(inner)),
        "ethernet": (port.mac, port.neighbour.mac),
    }
    return Data(inner, **{**defaults, **fields}).frame()
