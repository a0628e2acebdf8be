# SPDX-License-Identifier: MIT
"""The system's files and its partition. Runs as root, or as the root of a user namespace: owners and modes are Debian's."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from labvirt_recipe import RecipeError
from labvirt_recipe.content import FORK
from labvirt_recipe.layer import lay_over
from labvirt_recipe.program import run

from desktop_recipe import RECIPE, ROOT
from desktop_recipe.seal import link, seal

MASKED = (
    # They would fill every seat's overlay, or wait for something a lab does not have.
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "tmp.mount",
    "systemd-firstboot.service",
    "systemd-machine-id-commit.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    # NFS 4 needs none of them; they would listen, or wait.
    "rpcbind.service",
    "rpcbind.socket",
    "rpc-statd-notify.service",
    "nfs-blkmap.service",
)
OURS = {
    "labvirt-identity.service": "sysinit.target",
    "labvirt-background.service": "multi-user.target",
    "labvirt-background.path": "multi-user.target",
    "labvirt-home.service": "multi-user.target",
    "labvirt-home-watch.service": "multi-user.target",
}


def dress(tree: Path, settings: dict[str, Any]) -> None:
    """Our own files, units that start and that never do, language and time zone."""
    lay_over(ROOT, tree)
    fork = tree / "usr/lib/labvirt" / FORK.name
    shutil.copyfile(FORK, fork)
    fork.chmod(0o755)
    units = tree / "etc/systemd/system"
    for name in MASKED:
        link(units / name, "/dev/null")
    for name, target in OURS.items():
        link(units / f"{target}.wants" / name, f"/usr/lib/systemd/system/{name}")
    zone = str(settings["timezone"])
    if not (tree / "usr/share/zoneinfo" / zone).is_file() or ".." in zone:
        raise RecipeError(f"Debian knows no time zone {zone!r}: name one of /usr/share/zoneinfo, such as Europe/Prague.")
    link(tree / "etc/localtime", f"/usr/share/zoneinfo/{zone}")
    (tree / "etc/timezone").write_text(f"{zone}\n")
    (tree / "etc/default/locale").write_text(f"LANG={settings['locale']}.UTF-8\n")
    (tree / "etc/hosts").write_text("127.0.0.1\tlocalhost\n::1\t\tlocalhost ip6-localhost ip6-loopback\n")
    link(tree / "etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    (tree / "etc/labvirt").mkdir(exist_ok=True)


def assemble(base: Path, work: Path, size: int, settings: dict[str, Any]) -> None:
    """work/system.ext4 is the system's partition of `size` bytes. work/root-password, where it is there, holds a hash."""
    tree = work / "tree"
    tree.mkdir()
    run("tar", "-xpf", base / "base.tar", "-C", tree, "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*")
    dress(tree, settings)
    secret = work / "root-password"
    seal(tree, secret.read_text().strip() if secret.exists() else "")
    for name in ("etc", "var"):  # ld.so's cache and udev's are fresh: no seat makes them again at each start
        (tree / name / ".updated").touch()
    partition = work / "system.ext4"
    with partition.open("wb") as stream:
        stream.truncate(size)
    # Not lazy: else the kernel of every seat writes the inode tables into its own overlay, 130 MB of zeroes.
    eager = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    run("mkfs.ext4", "-q", "-F", "-L", "labvirt", "-m", "1", "-J", "size=32", "-E", eager, "-d", tree, partition)


def assemble_apart(base: Path, work: Path, size: int, settings: dict[str, Any]) -> None:
    """`assemble`, and nothing of the tree is left over. As an ordinary user: in a namespace where this user is root."""
    argv = [sys.executable, "-I", str(RECIPE / "build.py"), "--assemble", str(base), str(work), str(size), json.dumps(settings)]
    # PRIVILEGE: none is kept; newuidmap gives the namespace the user's own range of /etc/subuid, for files of xrdp and student.
    apart = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--map-auto"]
    run(*apart, *argv)
    run(*apart, "rm", "-rf", work / "tree")
