# SPDX-License-Identifier: Apache-2.0
"""The file of customers: YAML, checked key by key."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from control.errors import InvalidRequestError
from control.yaml_file import read_mapping
from moorline.addresses import AddressError, Network, unmapped
from moorline.config import Section, parse
from moorline.reach import PrefixText, TunnelName, tunnel_of
from moorline.wire import Tunnel

Address = IPv4Address | IPv6Address

MAX_FILE: Final = 16 * 1024 * 1024
"""Characters of a file: some 50,000 customers."""

MAX_TEXT: Final = 253
"""Characters of a name, which is what a User-Name of RADIUS has room for (RFC 2865, section 5.1)."""

MAX_DEVICES: Final = 256
"""Devices of one customer."""

_MAX_TENANT: Final = (1 << 24) - 1
_KEY_BITS: Final = {Tunnel.VXLAN: 24, Tunnel.GRE: 32, Tunnel.IPIP: 0}


def check_text(text: str) -> str:
    """A name of a customer, a device or a profile, as it stands; raises ``ValueError``."""
    if not 0 < len(text) <= MAX_TEXT or not text.isprintable() or text != text.strip():
        raise ValueError(f"write 1 to {MAX_TEXT} printable characters without spaces around them")
    return text


def check_remote(text: Any) -> Address:
    """Where a device's end of a tunnel is; raises ``ValueError``."""
    try:
        address = unmapped(ip_address(str(text)).packed)
    except (ValueError, AddressError):
        raise ValueError("write an address, such as 192.0.2.7 or 2001:db8::7") from None
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise ValueError("this is no address of one device: write the one that it sends from")
    return address


Text = Annotated[str, AfterValidator(check_text)]
_Remote = Annotated[Address, PlainValidator(check_remote), PlainSerializer(str, when_used="json")]


class UserTunnel(Section):
    """The tunnel of a device, as its endpoint knows it."""

    kind: TunnelName
    remote: _Remote
    """Address that the device sends from."""

    key: Annotated[int, Field(ge=0)] = 0
    """VNI of VXLAN, key of GRE (0: it has none)."""

    @model_validator(mode="after")
    def _key_fits(self) -> Self:
        bits = _KEY_BITS[self.number]
        if self.key >> bits:
            most = f"a number below {1 << bits}" if bits else "none"
            raise ValueError(f"key {self.key} is too large for {self.kind}: write {most}")
        return self

    @property
    def number(self) -> Tunnel:
        """The kind as the contract numbers it."""
        return tunnel_of(self.kind)


class DeviceSpec(Section):
    """A device, as its file has it."""

    name: Text
    """A device that RADIUS tells of has its Calling-Station-Id as name."""

    addresses: tuple[PrefixText, ...] = ()
    """None: RADIUS tells them."""

    node: str = ""
    port: str = ""
    """The edge port of ``node`` behind which it is: its interface, or its number."""

    tunnel: UserTunnel | None = None
    profiles: tuple[Text, ...] = ()
    location: Annotated[str, Field(max_length=MAX_TEXT)] = ""

    @model_validator(mode="before")
    @classmethod
    def _port_in_words(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(port := data.get("port"), int) and port is not True:
            return {**data, "port": str(port)}
        return data

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.port and self.tunnel:
            raise ValueError("a device is behind a port or in a tunnel: leave one of both out")
        if (self.port or self.tunnel) and not self.node:
            raise ValueError("the node is missing at which its port is, or its tunnel ends: set node")
        if self.tunnel and len(self.addresses) > 1:
            raise ValueError("a tunnel is for one address or prefix: write a device for each, with keys")
        return self


class CustomerSpec(Section):
    """A customer, as the file has it."""

    name: Text
    tenant: Annotated[int, Field(ge=0, le=_MAX_TENANT)] = 0
    profiles: tuple[Text, ...] = ()
    """What it has subscribed to: graphs name them."""

    devices: Annotated[tuple[DeviceSpec, ...], Field(max_length=MAX_DEVICES)] = ()

    @model_validator(mode="after")
    def _devices_have_names(self) -> Self:
        names = [device.name.lower() for device in self.devices]
        if len(set(names)) < len(names):
            raise ValueError("two of its devices have the same name: give each its own")
        return self


class CustomersFile(Section):
    """The whole file."""

    customers: Annotated[tuple[CustomerSpec, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _customers_have_names(self) -> Self:
        names = {customer.name for customer in self.customers}
        if len(names) < len(self.customers):
            raise ValueError("two customers have the same name: write each once")
        return self


def read_customers(text: str, source: str) -> tuple[CustomerSpec, ...]:
    """The customers in a file; ``source`` is what errors call the file.

    Raises:
        InvalidRequestError: it is no YAML.
        ConfigError: a key or a value is wrong.
    """
    content = read_mapping(text, f"file of customers {source}", "customers", MAX_FILE)
    return parse(content, CustomersFile, source).customers


def require_apart(customers: dict[str, CustomerSpec]) -> None:
    """Check that no two devices would be taken for one another; raises :class:`InvalidRequestError`."""
    taken: dict[tuple[int, Network], str] = {}
    tunnels: dict[tuple[str, UserTunnel], str] = {}
    for customer in customers.values():
        for device in customer.devices:
            mine = f"{device.name} of {customer.name}"
            for prefix in device.addresses:
                other = taken.setdefault((customer.tenant, prefix), mine)
                if other is not mine:
                    raise InvalidRequestError(f"devices {other} and {mine} both have {prefix}: change one")
            if device.tunnel is not None:
                other = tunnels.setdefault((device.node, device.tunnel), mine)
                if other is not mine:
                    raise InvalidRequestError(
                        f"devices {other} and {mine} have the same tunnel at {device.node}: give each a key"
                    )
    _require_disjoint(taken)


def _require_disjoint(taken: dict[tuple[int, Network], str]) -> None:
    """No prefix may lie in another: sorted, each stands right behind what contains it."""
    outer: tuple[int, Network] | None = None
    for tenant, prefix in sorted(
        taken, key=lambda at: (at[0], at[1].version, int(at[1][0]), at[1].prefixlen)
    ):
        if (
            outer is not None
            and outer[0] == tenant
            and outer[1].version == prefix.version
            and int(prefix[0]) <= int(outer[1][-1])
        ):
            raise InvalidRequestError(
                f"{prefix} of device {taken[tenant, prefix]} lies in {outer[1]} of {taken[outer]}: part them"
            )
        outer = tenant, prefix
