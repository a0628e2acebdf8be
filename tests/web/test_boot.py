# SPDX-License-Identifier: MIT
"""GET /boot/NAME: what firmware, boot loaders and the kiosk's initial file system ask for, each in its own way."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest

from labvirt.disks.boot_folder import SiteKiosk
from labvirt.domain.kiosk import NEEDED
from labvirt.errors import InvalidInput
from labvirt.web.boot import Span, span_of
from tests.fakes import kiosk

from .conftest import Site

IMAGE = kiosk.contents()["kiosk.squashfs"]


@pytest.fixture
def booting(site: Site) -> Site:
    """A site whose kiosk was built."""
    kiosk.install(folder_of(site))
    return site


def folder_of(site: Site) -> Path:
    assert isinstance(site.ports.kiosk, SiteKiosk)
    return site.ports.kiosk._site


def test_every_file_comes_whole_to_somebody_without_a_sign_in(booting: Site) -> None:
    client = booting.client()
    for name in NEEDED:
        answer = client.get(f"/boot/{name}")
        assert (answer.status_code, answer.content) == (200, kiosk.contents()[name])
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        again = client.get(f"/boot/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_grub_with_two_slashes_and_uefi_with_head(booting: Site) -> None:
    client = booting.client()
    assert client.request("GET", f"{booting.url}//boot//vmlinuz").content == kiosk.contents()["vmlinuz"]
    head = client.head("/boot/kiosk.squashfs")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(IMAGE)))


def test_a_part_of_a_file(booting: Site) -> None:
    client = booting.client()

    def part(wanted: str, **more: str) -> httpx.Response:
        return client.get("/boot/kiosk.squashfs", headers={"Range": wanted, **more})

    middle = part("bytes=1000-300999")
    assert (middle.status_code, middle.content) == (206, IMAGE[1000:301000])
    assert middle.headers["content-range"] == f"bytes 1000-300999/{len(IMAGE)}"
    assert part("bytes=-7").content == IMAGE[-7:]
    assert part("bytes=5-").content == IMAGE[5:]
    beyond = part(f"bytes={len(IMAGE)}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(IMAGE)}")
    # Of another version than the asker has a part of: the whole file (RFC 9110, 13.1.5).
    assert part("bytes=0-9", **{"If-Range": '"other"'}).status_code == 200
    assert part("bytes=0-9", **{"If-Range": middle.headers["etag"]}).status_code == 206


@pytest.mark.parametrize("name", ["revocations.efi", "%2e%2e/labvirt.db", "..%2flabvirt.db", "", "one/vmlinuz", "a" * 900])
def test_nothing_but_the_kiosks_own_files(booting: Site, name: str) -> None:
    client = booting.client()
    answer = client.get(f"{booting.url}/boot/{name}")
    assert answer.status_code == 404
    assert b"Traceback" not in answer.content
    assert client.get("/boot/core.0").status_code == 200


def test_only_get_and_head(booting: Site) -> None:
    client = booting.client()
    refused = client.post("/boot/core.0")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert client.get("/boot/core.0").status_code == 200


def test_the_menu_and_the_manifest_speak_of_the_same_image(booting: Site) -> None:
    client = booting.client()
    sha256 = hashlib.sha256(IMAGE).hexdigest()
    assert client.get("/boot/manifest.json").json()["files"]["kiosk.squashfs"] == {"size": len(IMAGE), "sha256": sha256}
    for place in ("/boot/grub/grub.cfg", "/grub/grub.cfg"):
        menu = client.get(place).text
        assert f"labvirt.url={booting.url}/ " in menu
        assert f"labvirt.sha256={sha256} " in menu


def test_before_the_kiosk_is_built_there_is_nothing_and_then_the_newest(site: Site) -> None:
    client = site.client()
    for name in ("core.0", "manifest.json", "grub/grub.cfg"):
        assert client.get(f"/boot/{name}").status_code == 404
    for version in ("one", "two"):
        kiosk.install(folder_of(site), version)
        assert client.get("/boot/core.0").content == kiosk.contents(version)["core.0"]


def test_a_kiosk_that_is_not_whole_is_said_and_not_sent(booting: Site) -> None:
    client = booting.client()
    assert client.get("/boot/core.0").status_code == 200
    kiosk.install(folder_of(booting), "two")
    (folder_of(booting) / "two" / "vmlinuz").unlink()
    answer = client.get("/boot/core.0")
    assert answer.status_code >= 500
    assert "is not whole" in answer.text


@pytest.mark.parametrize(
    "wanted, span",
    [
        ("", None),
        ("bytes=0-0", Span(first=0, end=1)),
        ("bytes=0-999", Span(first=0, end=10)),
        ("bytes=9-", Span(first=9, end=10)),
        ("bytes=-3", Span(first=7, end=10)),
        ("bytes=-99", Span(first=0, end=10)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=", None),
    ],
)
def test_a_range_is_read_as_rfc_9110_says(wanted: str, span: Span | None) -> None:
    assert span_of(wanted, 10) == span


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_without_a_byte_of_the_file(wanted: str) -> None:
    with pytest.raises(InvalidInput):
        span_of(wanted, 10)


def test_headers_are_spelt_as_grub_knows_them(booting: Site) -> None:
    with booting.raw(b"GET //boot//core.0 HTTP/1.1\r\nHost: 10.77.0.1\r\nUser-Agent: GRUB 2.12\r\n\r\n") as connection:
        said = connection.recv(4096)
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"\r\nContent-Length: {len(kiosk.contents()['core.0'])}\r\n".encode() in said
