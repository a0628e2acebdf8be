# SPDX-License-Identifier: MIT
"""labvirt kiosk build, show, stick: the operating system of the terminals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from labvirt.cli import words
from labvirt.cli.amounts import size
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.kiosk import Kiosk
from labvirt.domain.stick import STICK_BYTES


@click.group("kiosk", cls=Noun)
def kiosk() -> None:
    """The kiosk: what a terminal boots from the network."""


def _shape(found: Kiosk, folder: Path) -> dict[str, Any]:
    return {
        "version": found.version,
        "kernel": found.kernel,
        "built_at": found.built_at,
        "ca": found.ca or None,
        "size_bytes": found.size_bytes,
        "folder": folder,
        "files": found.files,
    }


def _lines(found: Kiosk, folder: Path) -> list[str]:
    return [
        f"{found.version}, Linux {found.kernel}, built {found.built_at}, {size(found.size_bytes)} in {folder}:",
        *(f"  {file.name:16} {size(file.size_bytes):>10}  {file.sha256}" for file in found.files),
    ]


@kiosk.command("build")
@click.option(
    "--out", type=words.FILE, metavar="DIR", help="Put it there, and change nothing in the state folder. What is there is replaced."
)
@click.option("--refresh", is_flag=True, help="With Debian's newest packages, instead of those of the last build.")
@pass_session
def build_kiosk(session: Session, /, out: Path | None, refresh: bool) -> None:
    """Build the kiosk from Debian 13; terminals that start from now on get it. Minutes; seconds when nothing changed.

    \b
    Needs: apt-get install --no-install-recommends mmdebstrap squashfs-tools zstd kmod xz-utils
    """
    session.say("Building or reusing the kiosk ...")
    made = session.app.build_kiosk(session.state, out, refresh)
    folder = out or session.state / "kiosk" / made.version
    session.show(_shape(made, folder), _lines(made, folder))


@kiosk.command("show")
@pass_session
def show_kiosk(session: Session) -> None:
    """What terminals boot now: version, files, sizes."""
    found = session.app.kiosk(session.state)
    folder = session.state / "kiosk" / found.version
    session.show(_shape(found, folder), _lines(found, folder))


@kiosk.command("stick")
@click.option("--url", type=words.CONTROLLER, required=True, metavar="URL", help="The controller, as those PCs reach it: http://HOST:PORT/")
@click.option("--out", type=words.FILE, required=True, metavar="FILE", help="The stick's image: a new file of 515 MiB.")
@click.option(
    "--words", "kernel_words", type=words.KERNEL_WORDS, default="", metavar="TEXT", help="More words for the kernel's command line."
)
@pass_session
def make_stick(session: Session, /, url: str, out: Path, kernel_words: str) -> None:
    """Make the image of a USB stick for PCs that cannot start from the network: BIOS and UEFI, also with Secure Boot.

    It keeps the kiosk, and fetches another only when the controller has one. Write it with: dd if=FILE of=/dev/sdX bs=4M conv=fsync

    \b
    Needs: apt-get install --no-install-recommends fdisk dosfstools mtools e2fsprogs
    """
    session.say("Making the stick ...")
    found = session.app.make_stick(session.state, url, out, kernel_words)
    shape = {"version": found.version, "url": url, "file": out, "size_bytes": STICK_BYTES}
    session.show(
        shape,
        [f"{out}: {size(STICK_BYTES)}, starts the kiosk {found.version} and asks {url}.", f"dd if={out} of=/dev/sdX bs=4M conv=fsync"],
    )
