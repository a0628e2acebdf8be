# SPDX-License-Identifier: MIT
"""FileAuthority keeps contracts.authority.Authority: a CA of our own in the secrets folder.

Key and certificate of the CA are one file, which is linked into place whole: whoever comes second takes the first one's.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labvirt.errors import DriverError
from labvirt.system import files

CA_DAYS = 3652
"""Ten years: as long as a lab's terminals keep it pinned."""
DISPLAY_DAYS = 397
"""Longer than any run; what clients accept at most for a server's certificate (CA/Browser Forum, SC31)."""
_SKEW = dt.timedelta(days=1)
"""Terminals' clocks may be behind."""

_CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "LabVirt display authority")])


class FileAuthority:
    """`folder` is secrets/ of the state folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder.absolute() / "display-ca.pem"

    def ca_pem(self) -> str:
        with _translated("read", str(self._file)):
            return _pem(self._load()[1])

    def issue(self, folder: Path, *, name: str, address: IPv4Address, uid: int | None) -> None:
        with _translated("issue", name):
            ca_key, ca = self._load()
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = (
                _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(), DISPLAY_DAYS)
                .issuer_name(ca.subject)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(address)]), critical=False)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
                .sign(ca_key, hashes.SHA256())
            )
            # PRIVILEGE: CAP_CHOWN when a uid is given: the run's own folder and three files made here.
            files.private_folder(folder, owner=uid)
            for file, text, mode in (
                ("ca-cert.pem", _pem(ca), 0o644),
                ("server-cert.pem", _pem(certificate), 0o644),
                ("server-key.pem", _secret_pem(key), 0o600),
            ):
                files.write_atomic(folder / file, text, mode=mode, owner=uid)

    def _load(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """Key and certificate of the authority, made now if there is none."""
        if not self._file.exists():
            self._make()
        raw = self._file.read_bytes()
        key = load_pem_private_key(raw, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the key is of another kind")
        return key, x509.load_pem_x509_certificate(raw)

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_CA_NAME, key.public_key(), CA_DAYS)
            .issuer_name(_CA_NAME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_may_sign_certificates(), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        files.private_folder(self._file.parent)
        beside = self._file.with_name(f".{self._file.name}.{secrets.token_hex(8)}")
        files.write_atomic(beside, _secret_pem(key) + _pem(certificate), mode=0o600)
        try:
            with contextlib.suppress(FileExistsError):  # somebody was first: theirs counts
                os.link(beside, self._file)
            files.sync_folder(self._file.parent)
        finally:
            beside.unlink(missing_ok=True)


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _may_sign_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _secret_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@contextlib.contextmanager
def _translated(operation: str, subject: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise DriverError(
            f"The display authority could not {operation} {subject}: {error}.",
            operation=operation,
            subject=subject,
            hint="Look at space and rights of the secrets folder. Never edit the files in it; restore them from a backup.",
        ) from error
