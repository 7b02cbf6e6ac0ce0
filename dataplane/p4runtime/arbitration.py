# SPDX-License-Identifier: Apache-2.0
"""Which client is the primary (P4Runtime specification, "Client Arbitration and Controller Replication").

Sans-IO: updates and disconnections in, notifications for clients out. There is one device and one role, the
default one.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from finsy.proto import U128, p4r, rpc_code, rpc_status
from grpc import StatusCode

from dataplane.p4runtime.errors import refuse

Client = Hashable
"""A stream, as its handler names it."""


class Notification(NamedTuple):
    """What to send to which client; the new primary's comes last."""

    client: Client
    message: p4r.StreamMessageResponse


def check_device(device_id: int, ours: int) -> None:
    """Whether a request is for this device.

    Raises:
        Refused: it is not.
    """
    if device_id != ours:
        refuse(StatusCode.NOT_FOUND, f"there is no device {device_id} here; the only one is {ours}")


def check_role(name: str, number: int = 0) -> None:
    """Whether a request is in the only role there is.

    Raises:
        Refused: it names another.
    """
    if name or number:
        refuse(
            StatusCode.NOT_FOUND,
            f"there is no role {name or number}; leave it unset, the default role has the whole pipeline",
        )


class Arbitration:
    """The clients of one device and the election among them."""

    def __init__(self, device_id: int) -> None:
        self.device_id = device_id
        self._elections: dict[Client, int | None] = {}
        self._highest: int | None = None  # ever received
        self._primary: Client | None = None

    @property
    def primary(self) -> Client | None:
        """The client that may write, if there is one now."""
        return self._primary

    def update(self, client: Client, update: p4r.MasterArbitrationUpdate) -> list[Notification]:
        """Takes an update that a client sent.

        Raises:
            Refused: the stream must be ended with this code.
        """
        self._check(client, update)
        election = U128.decode(update.election_id) if update.HasField("election_id") else None
        self._elections[client] = election
        if election is not None and (self._highest is None or election >= self._highest):
            self._highest = election
            self._primary = client
            return self._notify_all()
        if self._primary == client:
            self._primary = None
            return self._notify_all()
        return [self._notification(client)]

    def disconnect(self, client: Client) -> list[Notification]:
        """Forgets a client whose stream ended."""
        self._elections.pop(client, None)
        if self._primary != client:
            return []
        self._primary = None
        return self._notify_all()

    def check_primary(self, election_id: p4r.Uint128 | None) -> None:
        """Whether a request with this election id comes from the primary.

        Raises:
            Refused: it does not.
        """
        if self._primary is None:
            refuse(
                StatusCode.PERMISSION_DENIED,
                "there is no primary; open a stream and send the highest election id to become it",
            )
        if election_id is None or U128.decode(election_id) != self._highest:
            given = "no election id" if election_id is None else f"election id {U128.decode(election_id)}"
            refuse(
                StatusCode.PERMISSION_DENIED,
                f"a request with {given} does not come from the primary, whose id is {self._highest}",
            )

    def _check(self, client: Client, update: p4r.MasterArbitrationUpdate) -> None:
        known = client in self._elections
        if update.device_id != self.device_id:
            if known:
                refuse(StatusCode.FAILED_PRECONDITION, "a stream cannot change its device; open another one")
            check_device(update.device_id, self.device_id)
        if known and update.role.name:
            refuse(StatusCode.FAILED_PRECONDITION, "a stream cannot change its role; open another one")
        check_role(update.role.name, update.role.id)
        if update.role.HasField("config"):
            refuse(StatusCode.INVALID_ARGUMENT, "the default role takes no configuration; leave it unset")
        if not update.HasField("election_id"):
            return
        election = U128.decode(update.election_id)
        if any(e == election for c, e in self._elections.items() if c != client):
            refuse(
                StatusCode.INVALID_ARGUMENT,
                f"the election id {election} is in use by another client; choose another",
            )

    def _notify_all(self) -> list[Notification]:
        others = [c for c in self._elections if c != self._primary]
        ordered = others if self._primary is None else [*others, self._primary]
        return [self._notification(c) for c in ordered]

    def _notification(self, client: Client) -> Notification:
        message = p4r.StreamMessageResponse()
        update = message.arbitration
        update.device_id = self.device_id
        if self._highest is not None:
            update.election_id.CopyFrom(U128.encode(self._highest))
        update.status.CopyFrom(self._status(client))
        return Notification(client, message)

    def _status(self, client: Client) -> rpc_status.Status:
        if client == self._primary:
            return rpc_status.Status(code=rpc_code.OK, message="you are the primary")
        if self._primary is None:
            return rpc_status.Status(code=rpc_code.NOT_FOUND, message="there is no primary")
        return rpc_status.Status(code=rpc_code.ALREADY_EXISTS, message="another client is the primary")
