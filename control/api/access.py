# SPDX-License-Identifier: Apache-2.0
"""Who may do what: operators everything, a node what concerns itself."""

from __future__ import annotations

from control.connection_records import Connection
from control.errors import DeniedError, UnauthenticatedError
from control.records import Service
from control.state import State
from moorline.tls import Identity, Kind


class Admission:
    """Lets operators in, and nodes that have not been removed since they joined."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __call__(self, caller: Identity) -> None:
        """Raise :class:`UnauthenticatedError` for a node that is no longer one."""
        if caller.kind is not Kind.NODE:
            return
        node = self._state.nodes.get(caller.name)
        # A switch has no certificate; one with its name is of a host that was removed before.
        if node is None or node.switch is not None:
            raise UnauthenticatedError(f"node {caller.name} was removed: let it join again with a new token")


def is_operator(caller: Identity) -> bool:
    """Whether the caller may do everything."""
    return caller.kind is Kind.OPERATOR


def require_operator(caller: Identity) -> None:
    """Let only operators pass."""
    if not is_operator(caller):
        raise DeniedError(f"node {caller.name} may not do this: ask as an operator")


def require_node(caller: Identity, node: str) -> None:
    """Let operators and this node pass."""
    if not is_operator(caller) and caller.name != node:
        raise DeniedError(f"node {caller.name} may not act for node {node}: ask there, or as an operator")


def require_host(caller: Identity, service: Service) -> None:
    """Let operators and the node of ``service`` pass."""
    require_node(caller, service.node.name)


def require_end(caller: Identity, connection: Connection) -> None:
    """Let operators and the nodes at the ends of ``connection`` pass."""
    if not is_operator(caller) and caller.name not in (node.name for node in connection.nodes):
        raise DeniedError(
            f"node {caller.name} has no end of this connection: ask as one of its nodes, or as an operator"
        )
