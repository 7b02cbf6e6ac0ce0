# SPDX-License-Identifier: Apache-2.0
"""Makes this machine a node: a key that never leaves it, and a certificate in exchange for a join token."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Final, Self

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dataplane.agent.config import NodeConfig
from dataplane.agent.state import read_state, write_private, write_state
from moorline import tls
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc
from moorline.errors import MoorlineError
from moorline.names import InvalidNameError, NodeName

JOIN_SECONDS: Final = 10.0


class JoinError(MoorlineError):
    """The machine did not become a node."""


@dataclass(frozen=True, slots=True, repr=False)
class JoinToken:
    """What the controller wrote into a token."""

    controller: str
    """``host:port`` of the join port."""
    api: str
    """``host:port`` of the API."""
    node: str
    secret: bytes
    authority: bytes
    """Certificate of the site's authority, DER."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a token. Raises JoinError."""
        try:
            padded = text.strip() + "=" * (-len(text.strip()) % 4)
            content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            return cls(
                controller=_text(content["controller"]),
                api=_text(content["api"]),
                node=NodeName.parse(_text(content["node"])),
                secret=_text(content["secret"]).encode(),
                authority=base64.b64decode(_text(content["ca"]), validate=True),
            )
        except (ValueError, binascii.Error, KeyError, TypeError, InvalidNameError):
            raise JoinError(
                "the join token is not whole: copy all that 'moorline node token' wrote, or make a new one"
            ) from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


async def join(token: str, config: NodeConfig) -> str:
    """Exchange the token for a certificate, and keep both certificate and key in the state directory.

    Returns:
        The node's name.

    Raises:
        JoinError: the token or the controller's answer is no good.
        StateError: the files cannot be written.
    """
    parsed = JoinToken.parse(token)
    state_file = config.state_dir / "node.json"
    state = read_state(state_file)
    if state.node not in ("", parsed.node):
        raise JoinError(
            f"this machine is node {state.node}, the token is for {parsed.node}: 'moorline node leave' first"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(parsed.authority)
    answer = await _exchange(parsed, authority, _request(parsed.node, key))
    certificate = _checked(answer, parsed, key, authority)
    folder = config.credentials_dir
    write_private(folder / tls.CA_FILE, authority.public_bytes(serialization.Encoding.PEM))
    write_private(folder / tls.KEY_FILE, _pem(key))
    write_private(folder / tls.CERTIFICATE_FILE, certificate.public_bytes(serialization.Encoding.PEM))
    state.node, state.controller = parsed.node, parsed.api
    write_state(state_file, state)
    return parsed.node


def node_name(credentials: tls.Credentials) -> str:
    """The node that a certificate is for. Raises CredentialsError."""
    for uri in _uris(x509.load_pem_x509_certificate(credentials.certificate)):
        identity = tls.Identity.from_uri(uri)
        if identity is not None and identity.kind is tls.Kind.NODE:
            return identity.name
    raise tls.CredentialsError("the certificate is not a node's: join with a token of the controller")


def _authority(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise JoinError("the join token's authority is no certificate: make a new token") from None


def _request(node: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


async def _exchange(token: JoinToken, authority: x509.Certificate, request: bytes) -> api.JoinResponse:
    pem = authority.public_bytes(serialization.Encoding.PEM)
    options = tls.channel_options(tls.CONTROLLER)
    message = api.JoinRequest(node=token.node, token_secret=token.secret, certificate_request=request)
    async with grpc.aio.secure_channel(
        token.controller, tls.joining_channel_credentials(pem), options
    ) as channel:
        try:
            # Not at once in vain: the network, or the controller, may just be coming up.
            answer: api.JoinResponse = await rpc.JoiningStub(channel).Join(
                message, timeout=JOIN_SECONDS, wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise JoinError(
                    f"the controller at {token.controller} does not answer: see that it runs and is reached"
                ) from None
            raise JoinError(str(error.details())) from None
    return answer


def _checked(
    answer: api.JoinResponse, token: JoinToken, key: ec.EllipticCurvePrivateKey, authority: x509.Certificate
) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(answer.certificate)
        certificate.verify_directly_issued_by(authority)
    except Exception:  # cryptography raises several kinds for a certificate that is no good
        raise JoinError(
            f"the controller at {token.controller} sent no valid certificate: check its log"
        ) from None
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ours = certificate.public_key().public_bytes(*spki) == key.public_key().public_bytes(*spki)
    if not ours or tls.node(token.node).uri not in _uris(certificate):
        raise JoinError(
            f"the controller at {token.controller} sent a certificate of somebody else: check its log"
        )
    return certificate


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
