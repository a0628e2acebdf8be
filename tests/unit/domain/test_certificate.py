# SPDX-License-Identifier: MIT
"""Fingerprints of certificates, out of text that a guest gives."""

from __future__ import annotations

import base64
import hashlib
import ssl
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.domain.certificate import LONGEST_BYTES, fingerprint
from labvirt.network.authority import FileAuthority

DER = b"\x30\x82\x01\x00" + bytes(256)


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def test_it_is_the_digest_of_the_first_certificate() -> None:
    expected = hashlib.sha256(DER).hexdigest()
    assert fingerprint(pem(DER)) == expected
    assert fingerprint(b"words before\r\n" + pem(DER).replace(b"\n", b"\r\n") + pem(b"\x30\x00")) == expected
    assert fingerprint(pem(b"\x30\x02ab")) == hashlib.sha256(b"\x30\x02ab").hexdigest()


def test_a_real_certificate(tmp_path: Path) -> None:
    FileAuthority(tmp_path).issue(tmp_path / "tls", name="lab-a-01", address=IPv4Address("10.77.0.1"), uid=None)
    text = (tmp_path / "tls" / "server-cert.pem").read_text()
    assert fingerprint(text.encode()) == hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\x00",
        pem(b""),
        pem(b"\x31" + DER[1:]),
        pem(DER + b"x"),
        pem(DER[:-1]),
        pem(b"\x30\x80" + bytes(20)),
        pem(b"\x30\xff" + bytes(200)),
        pem(DER).replace(b"A", b"=", 3),
        pem(DER).replace(b"-----END", b"--END"),
        b"x" * LONGEST_BYTES + pem(DER),
    ],
)
def test_what_is_no_certificate_has_none(text: bytes) -> None:
    assert fingerprint(text) is None
