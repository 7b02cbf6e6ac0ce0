# SPDX-License-Identifier: Apache-2.0
"""What an operator says of a switch: its ports, as a file for the command and as facts for the controller.

A switch has no agent that could report them, so they are checked here, wherever they come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
)
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from moorline.config import Section
from moorline.paths import Locator

HOST_PORT: Final = 509
CPU_PORT: Final = 510
"""Ports of the contract that are no wires: towards what is not Moorline's, and towards the controller."""

MAX_LOCATORS: Final = 16
SMALLEST_MTU: Final = 1280
"""What IPv6 asks of every link (RFC 8200, section 5)."""

LARGEST_MTU: Final = 65535

Role = Literal["underlay", "gateway"]
AnyInterface = IPv4Interface | IPv6Interface
AnyAddress = IPv4Address | IPv6Address
_AnyNetwork = IPv4Network | IPv6Network

_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
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


def _next_hop(value: Any) -> AnyAddress:
    try:
        return ip_address(str(value))
    except ValueError:
        raise ValueError("write an address, such as 192.0.2.254") from None


def _mac(text: str) -> str:
    text = text.lower().replace("-", ":")
    if not _MAC.match(text) or int(text[:2], 16) & 1 or text == "00:00:00:00:00:00":
        raise ValueError("write the link-layer address of one station, such as 02:6d:6c:00:00:01")
    return text


def _interface(name: str) -> str:
    if len(name.encode()) > 15 or "/" in name or "@" in name or any(c.isspace() for c in name):
        raise ValueError("an interface name has 1 to 15 octets, without blanks, slashes and @")
    return name


_Text = PlainSerializer(str, when_used="json")
_OwnAddress = Annotated[AnyInterface, PlainValidator(_own_address), _Text]
_NextHop = Annotated[AnyAddress, PlainValidator(_next_hop), _Text]


class SwitchPort(Section):
    """A port of a switch, ``[[ports]]``."""

    number: Annotated[int, Field(ge=1, lt=HOST_PORT)]
    role: Role
    """``underlay``: towards nodes. ``gateway``: towards plain hosts, which have no Moorline."""

    addresses: Annotated[tuple[_OwnAddress, ...], Field(min_length=1)]
    """The port's own, with the length of the prefix that is on the link."""

    gateways: tuple[_NextHop, ...] = ()
    """Next hops to all that is not on the link, one of each family; only at underlay ports."""

    mtu: Annotated[int, Field(ge=SMALLEST_MTU, le=LARGEST_MTU)] = 1500
    vlan: Annotated[int, Field(ge=0, lt=4095)] = 0
    """Tag of what leaves; 0: none. Only at underlay ports."""

    mac: Annotated[str, AfterValidator(_mac)] = ""
    """The port's own link-layer address; left out, it follows from the number."""

    interface: Annotated[str, AfterValidator(_interface)] = ""
    """The network interface, for ``moorline switch run`` and for those who read lists."""

    @model_validator(mode="before")
    @classmethod
    def _own_mac(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("mac") and isinstance(number := data.get("number"), int):
            return {**data, "mac": (_OWN_MACS + (number & 0xFFFF).to_bytes(2, "big")).hex(":")}
        return data

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if self.role == "gateway" and (self.gateways or self.vlan):
            raise ValueError(
                "gateways and vlan belong to underlay ports: hosts behind a gateway are on its link"
            )
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
        return bytes.fromhex(self.mac.replace(":", ""))

    @property
    def networks(self) -> tuple[_AnyNetwork, ...]:
        """What is on the link."""
        return tuple(address.network for address in self.addresses)


class SwitchConfig(Section):
    """The file of a switch."""

    ports: Annotated[tuple[SwitchPort, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        _once((port.number for port in self.ports), "port number")
        _once((port.mac for port in self.ports), "mac")
        _once((port.interface for port in self.ports if port.interface), "interface")
        _once((address.ip for port in self.ports for address in port.addresses), "address")
        behind = [network for port in self.ports if port.role == "gateway" for network in port.networks]
        for n, one in enumerate(behind):
            for other in behind[n + 1 :]:
                if one.version == other.version and one.overlaps(other):
                    raise ValueError(f"{one} and {other} overlap behind gateway ports: give each its own")
        if len(self.locators) > MAX_LOCATORS:
            raise ValueError(f"{len(self.locators)} underlay addresses: give {MAX_LOCATORS} at most")
        return self

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


def _once(values: Iterable[object], what: str) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {value} is given twice: give each once")
        seen.add(value)
