# SPDX-License-Identifier: MIT
"""The tree without anything that only one computer may have: secrets, names, identities, passwords."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from desktop_recipe import USER

SECRETS = (
    # Made while packages were installed: they would be the same at every seat.
    "etc/ssl/private/ssl-cert-snakeoil.key",
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "etc/xrdp/rsakeys.ini",
    "etc/xrdp/cert.pem",
    "etc/xrdp/key.pem",
    "etc/ssh/ssh_host_*",
    "etc/hostname",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/lib/dbus/machine-id",
)
REFUSE = ("var/log/*", "var/cache/apt/*", "var/cache/debconf/*-old", "var/lib/dpkg/*-old", "etc/*-", "tmp/*", "run/*")


def seal(tree: Path, root: str) -> None:
    """No secret, no name and no identity of the machine that built it is left; the seat's are made in memory at each start.

    `root`: the hash of root's password; empty: nobody can sign in as root.
    """
    for pattern in (*SECRETS, *REFUSE):
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for broken in (tree / "etc/ssl/certs").iterdir():
        if broken.is_symlink() and "snakeoil" in os.readlink(broken):
            broken.unlink()
    (tree / "etc/machine-id").write_text("")
    for name in ("cert.pem", "key.pem", "rsakeys.ini"):
        link(tree / "etc/xrdp" / name, f"/run/labvirt/xrdp/{name}")
    link(tree / "usr/share/backgrounds/xfce/xfce-x.svg", "/run/labvirt/background.png")
    shadow = tree / "etc/shadow"
    hashes = {"root": root or "!", USER: "!"}
    fields = [line.split(":") for line in shadow.read_text().splitlines()]
    lines = [":".join([each[0], hashes.get(each[0], each[1]), *each[2:]]) for each in fields]
    shadow.write_text("\n".join(lines) + "\n")


def link(place: Path, to: str) -> None:
    """A symbolic link, whatever was there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(to)
