# SPDX-License-Identifier: Apache-2.0
"""What an operator says of a feature peer, be it in the file of a node or in that of a switch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from moorline import ethernet
from moorline.config import Section
from moorline.wire import PeerHeader

MAX_PORTS: Final = 2
MAX_NAME: Final = 32
MAX_ADDRESSES: Final = 64

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")

HeaderName = Literal["none", "vlan", "qinq", "mpls", "gre", "pbb"]
AnyAddress = IPv4Address | IPv6Address


def instance_name(text: str) -> str:
    """Check the name of an instance, or of a kind; raises ``ValueError``."""
    if len(text) > MAX_NAME or not _NAME.match(text):
        raise ValueError(f"write 1 to {MAX_NAME} small letters, digits and inner hyphens, such as firewall-1")
    return text


def _address(value: Any) -> AnyAddress:
    try:
        return ip_address(str(value))
    except ValueError:
        raise ValueError("write an address, such as 192.0.2.1") from None


NameText = Annotated[str, AfterValidator(instance_name)]
MacText = Annotated[str, AfterValidator(ethernet.station)]
AddressText = Annotated[AnyAddress, PlainValidator(_address), PlainSerializer(str, when_used="json")]


class PeerFacts(Section):
    """An instance of a feature peer, but for its ports."""

    name: NameText
    """Of this instance; unique in the site."""

    kind: NameText
    """Instances of one kind stand in for one another."""

    macs: Annotated[tuple[MacText, ...], Field(max_length=MAX_PORTS)] = ()
    """Its link-layer address at each port."""

    header: HeaderName = "none"
    """What stands between Ethernet and packet, to the peer and back."""

    by_mac: bool = False
    """Whether what it returns is known by its link-layer address: it shares a port with others."""

    addresses: Annotated[tuple[AddressText, ...], Field(max_length=MAX_ADDRESSES)] = ()
    """Own addresses, which packets get from a NAT or a proxy."""

    rewrites: bool = False
    """Whether packets come back with other addresses or ports."""

    spare: bool = False
    """Whether it is only used when no ordinary instance of its kind is there."""

    local: AddressText | None = None
    """Our end of the tunnel towards it; with the header ``gre``."""

    remote: AddressText | None = None
    """Its own end."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        ends = [end for end in (self.local, self.remote) if end is not None]
        if self.header == "gre" and (len(ends) < 2 or len({end.version for end in ends}) > 1):
            raise ValueError(f"peer {self.name} has the header gre: give local and remote, of one family")
        if self.header != "gre" and ends:
            raise ValueError(f"peer {self.name}: local and remote belong to the header gre")
        return self

    @property
    def peer_header(self) -> PeerHeader:
        """The header as the contract numbers it."""
        return PeerHeader[self.header.upper()]

    def check_attachment(self, ports: Sequence[object]) -> None:
        """Check that it can be attached to these ports; raises ``ValueError``."""
        if not 1 <= len(ports) <= MAX_PORTS or len(set(ports)) < len(ports):
            raise ValueError(f"peer {self.name} has {len(ports)} ports: give one, or two different ones")
        if len(self.macs) != len(ports):
            raise ValueError(
                f"peer {self.name} has {len(ports)} ports and {len(self.macs)} macs: give its link-layer "
                "address at each port"
            )


@dataclass(frozen=True, slots=True)
class PortSharing:
    """How packets from the peers at one port are told apart."""

    header: PeerHeader
    by_mac: bool


def sharing(attached: Iterable[tuple[PeerFacts, Collection[object]]]) -> Mapping[object, PortSharing]:
    """What each port is for its peers; raises ``ValueError`` where they do not agree on it.

    Args:
        attached: the peers with their ports.
    """
    found: dict[object, PortSharing] = {}
    count: Counter[object] = Counter()
    for peer, ports in attached:
        for port in ports:
            mine = PortSharing(peer.peer_header, peer.by_mac)
            if found.setdefault(port, mine) != mine:
                raise ValueError(
                    f"peers at port {port} have several headers, or not all by_mac: make them agree"
                )
            count[port] += 1
            if count[port] > 1 and mine == PortSharing(PeerHeader.NONE, by_mac=False):
                raise ValueError(
                    f"peer {peer.name} is at port {port} with another, and neither header nor by_mac tells "
                    "them apart: set one of these, or give it a port of its own"
                )
    return found


def once(values: Iterable[object], what: str) -> None:
    """Check that no value stands there twice; raises ``ValueError``."""
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {value} is given twice: give each once")
        seen.add(value)
