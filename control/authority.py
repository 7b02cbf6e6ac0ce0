# SPDX-License-Identifier: Apache-2.0
"""The site's certificate authority: ECDSA P-256, made at the controller's first start."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from control.errors import InvalidRequestError, StartError
from moorline.tls import CA_FILE, CERTIFICATE_FILE, CONTROLLER, KEY_FILE, Identity, operator

CA_KEY_FILE: Final = "ca.key"
_AUTHORITY_LIFE: Final = timedelta(days=20 * 365)
_LIFE: Final = timedelta(days=10 * 365)
_SKEW: Final = timedelta(days=1)
"""Certificates hold from a day before: clocks of nodes need not agree when they join."""

_MAX_REQUEST: Final = 8192
"""Octets of a certificate request; one for P-256 has some 300."""

_USAGES: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


class Authority:
    """Signs certificates that bind keys to identities."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def load_or_make(cls, folder: Path) -> Authority:
        """Take up ``ca.pem`` and ``ca.key`` in ``folder``, or make them; raises :class:`StartError`."""
        certificate_path, key_path = folder / CA_FILE, folder / CA_KEY_FILE
        if not certificate_path.exists() and not key_path.exists():
            authority = cls._make()
            write_private(key_path, _pem_key(authority._key))
            write_private(certificate_path, _pem(authority.certificate))
            return authority
        try:
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise StartError(
                f"authority in {folder} cannot be read ({error}): restore {CA_FILE} and {CA_KEY_FILE}"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise StartError(f"{key_path} is not the key of {certificate_path}: restore both together")
        return cls(certificate, key)

    @classmethod
    def _make(cls) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Moorline authority")])
        only_signs = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(name, name, key.public_key(), _AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(only_signs, critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @property
    def der(self) -> bytes:
        """The authority's own certificate, DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def sign_request(self, request_der: bytes, identity: Identity) -> bytes:
        """A certificate (DER) for the key in a PKCS #10 request; of the request, nothing but its key counts.

        Raises:
            InvalidRequestError: it is none, its signature is wrong, or its key is not on P-256.
        """
        try:
            if len(request_der) > _MAX_REQUEST:
                raise ValueError(f"it has {len(request_der)} octets")
            request = x509.load_der_x509_csr(request_der)
            key = request.public_key()
            signed = request.is_signature_valid
        except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise InvalidRequestError(
                f"certificate request of {identity.uri} cannot be read ({error}): send PKCS #10 in DER"
            ) from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise InvalidRequestError(f"key of {identity.uri} is not on P-256: make an ECDSA P-256 key")
        if not signed:
            raise InvalidRequestError(
                f"certificate request of {identity.uri} is not signed with its own key: make it anew"
            )
        return self._sign(key, identity).public_bytes(serialization.Encoding.DER)

    def write_credentials(self, folder: Path, identity: Identity) -> None:
        """Make a key and a certificate for ``identity`` in ``folder``, unless there are some of ours."""
        ours = _pem(self.certificate)
        authority_path = folder / CA_FILE
        if authority_path.exists() and authority_path.read_bytes() == ours and (folder / KEY_FILE).exists():
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(folder / KEY_FILE, _pem_key(key))
        write_private(folder / CERTIFICATE_FILE, _pem(self._sign(key.public_key(), identity)))
        write_private(authority_path, ours)

    def _sign(self, key: ec.EllipticCurvePublicKey, identity: Identity) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (identity.name or "controller")[:64])])
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity.uri)]
        if identity.dns is not None:
            names.append(x509.DNSName(identity.dns))
        return (
            _builder(subject, self.certificate.subject, key, _LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_USAGES, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def make_all(state_dir: Path, credentials_dir: Path, operators: Sequence[str]) -> Authority:
    """The authority of ``state_dir``, the controller's credentials, and those of ``operators``."""
    authority = Authority.load_or_make(state_dir)
    authority.write_credentials(credentials_dir, CONTROLLER)
    for name in operators:
        authority.write_credentials(state_dir / "operators" / name, operator(name))
    return authority


def write_private(path: Path, content: bytes) -> None:
    """Put ``content`` into a file that only its owner reads, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
