# SPDX-License-Identifier: Apache-2.0
"""Who is who: identities bound to certificates, and gRPC credentials made from a folder of PEM files.

A certificate carries its holder's identity as a URI (``moorline://node/laptop``) and, for servers, as the
DNS name that clients ask for: nobody dials a node by a name that DNS knows, so the name is given with
``grpc.ssl_target_name_override``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import grpc

from moorline.errors import MoorlineError
from moorline.names import InvalidNameError, NodeName

CA_FILE: Final = "ca.pem"
CERTIFICATE_FILE: Final = "cert.pem"
KEY_FILE: Final = "key.pem"
"""What a credentials folder holds."""

CONTROLLER_DNS: Final = "controller.moorline"
"""DNS name in the controller's certificate."""

_SCHEME: Final = "moorline://"


class CredentialsError(MoorlineError):
    """A credentials folder that cannot be used."""


class Kind(StrEnum):
    """What an identity is."""

    NODE = "node"
    CONTROLLER = "controller"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Identity:
    """A party to a connection; ``name`` is empty for the controller."""

    kind: Kind
    name: str = ""

    @property
    def uri(self) -> str:
        """The form in certificates: ``moorline://node/<name>``, ``moorline://controller``."""
        return f"{_SCHEME}{self.kind}/{self.name}" if self.name else f"{_SCHEME}{self.kind}"

    @property
    def dns(self) -> str | None:
        """The DNS name of a server of this identity; operators serve nothing."""
        match self.kind:
            case Kind.CONTROLLER:
                return CONTROLLER_DNS
            case Kind.NODE:
                return f"{self.name}.node.moorline"
        return None

    @classmethod
    def from_uri(cls, uri: str) -> Self | None:
        """Read what ``uri`` wrote; ``None`` for every other text."""
        kind, slash, name = uri.removeprefix(_SCHEME).partition("/")
        if not uri.startswith(_SCHEME) or kind not in Kind.__members__.values():
            return None
        if (kind == Kind.CONTROLLER) == bool(slash):
            return None
        try:
            if name != (NodeName.parse(name) if slash else ""):
                return None
        except InvalidNameError:
            return None
        return cls(Kind(kind), name)


CONTROLLER: Final = Identity(Kind.CONTROLLER)
LOCAL_OPERATOR: Final = Identity(Kind.OPERATOR, "local")
"""Whoever may open the unix socket: the file's permissions are the check."""


def node(name: str) -> Identity:
    """The identity of the node of this name."""
    return Identity(Kind.NODE, NodeName.parse(name))


def operator(name: str) -> Identity:
    """The identity of an operator; names have the form of node names."""
    return Identity(Kind.OPERATOR, NodeName.parse(name))


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """The contents of a credentials folder, PEM."""

    authority: bytes
    certificate: bytes
    key: bytes

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read ``ca.pem``, ``cert.pem`` and ``key.pem``; raises ``CredentialsError``."""
        return cls(*(_read_pem(folder / name) for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE)))

    def for_server(self) -> grpc.ServerCredentials:
        """A server that admits only clients with a certificate of the same authority."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)], root_certificates=self.authority, require_client_auth=True
        )

    def for_joining_server(self) -> grpc.ServerCredentials:
        """A server for nodes that have no certificate yet."""
        return grpc.ssl_server_credentials([(self.key, self.certificate)])

    def for_channel(self) -> grpc.ChannelCredentials:
        """A client that shows its certificate and trusts only the same authority."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def joining_channel_credentials(authority: bytes) -> grpc.ChannelCredentials:
    """A client without a certificate yet, that trusts the PEM ``authority`` from its join token."""
    return grpc.ssl_channel_credentials(authority)


def channel_options(server: Identity) -> list[tuple[str, Any]]:
    """Options with which a channel insists that it is ``server`` that answers."""
    if server.dns is None:
        raise CredentialsError(f"{server.uri} is no server: dial a node or the controller")
    return [("grpc.ssl_target_name_override", server.dns)]


def peer_identity(context: Any) -> Identity | None:
    """Who calls: the identity in the peer's certificate, the local operator on a unix socket, else ``None``.

    ``context`` is a ``grpc.aio.ServicerContext``. gRPC lists every alternative name of a verified
    certificate; exactly one of them has to be an identity.
    """
    if context.peer().startswith("unix:"):
        return LOCAL_OPERATOR
    names = context.auth_context().get("x509_subject_alternative_name", ())
    found = [identity for name in names if (identity := Identity.from_uri(name.decode("utf-8", "replace")))]
    return found[0] if len(found) == 1 else None


def _read_pem(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CredentialsError(
            f"credentials file {path} cannot be read ({error.strerror}): join again or restore it"
        ) from error
    if b"-----BEGIN " not in content:
        raise CredentialsError(f"credentials file {path} is not PEM: join again or restore it")
    return content
