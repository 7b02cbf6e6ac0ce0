# SPDX-License-Identifier: Apache-2.0
"""Identities in certificates, and what they become on a real connection."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorline import tls
from moorline.tls import Credentials, CredentialsError, Identity, Kind

METHOD = "/test.Who/Am"


class Authority:
    """A certificate authority that lives as long as a test."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = self._build(self.name, self.key.public_key(), x509.BasicConstraints(True, 0))

    def _build(self, subject: x509.Name, public_key, *extensions: x509.ExtensionType) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, folder: Path, *alternatives: x509.GeneralName) -> Path:
        """Write a credentials folder for a holder with these alternative names."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.SubjectAlternativeName(alternatives)] if alternatives else []
        certificate = self._build(x509.Name([]), key.public_key(), *names)
        folder.mkdir()
        pem = serialization.Encoding.PEM
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(pem))
        (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
        (folder / "key.pem").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return folder

    def issue_identity(self, folder: Path, identity: Identity) -> Path:
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity.uri)]
        if identity.dns:
            names.append(x509.DNSName(identity.dns))
        return self.issue(folder, *names)


async def who(_request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    identity = tls.peer_identity(context)
    return identity.uri.encode() if identity else b"nobody"


@asynccontextmanager
async def serving(address: str, credentials: grpc.ServerCredentials | None = None) -> AsyncIterator[int]:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(who)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Who", {"Am": handler})])
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def ask(port: int, credentials: grpc.ChannelCredentials, server: Identity = tls.CONTROLLER) -> str:
    target = f"127.0.0.1:{port}"
    async with grpc.aio.secure_channel(target, credentials, options=tls.channel_options(server)) as channel:
        answer: bytes = await channel.unary_unary(METHOD)(b"", timeout=10)
        return answer.decode()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def controller(authority: Authority, tmp_path: Path) -> Credentials:
    return Credentials.read(authority.issue_identity(tmp_path / "controller", tls.CONTROLLER))


@pytest.mark.parametrize("identity", [tls.node("laptop.rack-1"), tls.operator("alice"), tls.CONTROLLER])
async def test_identity_survives_a_round_trip(
    identity: Identity, authority: Authority, controller: Credentials, tmp_path: Path
) -> None:
    client = Credentials.read(authority.issue_identity(tmp_path / "client", identity))
    async with serving("127.0.0.1:0", controller.for_server()) as port:
        assert await ask(port, client.for_channel()) == identity.uri


@pytest.mark.parametrize(
    "alternatives",
    [
        [],
        [x509.DNSName("moorline.example")],
        [x509.UniformResourceIdentifier("https://node/laptop")],
        [
            x509.UniformResourceIdentifier("moorline://node/a"),
            x509.UniformResourceIdentifier("moorline://controller"),
        ],
    ],
    ids=["none", "dns only", "other scheme", "two identities"],
)
async def test_a_certificate_without_one_identity_is_nobody(
    alternatives: list[x509.GeneralName], authority: Authority, controller: Credentials, tmp_path: Path
) -> None:
    client = Credentials.read(authority.issue(tmp_path / "client", *alternatives))
    async with serving("127.0.0.1:0", controller.for_server()) as port:
        assert await ask(port, client.for_channel()) == "nobody"


async def test_a_stranger_is_turned_away(controller: Credentials, tmp_path: Path) -> None:
    stranger = Credentials.read(Authority().issue_identity(tmp_path / "stranger", tls.node("laptop")))
    forged = Credentials(controller.authority, stranger.certificate, stranger.key)
    async with serving("127.0.0.1:0", controller.for_server()) as port:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(port, forged.for_channel())
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_without_a_certificate_only_joins(controller: Credentials) -> None:
    joining = tls.joining_channel_credentials(controller.authority)
    async with serving("127.0.0.1:0", controller.for_joining_server()) as port:
        assert await ask(port, joining) == "nobody"
    async with serving("127.0.0.1:0", controller.for_server()) as port:
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(port, joining)


async def test_a_client_refuses_a_node_in_the_controllers_place(
    authority: Authority, controller: Credentials, tmp_path: Path
) -> None:
    impostor = Credentials.read(authority.issue_identity(tmp_path / "node", tls.node("laptop")))
    async with serving("127.0.0.1:0", impostor.for_server()) as port:
        assert await ask(port, controller.for_channel(), tls.node("laptop")) == "moorline://controller"
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(port, controller.for_channel())


async def test_a_unix_socket_peer_is_the_local_operator(tmp_path: Path) -> None:
    path = f"unix:{tmp_path / 'socket'}"
    async with serving(path), grpc.aio.insecure_channel(path) as channel:
        assert await channel.unary_unary(METHOD)(b"") == b"moorline://operator/local"


async def test_a_plain_tcp_peer_is_nobody() -> None:
    async with serving("127.0.0.1:0") as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await channel.unary_unary(METHOD)(b"") == b"nobody"


@pytest.mark.parametrize(
    "uri",
    [
        "moorline://node",
        "moorline://node/",
        "moorline://controller/",
        "moorline://controller/x",
        "moorline://operator",
        "moorline://king/x",
        "moorline://node/UPPER",
        "moorline://node/a/b",
        "node/laptop",
        "",
    ],
)
def test_a_text_that_is_no_identity(uri: str) -> None:
    assert Identity.from_uri(uri) is None


def test_uris_are_read_back() -> None:
    for identity in (tls.CONTROLLER, tls.node("n1"), tls.operator("o")):
        assert Identity.from_uri(identity.uri) == identity


def test_dns_names() -> None:
    assert tls.CONTROLLER.dns == "controller.moorline"
    assert tls.node("n1").dns == "n1.node.moorline"
    with pytest.raises(CredentialsError, match="no server"):
        tls.channel_options(Identity(Kind.OPERATOR, "alice"))


def test_missing_credentials_are_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"ca\.pem cannot be read"):
        Credentials.read(tmp_path)


def test_credentials_that_are_not_pem_are_named(authority: Authority, tmp_path: Path) -> None:
    folder = authority.issue_identity(tmp_path / "broken", tls.CONTROLLER)
    (folder / "key.pem").write_bytes(b"")
    with pytest.raises(CredentialsError, match=r"key\.pem is not PEM"):
        Credentials.read(folder)


def test_keys_do_not_show(controller: Credentials) -> None:
    assert "BEGIN" not in repr(controller)
