# SPDX-License-Identifier: MIT
"""Which Debian packages go in, and their files: as an earlier build in this cache recorded them, else as apt says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from labvirt_recipe import RecipeError
from labvirt_recipe.complete import put, write_json
from labvirt_recipe.content import file_sha256
from labvirt_recipe.program import run

KERNEL_META = "linux-image-cloud-amd64"
TOOLS = ("busybox-static", "mtools", "syslinux", "syslinux-common")
AGENT = "qemu-guest-agent"
AGENT_LIBRARIES = ("libc6", "libglib2.0-0t64", "libglib2.0-0", "libpcre2-8-0", "libnuma1", "libudev1", "liburing2")
"""Where its libraries are, by the names of Debian 12 and 13; one that this release does not have is passed over."""

Packages = dict[str, dict[str, str]]
"""Name -> version, filename, sha256."""

FIELDS = {"version", "filename", "sha256"}


def ask_apt() -> Packages:
    """The packages apt would give now. Reads apt's lists, downloads nothing."""
    advice = "run `apt-get update` (as root) and check that the Debian archive for amd64 is among apt's sources"
    try:
        depends = run("apt-cache", "depends", KERNEL_META).decode()
        kernel = re.search(r"^\s+Depends: (linux-image-\S+)$", depends, re.MULTILINE)
        if kernel is None:
            raise RecipeError(f"apt does not say which kernel the package {KERNEL_META} stands for: {advice}.")
        known = set(run("apt-cache", "pkgnames", "lib").decode().split())
        libraries = [name for name in AGENT_LIBRARIES if name in known]
        listing = run("apt-cache", "show", "--no-all-versions", kernel[1], *TOOLS, AGENT, *libraries).decode()
    except RecipeError as error:
        if "failed with status" in str(error):
            raise RecipeError(f"apt does not know all of {', '.join((KERNEL_META, *TOOLS))}: {advice}.") from error
        raise
    packages = {}
    for stanza in listing.strip().split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Filename|SHA256): (.+)$", stanza, re.MULTILINE))
        packages[fields["Package"]] = {
            "version": fields["Version"],
            "filename": Path(fields["Filename"]).name,
            "sha256": fields["SHA256"],
        }
    return packages


def pinned_packages(cache: Path) -> Packages | None:
    """The packages an earlier build in this cache used, or None. Keeps the key computable in milliseconds, offline."""
    try:
        packages: Packages = json.loads((cache / "tiny-packages.json").read_text())
        complete = all(set(package) >= FIELDS for package in packages.values())
    except (OSError, ValueError, AttributeError, TypeError):
        return None  # No record, or a damaged one: apt is asked again and writes a new one.
    return packages if complete and packages else None


def pin(cache: Path, packages: Packages) -> None:
    """The next build in this cache takes the same ones."""
    write_json(cache / "tiny-packages.json", packages)


def known_packages(cache: Path, *, refresh: bool) -> Packages:
    """The cache's record, unless it is of an older recipe that needed less; else what apt says."""
    packages = None if refresh else pinned_packages(cache)
    return packages if packages is not None and {*TOOLS, AGENT} <= set(packages) else ask_apt()


def fetch(packages: Packages, cache: Path, work: Path) -> list[Path]:
    """The packages as files in the cache, each with the checksum apt's signed lists name."""
    store = cache / "debs"
    store.mkdir(parents=True, exist_ok=True)
    files = []
    for name, package in packages.items():
        file = store / package["filename"]
        if not file.is_file() or file_sha256(file) != package["sha256"]:
            folder = work / "download"
            folder.mkdir(exist_ok=True)
            try:
                run("apt-get", "download", f"{name}={package['version']}", cwd=folder)
            except RecipeError as error:
                raise RecipeError(
                    f"The package {name} {package['version']} cannot be downloaded: check the network, run "
                    f"`apt-get update` (as root), then build with --refresh. ({error})"
                ) from error
            (fresh,) = folder.iterdir()
            if file_sha256(fresh) != package["sha256"]:
                raise RecipeError(f"The downloaded package {name} is damaged (wrong SHA-256): run the build again.")
            put(fresh, file)
            fresh.unlink()
        files.append(file)
    return files
