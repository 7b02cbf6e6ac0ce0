# SPDX-License-Identifier: Apache-2.0
"""The directory of customers: what files say of them, what their sessions tell, and who wants to know."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import structlog

from control.errors import ControlError, NotFoundError, PreconditionError
from control.records import Node
from control.state import State
from control.store.base import Store, Transaction
from control.subscribers.filed import Filed
from control.subscribers.model import CustomerSpec, require_apart
from control.subscribers.records import (
    ACCOUNT,
    CUSTOMER,
    SESSION,
    Account,
    Device,
    Session,
    Traffic,
    devices_of,
)
from moorline.addresses import Network

log = structlog.get_logger(__name__)

TELL_SECONDS: Final = 0.05
"""Sessions come in crowds; so long those who want to know of them are told once."""

REST: Final = 4.0
"""So many times as long as it took to tell them they are left alone, lest nothing else be done."""

REMEMBERED: Final = 10_000
"""Sessions that have fallen silent and are remembered at most."""


class Subscribers:
    """All customers, in memory, written through to the store.

    ``changed`` are called after a change, and done when all follows it; several in quick succession are one.
    """

    def __init__(self, state: State, store: Store) -> None:
        self.changed: list[Callable[[], Awaitable[None]]] = []
        self._state = state
        self._store = store
        self._specs: dict[str, CustomerSpec] = {}
        self._accounts: dict[str, Account] = {}
        self._sessions: dict[str, Session] = {}
        """By their keys."""
        self._filed = Filed(())
        self._holders: dict[tuple[int, Network], str] = {}
        """Whose session an address is: key of the session by tenant and address."""
        self._of_customer: dict[str, dict[str, None]] = {}
        """Keys of sessions by customer."""
        self._silent: OrderedDict[tuple[str, str], Traffic] = OrderedDict()
        """What accounts have of sessions that fell silent, by customer and key."""
        self._devices: dict[str, tuple[Device, ...]] = {}
        self._tunnels: Counter[str] = Counter()
        self._changing = asyncio.Lock()
        self._telling: asyncio.Task[None] | None = None
        self._untold = False

    async def load(self) -> None:
        """Take up what is stored; before any other method."""
        for entry in (await self._store.scan(CUSTOMER)).entries:
            spec = CustomerSpec.model_validate_json(entry.value)
            self._specs[spec.name] = spec
        self._filed = Filed(self._specs.values())
        for entry in (await self._store.scan(ACCOUNT)).entries:
            self._accounts[entry.key.removeprefix(ACCOUNT)] = Account.decode(entry.value)
        for entry in (await self._store.scan(SESSION)).entries:
            self._index(Session.decode(entry.value))
        for name in {*self._specs, *self._of_customer}:
            self._compute(name)

    async def close(self) -> None:
        """Tell nobody any more."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    # ---- control.graphs.facts.Subscribers ------------------------------------------------------------------

    def prefixes_of_customer(self, customer: str) -> Iterator[Network]:
        """The addresses of all devices of a customer."""
        for device in self._devices.get(customer, ()):
            yield from device.prefixes

    def prefixes_of_profile(self, profile: str) -> Iterator[Network]:
        """The addresses of all devices with a profile, their customer's or their own."""
        for device in self.devices():
            if profile in device.profiles:
                yield from device.prefixes

    def nodes(self) -> frozenset[str]:
        """The nodes where tunnels of devices end."""
        return frozenset(self._tunnels)

    # ---- for those who ask ---------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """All customers of whom anything is known."""
        return sorted({*self._devices, *self._accounts})

    def spec(self, name: str) -> CustomerSpec | None:
        """What a file says of a customer."""
        return self._specs.get(name)

    def account(self, name: str) -> Account:
        """What all sessions of a customer carried until now."""
        now = [self._sessions[key] for key in self._of_customer.get(name, ())]
        ended = self._accounts.get(name, Account())
        traffic = sum((session.traffic for session in now), ended.traffic)
        return Account(ended.sessions + len(now), traffic)

    def require(self, name: str) -> None:
        """Raise :class:`NotFoundError` for a customer of whom nothing is known."""
        if name not in self._devices and name not in self._accounts:
            raise NotFoundError(f"there is no customer {name!r}: see 'moorline customer list'")

    def devices(self) -> Iterator[Device]:
        """All devices."""
        for devices in self._devices.values():
            yield from devices

    def tunnels_at(self, node: str) -> int:
        """How many tunnels of devices end at a node."""
        return self._tunnels[node]

    def of_customer(self, name: str) -> tuple[Device, ...]:
        """The devices of a customer."""
        return self._devices.get(name, ())

    # ---- files ---------------------------------------------------------------------------------------------

    async def apply(self, specs: Sequence[CustomerSpec]) -> None:
        """Take over customers, each in the place of the one of its name.

        Raises:
            InvalidRequestError: two devices would be taken for one another.
            PreconditionError: a node or an edge port is not there.
            ControlError: a node refused what follows; all the same they are taken over.
        """
        async with self._changing:
            wanted = self._specs | {spec.name: spec for spec in specs}
            require_apart(wanted)
            for spec in specs:
                self._require_places(spec)
            puts = {
                CUSTOMER + spec.name: spec.model_dump_json(exclude_defaults=True).encode()
                for spec in specs
                if self._specs.get(spec.name) != spec
            }
            if not puts:
                return
            await self._store.commit(Transaction(puts=puts))
            self._specs, self._filed = wanted, Filed(wanted.values())
            for spec in specs:
                self._compute(spec.name)
        log.info("customers_applied", customers=len(puts))
        await self._tell()

    async def remove(self, name: str) -> None:
        """Forget what a file said of a customer, and its account; raises :class:`NotFoundError`."""
        async with self._changing:
            self.require(name)
            await self._store.commit(Transaction(deletes=frozenset([CUSTOMER + name, ACCOUNT + name])))
            self._specs.pop(name, None)
            self._filed = Filed(self._specs.values())
            self._accounts.pop(name, None)
            for silent in [key for key in self._silent if key[0] == name]:
                del self._silent[silent]
            self._compute(name)
        log.info("customer_removed")
        await self._tell()

    def _require_places(self, spec: CustomerSpec) -> None:
        for device in spec.devices:
            if not device.node:
                continue
            node = self._state.nodes.get(device.node)
            what = f"device {device.name} of {spec.name}"
            if node is None:
                raise PreconditionError(
                    f"{what} is at {device.node}, no known node: see 'moorline node list'"
                )
            if device.port and edge_port(node, device.port) is None:
                raise PreconditionError(
                    f"{what} is behind {device.port}, no edge port of {node.name}: see 'moorline node show'"
                )

    # ---- sessions ------------------------------------------------------------------------------------------

    async def hear(self, session: Session) -> None:
        """Take in a session as it is now; one that had its addresses before has ended unheard."""
        async with self._changing:
            session = replace(session, prefixes=tuple(self._free(session)))
            known = self._sessions.get(session.key)
            if known is not None:
                session = replace(session, started_ns=known.started_ns)
            session = self._with_traffic(session)
            unheard = self._holders_of(session) - {session.key}
            if known is not None and known.customer != session.customer:
                unheard |= {session.key}
            gone = [self._sessions[key] for key in unheard]
            accounts = self._without_returned([session])
            self._settle(accounts, gone)
            await self._store.commit(
                Transaction(
                    puts={session.key: session.encode()}
                    | {ACCOUNT + name: account.encode() for name, account in accounts.items()},
                    deletes=frozenset(unheard - {session.key}),
                )
            )
            self._drop(gone, accounts)
            self._silent.pop((session.customer, session.key), None)
            if (old := self._sessions.get(session.key)) is not None:
                self._unindex(old)
            self._index(session)
            before = self._devices.get(session.customer)
            self._compute(session.customer)
        if gone or known is None or _places(before) != _places(self._devices.get(session.customer)):
            self._tell_soon()

    async def end(self, sessions: Iterable[Session]) -> None:
        """Sessions that are over. Those not known are taken into account; those heard of since go on."""
        async with self._changing:
            await self._end([self._with_traffic(one) for one in sessions if not self._heard_since(one)])

    async def end_silent(self, seconds: float) -> int:
        """End the sessions that nobody has told of for so long; how many they were.

        They may be there still, and come back with the same counters.
        """
        async with self._changing:
            latest = time.time_ns() - int(seconds * 1e9)
            silent = [one for one in self._sessions.values() if one.heard_ns <= latest]
            await self._end(silent)
            self._silent |= {(one.customer, one.key): one.traffic for one in silent}
            while len(self._silent) > REMEMBERED:
                self._silent.popitem(last=False)
        return len(silent)

    async def _end(self, gone: Sequence[Session]) -> None:
        if not gone:
            return
        accounts = self._without_returned(gone)
        self._settle(accounts, gone)
        await self._store.commit(
            Transaction(
                puts={ACCOUNT + name: account.encode() for name, account in accounts.items()},
                deletes=frozenset(session.key for session in gone),
            )
        )
        self._drop(gone, accounts)
        for session in gone:
            self._silent.pop((session.customer, session.key), None)
        self._tell_soon()

    def _with_traffic(self, session: Session) -> Session:
        """A session with the most that was said of its traffic."""
        known = self._sessions.get(session.key)
        if known is None or known.customer != session.customer:
            return session
        return replace(session, traffic=session.traffic.most(known.traffic))

    def _heard_since(self, session: Session) -> bool:
        known = self._sessions.get(session.key)
        return known is not None and known.heard_ns > session.heard_ns

    def of_server(self, server: str, nas: str) -> list[Session]:
        """The sessions that a network access server has told of."""
        return [one for one in self._sessions.values() if (one.server, one.nas) == (server, nas)]

    def _free(self, session: Session) -> Iterator[Network]:
        """The addresses of a session but those that a file gives to another device."""
        for prefix in session.prefixes:
            if self._filed.is_free(session.tenant, prefix, session.customer, session.station):
                yield prefix
            else:
                log.warning("session_has_address_of_another", server=session.server, address=str(prefix))

    def _holders_of(self, session: Session) -> set[str]:
        found = (self._holders.get((session.tenant, prefix)) for prefix in session.prefixes)
        return {key for key in found if key is not None}

    def _without_returned(self, sessions: Iterable[Session]) -> dict[str, Account]:
        """The accounts of customers whose sessions are there again after silence, without these."""
        accounts: dict[str, Account] = {}
        for session in sessions:
            name, counted = session.customer, self._silent.get((session.customer, session.key))
            if counted is not None and session.traffic.covers(counted):
                account = accounts.get(name) or self._accounts[name]
                accounts[name] = Account(account.sessions - 1, account.traffic - counted)
        return accounts

    def _settle(self, accounts: dict[str, Account], gone: Iterable[Session]) -> None:
        """Bring sessions that end into the accounts of their customers."""
        for session in gone:
            account = accounts.get(session.customer) or self._accounts.get(session.customer, Account())
            accounts[session.customer] = Account(account.sessions + 1, account.traffic + session.traffic)

    def _drop(self, gone: Iterable[Session], accounts: dict[str, Account]) -> None:
        self._accounts |= accounts
        for session in gone:
            if (known := self._sessions.get(session.key)) is not None:
                self._unindex(known)
                self._compute(known.customer)

    def _index(self, session: Session) -> None:
        self._sessions[session.key] = session
        self._of_customer.setdefault(session.customer, {})[session.key] = None
        for prefix in session.prefixes:
            self._holders[session.tenant, prefix] = session.key

    def _unindex(self, session: Session) -> None:
        del self._sessions[session.key]
        of_customer = self._of_customer[session.customer]
        del of_customer[session.key]
        if not of_customer:
            del self._of_customer[session.customer]
        for prefix in session.prefixes:
            if self._holders.get((session.tenant, prefix)) == session.key:
                del self._holders[session.tenant, prefix]

    def _compute(self, name: str) -> None:
        sessions = [self._sessions[key] for key in self._of_customer.get(name, ())]
        spec = self._specs.get(name)
        self._tunnels -= _tunnels(self._devices.get(name, ()))
        if spec is None and not sessions:
            self._devices.pop(name, None)
        else:
            self._devices[name] = devices_of(name, spec, sessions)
            self._tunnels += _tunnels(self._devices[name])

    # ---- who wants to know ---------------------------------------------------------------------------------

    def _tell_soon(self) -> None:
        self._untold = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._keep_telling())

    async def _keep_telling(self) -> None:
        pause = TELL_SECONDS
        while self._untold:
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                await self._tell()
            except ControlError as error:
                log.info("customers_left_to_reconciliation", why=str(error))
            pause = max(TELL_SECONDS, REST * (time.monotonic() - began))

    async def _tell(self) -> None:
        self._untold = False
        for tell in self.changed:
            await tell()


def edge_port(node: Node, text: str) -> int | None:
    """The number of the edge port of a node that is called so: its interface, or its number."""
    named = (port.number for port in node.edge_ports if text in (port.interface, str(port.number)))
    return next(named, None)


def _tunnels(devices: Iterable[Device]) -> Counter[str]:
    """How many end at each node."""
    return Counter(device.node for device in devices if device.tunnel is not None)


def _places(devices: Iterable[Device] | None) -> list[Device]:
    """What of devices makes a difference to how packets are led."""
    return [replace(device, session=None) for device in devices or ()]
