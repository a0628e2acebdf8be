# SPDX-License-Identifier: MIT
"""What a stick is told: the controller's URL, the kernel's words, its menu and its names."""

from __future__ import annotations

import uuid

import pytest

from labvirt.domain import stick
from labvirt.domain.kiosk import BootFile
from labvirt.errors import InvalidInput

CACHE = uuid.UUID(int=7)


@pytest.mark.parametrize(
    "text,url",
    [
        ("http://10.77.0.1:8080/", "http://10.77.0.1:8080/"),
        ("http://labvirt.school.example", "http://labvirt.school.example/"),
        ("HTTP://Lab:80", "http://lab:80/"),
    ],
)
def test_a_controller_is_host_and_port(text: str, url: str) -> None:
    assert stick.controller_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "10.77.0.1:8080",
            "https://10.77.0.1/",
            "http://",
            "http://a b/",
            "http://a:99999/",
            "http://a:0/",
            "http://a:/",
            "http://a/boot",
        ),
        *(
            "http://a/?q",
            "http://user@a/",
            "http://a;reboot/",
            "http://$(x)/",
            'http://a"/',
            "http://a\x00/",
            "http://[::1]:80/",
            "http://-a/",
        ),
    ],
)
def test_what_is_more_or_less_than_that_is_refused(text: str) -> None:
    assert stick.controller_url("http://a:1/") == "http://a:1/"
    with pytest.raises(InvalidInput):
        stick.controller_url(text)


@pytest.mark.parametrize(
    "text", ["; halt", "a'b", '"', "$x", "a\nb", "labvirt.url=http://x/", "quiet ip=10.0.0.1", "rdinit=/bin/sh", "a " * 300]
)
def test_words_for_the_kernel_change_nothing_of_the_menu(text: str) -> None:
    assert stick.kernel_words(" nomodeset  console=ttyS0,115200") == "nomodeset console=ttyS0,115200"
    with pytest.raises(InvalidInput):
        stick.kernel_words(text)


def test_the_menu_names_the_controller_and_leaves_the_image_to_it() -> None:
    told = stick.stick_menu("http://10.77.0.1:8080/", CACHE)
    assert f" labvirt.url=http://10.77.0.1:8080/ labvirt.disk=UUID={CACHE} ip=dhcp quiet;" in told
    assert "labvirt.image" not in told
    assert "labvirt.sha256" not in told
    assert "for folder in boot boot.new boot.old; do" in told
    assert told.rstrip().endswith("reboot")
    assert "quiet nomodeset;" in stick.stick_menu("http://10.77.0.1:8080/", CACHE, "nomodeset")


def test_partitions_follow_each_other_within_the_stick() -> None:
    place = stick.START_MIB
    for each in stick.PARTITIONS:
        assert each.first_mib == place
        place += each.size_mib
    assert (place + stick.END_MIB) * stick.MIB == stick.STICK_BYTES


def test_equal_contents_have_equal_names() -> None:
    files = (BootFile(name="vmlinuz", size_bytes=1, sha256="ab" * 32),)
    one = stick.identity("http://a/", files)
    assert stick.identity("http://a/", files) == one
    assert stick.identity("http://b/", files) != one
    assert len({one.disk, one.cache, *one.partitions.values()}) == 2 + len(stick.PARTITIONS)
    assert len(one.efi_volume) == 8
