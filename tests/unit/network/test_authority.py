# SPDX-License-Identifier: MIT
"""Certificates of displays: what a viewer that pinned the CA believes, and what it does not."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import threading
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509

from labvirt.errors import DriverError
from labvirt.network.authority import FileAuthority

GATEWAY = IPv4Address("10.77.0.1")


def handshake(folder: Path, ca: str, name: str) -> None:
    """A server with the files of `folder` and a viewer that believes `ca` only; raises ssl.SSLError when it does not."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
    viewer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    viewer.load_verify_locations(cadata=ca)
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(10)
        other.settimeout(10)

        def serve() -> None:
            try:
                server.wrap_socket(one, server_side=True).close()
            except (ssl.SSLError, OSError):
                one.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            viewer.wrap_socket(other, server_hostname=name).close()
        finally:
            other.close()
            thread.join(10)


def test_a_viewer_that_pinned_the_authority_believes_the_display_by_address_and_name(tmp_path: Path) -> None:
    authority = FileAuthority(tmp_path / "secrets")
    authority.issue(tmp_path / "tls", name="lab-a-07", address=GATEWAY, uid=None)
    for name in (str(GATEWAY), "lab-a-07"):
        handshake(tmp_path / "tls", authority.ca_pem(), name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path / "tls", authority.ca_pem(), "10.77.0.2")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path / "tls", FileAuthority(tmp_path / "other").ca_pem(), str(GATEWAY))
    certificate = x509.load_pem_x509_certificate((tmp_path / "tls/server-cert.pem").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=lab-a-07"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(str(GATEWAY))]
    assert (tmp_path / "tls/ca-cert.pem").read_text() == authority.ca_pem()


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        authority = FileAuthority(tmp_path / "secrets")
        authority.issue(tmp_path / "tls", name="lab-a-07", address=GATEWAY, uid=None)
    finally:
        os.umask(old)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()] == [0o600]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "tls/server-key.pem").stat().st_mode & 0o777 == 0o600


def test_many_first_users_at_once_get_one_authority(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(FileAuthority(tmp_path / "secrets").ca_pem())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1
    assert len(list((tmp_path / "secrets").iterdir())) == 1


def test_a_damaged_authority_is_said_and_never_replaced(tmp_path: Path) -> None:
    FileAuthority(tmp_path).ca_pem()
    (file,) = tmp_path.iterdir()
    file.write_text("nonsense")
    with pytest.raises(DriverError, match="could not"):
        FileAuthority(tmp_path).ca_pem()
    assert file.read_text() == "nonsense"


@pytest.mark.real
def test_as_root_the_files_belong_to_the_guests_user(tmp_path: Path) -> None:
    FileAuthority(tmp_path / "secrets").issue(tmp_path / "tls", name="lab-a-07", address=GATEWAY, uid=12345)
    assert {path.stat().st_uid for path in (tmp_path / "tls", *(tmp_path / "tls").iterdir())} == {12345}
    assert (tmp_path / "secrets").stat().st_uid == 0
