# SPDX-License-Identifier: Apache-2.0
"""What an operator says of a switch: its ports, as a file for the command and as facts for the controller.

A switch has no agent that could report them, so they are checked here, wherever they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import (
    IPv4Interface,
    IPv6Interface,
    ip_interface,
)
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from moorline import ethernet
from moorline.addresses import Network
from moorline.config import Section
from moorline.feature_peers import AddressText, MacText, PeerFacts, PortSharing, once, sharing
from moorline.interfaces import check_interface
from moorline.paths import Locator
from moorline.reach import PrefixText, TunnelName, check_reach

HOST_PORT: Final = 509
CPU_PORT: Final = 510
"""Ports of the contract that are no wires: towards what is not Moorline's, and towards the controller."""

MAX_LOCATORS: Final = 16
SMALLEST_MTU: Final = 1280
"""What IPv6 asks of every link (RFC 8200, section 5)."""

LARGEST_MTU: Final = 65535

Role = Literal["underlay", "gateway", "edge", "peer"]
AnyInterface = IPv4Interface | IPv6Interface

_OWN_MACS: Final = b"\x02\x6d\x6c\x00"


def _own_address(value: Any) -> AnyInterface:
    """Read an address with the length of its prefix."""
    text = str(value)
    if "/" not in text:
        raise ValueError("write the length of the prefix with it, such as 192.0.2.1/24")
    try:
        address = ip_interface(text)
    except ValueError:
        raise ValueError("write an address with the length of its prefix, such as 192.0.2.1/24") from None
    network = address.network
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        raise ValueError("an interface has no such address: give a unicast one")
    if network.prefixlen < network.max_prefixlen - 1:
        if address.ip == network.network_address:
            raise ValueError("this is the whole network, not an address in it: give the port's own")
        if network.version == 4 and address.ip == network.broadcast_address:
            raise ValueError("this is the network's broadcast address: give the port's own")
    return address


def _interface(name: str) -> str:
    if "@" in name:
        raise ValueError("a switch is given its interfaces as NUMBER@NAME: name one without @")
    return check_interface(name) if name else name


_OwnAddress = Annotated[AnyInterface, PlainValidator(_own_address), PlainSerializer(str, when_used="json")]


class SwitchPort(Section):
    """A port of a switch, ``[[ports]]``."""

    number: Annotated[int, Field(ge=1, lt=HOST_PORT)]
    role: Role
    """``underlay``: towards nodes. ``gateway``: towards plain hosts, which have no Moorline. ``edge``:
    towards user devices or the Internet. ``peer``: towards feature peers."""

    addresses: tuple[_OwnAddress, ...] = ()
    """The port's own, with the length of the prefix that is on the link; a peer port has none."""

    gateways: tuple[AddressText, ...] = ()
    """Next hops to all that is not on the link, one of each family; only at underlay and edge ports."""

    mtu: Annotated[int, Field(ge=SMALLEST_MTU, le=LARGEST_MTU)] = 1500
    vlan: Annotated[int, Field(ge=0, lt=4095)] = 0
    """Tag of what leaves; 0: none. Only at underlay ports."""

    mac: MacText = ""
    """The port's own link-layer address; left out, it follows from the number."""

    interface: Annotated[str, AfterValidator(_interface)] = ""
    """The network interface, for ``moorline switch run`` and for those who read lists."""

    tenant: Annotated[int, Field(ge=0, lt=1 << 24)] = 0
    """Whose packets come in; only at edge and peer ports."""

    prefixes: tuple[PrefixText, ...] = ()
    """What is reached through an edge port, such as 0.0.0.0/0."""

    tunnels: tuple[TunnelName, ...] = ()
    """Tunnels of user devices that are opened at an underlay port."""

    @model_validator(mode="before")
    @classmethod
    def _own_mac(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("mac") and isinstance(number := data.get("number"), int):
            return {**data, "mac": (_OWN_MACS + (number & 0xFFFF).to_bytes(2, "big")).hex(":")}
        return data

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if self.role in ("gateway", "peer") and (self.gateways or self.vlan):
            raise ValueError(
                "gateways and vlan belong to underlay ports: hosts behind a gateway are on its link"
            )
        if self.role == "edge" and self.vlan:
            raise ValueError("vlan belongs to underlay ports: an edge port takes packets with any tag")
        if bool(self.addresses) == (self.role == "peer"):
            raise ValueError(
                "a peer port has no addresses: leave them out"
                if self.addresses
                else f"port {self.number} has no addresses: give its own, such as 192.0.2.1/24"
            )
        if self.role == "gateway" and self.tenant:
            raise ValueError("tenant belongs to edge and peer ports: leave it out")
        check_reach(self.role, self.tenant, self.prefixes, self.tunnels)
        for gateway in self.gateways:
            if not any(gateway in at.network and gateway != at.ip for at in self.addresses):
                raise ValueError(
                    f"gateway {gateway} is not on the link of port {self.number}: see its addresses"
                )
        if len({gateway.version for gateway in self.gateways}) < len(self.gateways):
            raise ValueError(f"port {self.number} has two gateways of one family: give one of each")
        return self

    @property
    def mac_octets(self) -> bytes:
        """The link-layer address in 6 octets."""
        return ethernet.octets(self.mac)

    @property
    def networks(self) -> tuple[Network, ...]:
        """What is on the link."""
        return tuple(address.network for address in self.addresses)


class SwitchPeer(PeerFacts):
    """A feature peer at ports of a switch, ``[[peers]]``."""

    ports: tuple[int, ...]
    """Numbers of one or two peer ports; forward paths go in at the first, out at the second."""


class SwitchConfig(Section):
    """The file of a switch."""

    ports: Annotated[tuple[SwitchPort, ...], Field(min_length=1)]
    peers: tuple[SwitchPeer, ...] = ()

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        once((port.number for port in self.ports), "port number")
        once((port.mac for port in self.ports), "mac")
        once((port.interface for port in self.ports if port.interface), "interface")
        once((address.ip for port in self.ports for address in port.addresses), "address")
        behind = [network for port in self.ports if port.role == "gateway" for network in port.networks]
        for n, one in enumerate(behind):
            for other in behind[n + 1 :]:
                if one.version == other.version and one.overlaps(other):
                    raise ValueError(f"{one} and {other} overlap behind gateway ports: give each its own")
        if len(self.locators) > MAX_LOCATORS:
            raise ValueError(f"{len(self.locators)} underlay addresses: give {MAX_LOCATORS} at most")
        return self

    @model_validator(mode="after")
    def _peers_are_attached(self) -> Self:
        once((peer.name for peer in self.peers), "peer")
        ports = {port.number: port for port in self.ports if port.role == "peer"}
        for peer in self.peers:
            peer.check_attachment(peer.ports)
            for number in peer.ports:
                if number not in ports:
                    raise ValueError(f"peer {peer.name} is at port {number}: give that the role peer")
            if len({ports[number].tenant for number in peer.ports}) > 1:
                raise ValueError(f"peer {peer.name} is at ports of two tenants: give them one")
        if idle := [number for number in ports if number not in self.peer_ports]:
            raise ValueError(f"port {idle[0]} has the role peer, but no peer: add one in [[peers]]")
        return self

    @property
    def peer_ports(self) -> Mapping[object, PortSharing]:
        """What each peer port is for the peers there, by its number."""
        return sharing((peer, peer.ports) for peer in self.peers)

    @property
    def locators(self) -> tuple[Locator, ...]:
        """The addresses of the underlay ports, in their order."""
        return tuple(
            Locator(address.packed, port.number, port.interface, port.mtu)
            for port in self.ports
            if port.role == "underlay"
            for address in port.addresses
        )

    def owns(self, address: bytes) -> bool:
        """Whether an address of 4 or 16 octets is one of the switch's own."""
        return any(own.packed == address for port in self.ports for own in port.addresses)

    def port(self, number: int) -> SwitchPort | None:
        """The port of this number."""
        return next((port for port in self.ports if port.number == number), None)
