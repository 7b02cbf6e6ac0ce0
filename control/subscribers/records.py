# SPDX-License-Identifier: Apache-2.0
"""What the controller keeps of customers' sessions, and devices as they are now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from ipaddress import ip_network
from typing import Final, Self

from control.subscribers.model import CustomerSpec, DeviceSpec, UserTunnel
from moorline.addresses import Network

CUSTOMER: Final = "customer/"
SESSION: Final = "session/"
ACCOUNT: Final = "account/"
"""Prefixes of the keys in the store."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a session, or all of a customer's, carried: from the customer's device, and to it."""

    bytes_from: int = 0
    bytes_to: int = 0
    packets_from: int = 0
    packets_to: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(*(getattr(self, at.name) + getattr(other, at.name) for at in fields(Traffic)))

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(*(getattr(self, at.name) - getattr(other, at.name) for at in fields(Traffic)))

    def covers(self, other: Traffic) -> bool:
        """Whether these may be the same counters, later: none is less."""
        return self.most(other) == self

    def most(self, other: Traffic) -> Traffic:
        """Counters only rise: an older report may arrive after a newer one."""
        return Traffic(*(max(getattr(self, at.name), getattr(other, at.name)) for at in fields(Traffic)))


@dataclass(frozen=True, slots=True)
class Account:
    """Sessions of a customer that have ended."""

    sessions: int = 0
    traffic: Traffic = Traffic()

    def encode(self) -> bytes:
        """Its value in the store."""
        return _dump({"sessions": self.sessions, **asdict(self.traffic)})

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read back what :meth:`encode` wrote."""
        data = json.loads(value)
        return cls(data.pop("sessions"), Traffic(**data))


@dataclass(frozen=True, slots=True)
class Session:
    """A customer's session at a network access server, as that tells of it.

    ``server`` is the server's address in text form, ``nas`` its NAS-Identifier; ``node`` and ``port`` are
    where packets of the session come in, empty: nobody said.
    """

    server: str
    id: str
    nas: str
    customer: str
    station: str
    tenant: int
    prefixes: tuple[Network, ...] = ()
    profiles: tuple[str, ...] = ()
    node: str = ""
    port: str = ""
    tunnel: UserTunnel | None = None
    location: str = ""
    started_ns: int = 0
    heard_ns: int = 0
    traffic: Traffic = Traffic()

    @property
    def key(self) -> str:
        """Its key in the store: two servers may give the same name."""
        return session_key(self.server, self.nas, self.id)

    def encode(self) -> bytes:
        """Its value in the store."""
        return _dump(
            {
                **asdict(self),
                "prefixes": [*map(str, self.prefixes)],
                "tunnel": self.tunnel and self.tunnel.model_dump(mode="json"),
            }
        )

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read back what :meth:`encode` wrote."""
        data = json.loads(value)
        return cls(
            **{
                **data,
                "prefixes": tuple(map(ip_network, data["prefixes"])),
                "profiles": tuple(data["profiles"]),
                "tunnel": data["tunnel"] and UserTunnel.model_validate(data["tunnel"]),
                "traffic": Traffic(**data["traffic"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Device:
    """A customer's device as it is now, by its file and by its session.

    ``port`` is the edge port of ``node`` behind which it is (interface or number); ``tunnel`` its tunnel
    there. ``profiles`` are its own and its customer's.
    """

    customer: str
    name: str
    tenant: int
    prefixes: tuple[Network, ...]
    profiles: tuple[str, ...] = ()
    node: str = ""
    port: str = ""
    tunnel: UserTunnel | None = None
    location: str = ""
    session: Session | None = None


def session_key(server: str, nas: str, name: str) -> str:
    """The key of a session in the store, whatever characters its names have."""
    return SESSION + json.dumps([server, nas, name])


def devices_of(name: str, spec: CustomerSpec | None, sessions: Iterable[Session]) -> tuple[Device, ...]:
    """A customer's devices by what its file says, and by its sessions.

    A session belongs to the device in the file that has the name of its station, else it is a device of its
    own.
    """
    profiles = spec.profiles if spec is not None else ()
    named = {device.name.lower(): device for device in (spec.devices if spec is not None else ())}
    found = []
    seen: set[str] = set()
    for session in sessions:
        known = named.get(session.station.lower())
        if known is not None:
            seen.add(known.name.lower())
        found.append(_device(name, spec, profiles, known, session))
    for key, known in named.items():
        if key not in seen:
            found.append(_device(name, spec, profiles, known, None))
    return tuple(found)


def _device(
    customer: str,
    spec: CustomerSpec | None,
    profiles: tuple[str, ...],
    known: DeviceSpec | None,
    session: Session | None,
) -> Device:
    """The file goes before the session where both say something."""
    prefixes = known.addresses if known is not None else ()
    if session is not None:
        prefixes = tuple(dict.fromkeys((*prefixes, *session.prefixes)))
    own = (*(known.profiles if known else ()), *(session.profiles if session else ()))
    placed = next((at for at in (known, session) if at is not None and at.node), None)
    tunnel = placed.tunnel if placed else None
    return Device(
        customer,
        known.name if known is not None else _name_of(session),
        spec.tenant if spec is not None else session.tenant if session is not None else 0,
        prefixes[:1] if tunnel is not None else prefixes,
        tuple(dict.fromkeys((*profiles, *own))),
        placed.node if placed else "",
        placed.port if placed else "",
        tunnel,
        next((at.location for at in (known, session) if at is not None and at.location), ""),
        session,
    )


def _name_of(session: Session | None) -> str:
    return (session.station or session.id) if session is not None else ""


def _dump(data: dict[str, object]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
