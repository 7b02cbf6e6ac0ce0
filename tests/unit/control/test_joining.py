# SPDX-License-Identifier: Apache-2.0
"""Join tokens and certificates: who gets in, and as whom."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from control.authority import Authority
from control.errors import InvalidRequestError, StartError
from control.southbound.contract import Contract
from moorline.api.v1 import moorline_pb2 as pb
from moorline.api.v1 import moorline_pb2_grpc as pb_grpc
from moorline.tls import CONTROLLER, Credentials, Identity, channel_options, node
from tests.unit.control.fake_node import FakeNode
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
NOT_VALID = "the join token for node one is not valid, used or expired: create another one"


def pem(der: str) -> bytes:
    return x509.load_der_x509_certificate(base64.b64decode(der)).public_bytes(serialization.Encoding.PEM)


def newcomer(site: Site, name: str) -> FakeNode:
    return FakeNode(name, Contract.load(site.config.p4info).p4info)


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def test_a_token_holds_once(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        token = await site.token("one")
        await newcomer(site, "one").join(token["controller"], token["secret"].encode(), pem(token["ca"]))
        with refused(UNAUTHENTICATED, NOT_VALID):
            await newcomer(site, "one").join(token["controller"], token["secret"].encode(), pem(token["ca"]))


async def test_tokens_that_do_not_hold_all_look_alike(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        token = await site.token("one")
        brief = await site.admin.CreateJoinToken(pb.CreateJoinTokenRequest(node="two", ttl_seconds=1))
        entry = await site.controller.store.get("token/two")
        assert entry is not None
        assert json.loads(entry.value)["expires"] == brief.expires_ns
        expired = json.loads(base64.urlsafe_b64decode(brief.token))
        await site.until(lambda: _now_ns() > brief.expires_ns)
        for name, secret in (("one", "guessed"), ("two", token["secret"]), ("two", expired["secret"])):
            with refused(UNAUTHENTICATED, NOT_VALID.replace("node one", f"node {name}")):
                await newcomer(site, name).join(token["controller"], secret.encode(), pem(token["ca"]))
        assert (await site.admin.ListNodes(pb.ListNodesRequest())).nodes == []


async def test_a_later_token_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        first, second = await site.token("one"), await site.token("one")
        with refused(UNAUTHENTICATED, NOT_VALID):
            await newcomer(site, "one").join(first["controller"], first["secret"].encode(), pem(first["ca"]))
        await newcomer(site, "one").join(second["controller"], second["secret"].encode(), pem(second["ca"]))


async def test_a_token_outlives_a_restart_and_the_store_does_not_know_its_secret(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        token = await site.token("one")
        entries = (await site.controller.store.scan("")).entries
        assert not any(token["secret"].encode() in entry.value for entry in entries)
        await site.stop()
        await site.start()
        await newcomer(site, "one").join(token["controller"], token["secret"].encode(), pem(token["ca"]))


async def test_bad_requests_leave_the_token_good(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        token = await site.token("one")
        credentials = grpc.ssl_channel_credentials(pem(token["ca"]))
        async with grpc.aio.secure_channel(
            token["controller"], credentials, channel_options(CONTROLLER)
        ) as channel:
            stub = pb_grpc.JoiningStub(channel)
            for name, bad, why in (
                ("one", b"", "cannot be read"),
                ("one", b"\x30" * 9000, "has 9000 octets"),
                ("../one", request(ec.generate_private_key(ec.SECP256R1())), "is no node name"),
                ("one", request(ec.generate_private_key(ec.SECP384R1())), "is not on P-256"),
            ):
                join = pb.JoinRequest(
                    node=name, token_secret=token["secret"].encode(), certificate_request=bad
                )
                with refused(grpc.StatusCode.INVALID_ARGUMENT, why):
                    await stub.Join(join)
        await newcomer(site, "one").join(token["controller"], token["secret"].encode(), pem(token["ca"]))


async def test_bad_tokens_are_not_made_and_good_ones_by_operators_only(
    tmp_path: Path,
) -> None:
    async with Site(tmp_path) as site:
        one = await site.add_node("one")
        for name, ttl, why in (("a b", 0, "is no node name"), ("two", 1 << 31, "is too long-lived")):
            with refused(grpc.StatusCode.INVALID_ARGUMENT, why):
                await site.admin.CreateJoinToken(pb.CreateJoinTokenRequest(node=name, ttl_seconds=ttl))
        with refused(grpc.StatusCode.PERMISSION_DENIED, "node one may not do this"):
            stub = one.stubs.NodesStub(one.channel)
            await stub.CreateJoinToken(pb.CreateJoinTokenRequest(node="two"))


# ---- TLS ---------------------------------------------------------------------------------------------------


def credentials_of(authority: Authority, identity: Identity, folder: Path) -> Credentials:
    authority.write_credentials(folder, identity)
    return Credentials.read(folder)


async def status_of_call(site: Site, credentials: grpc.ChannelCredentials) -> grpc.StatusCode:
    options = [*channel_options(CONTROLLER), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(site.target, credentials, options) as channel:
        try:
            await pb_grpc.NamingStub(channel).ListServices(pb.ListServicesRequest(), timeout=5)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


async def test_only_certificates_of_this_site_that_name_somebody_are_let_in(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        ours = Authority.load_or_make(site.config.state_dir)
        folder = tmp_path / "foreign"
        folder.mkdir()
        foreign = credentials_of(Authority.load_or_make(folder), node("one"), folder / "one")
        mixed = Credentials((site.config.state_dir / "ca.pem").read_bytes(), foreign.certificate, foreign.key)
        controller = Credentials.read(site.config.credentials_dir)
        admin = Credentials.read(site.config.state_dir / "operators" / "admin")
        stranger = credentials_of(ours, node("stranger"), tmp_path / "stranger")
        unavailable = grpc.StatusCode.UNAVAILABLE
        assert await status_of_call(site, admin.for_channel()) is grpc.StatusCode.OK
        assert await status_of_call(site, mixed.for_channel()) is unavailable
        assert await status_of_call(site, grpc.ssl_channel_credentials(admin.authority)) is unavailable
        assert await status_of_call(site, controller.for_channel()) is UNAUTHENTICATED
        assert await status_of_call(site, stranger.for_channel()) is UNAUTHENTICATED


async def test_a_removed_node_is_let_in_no_more_until_it_joins_again(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one = await site.add_node("one")
        assert await status_of_call(site, one.credentials.for_channel()) is grpc.StatusCode.OK
        await site.admin.RemoveNode(pb.RemoveNodeRequest(name="one"))
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "node one was removed: it has to join again"):
            await one.ended()
        assert await status_of_call(site, one.credentials.for_channel()) is UNAUTHENTICATED
        await site.join(one)
        assert await status_of_call(site, one.credentials.for_channel()) is grpc.StatusCode.OK


async def test_the_controller_programs_no_one_who_only_says_to_be_the_node(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        await two.plane.stop()
        await site.until(lambda: not site.plane("two").ready)
        genuine, two.credentials = two.credentials, one.credentials
        await two.start(two.addresses[0])
        await site.until(lambda: "fails" in site.plane("two").problem)
        assert not two.plane.writes
        await two.plane.stop()
        two.credentials = genuine
        await two.start(two.addresses[0])
        await site.converged("two")


# ---- the authority -----------------------------------------------------------------------------------------


def test_an_authority_is_kept_and_its_keys_are_its_owners_alone(tmp_path: Path) -> None:
    first = Authority.load_or_make(tmp_path)
    assert Authority.load_or_make(tmp_path).der == first.der
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("name", "content"), [("ca.key", b"rubbish"), ("ca.pem", b""), ("ca.pem", None)])
def test_a_damaged_authority_is_refused(name: str, content: bytes | None, tmp_path: Path) -> None:
    Authority.load_or_make(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StartError, match=r"cannot be read .*: restore ca.pem and ca.key"):
        Authority.load_or_make(tmp_path)


def test_an_authority_with_anothers_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    Authority.load_or_make(tmp_path)
    Authority.load_or_make(tmp_path / "other")
    (tmp_path / "other" / "ca.key").replace(tmp_path / "ca.key")
    with pytest.raises(StartError, match="is not the key of"):
        Authority.load_or_make(tmp_path)


def test_of_a_request_only_the_key_counts(tmp_path: Path) -> None:
    authority = Authority.load_or_make(tmp_path)
    key = ec.generate_private_key(ec.SECP256R1())
    asked = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "admin")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier("moorline://operator/admin")]), False
        )
        .sign(key, hashes.SHA256())
    )
    signed = x509.load_der_x509_certificate(
        authority.sign_request(asked.public_bytes(serialization.Encoding.DER), node("one"))
    )
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["moorline://node/one"]
    assert not signed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert signed.public_key() == key.public_key()


def test_a_request_that_its_key_did_not_sign_is_refused(tmp_path: Path) -> None:
    der = bytearray(request(ec.generate_private_key(ec.SECP256R1())))
    der[-1] ^= 1
    with pytest.raises(InvalidRequestError):
        Authority.load_or_make(tmp_path).sign_request(bytes(der), node("one"))


def _now_ns() -> int:
    import time

    return time.time_ns()
