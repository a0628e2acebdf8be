#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the desktop guest: a Debian 13 with Xfce, xrdp and both agents, as a qcow2 disk that starts with a BIOS or with UEFI.

Debian's packages come by mmdebstrap into a tar file that the cache keeps; the disk is made from it without mounting anything.
Standard library only. README.md says what the guest promises; `packages` and `root/` beside this file are what makes it ours.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).resolve().parent
SUITE = "trixie"
USER = "student"
LOCALES = ("en_US", "es_ES", "fr_FR", "cs_CZ", "ru_RU")
TRANSLATIONS = ("es", "fr", "cs", "ru")
LOADER_PACKAGES = ("grub-common", "grub-pc-bin", "grub-efi-amd64-bin")
GRUB_MODULES = "part_msdos part_gpt ext2 fat normal linux configfile search search_label test echo all_video reboot halt minicmd".split()
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
ENABLED = ("systemd-networkd.service", "systemd-resolved.service", "xrdp.service", "xrdp-sesman.service")
OURS = {
    "labvirt-identity.service": "sysinit.target",
    "labvirt-background.service": "multi-user.target",
    "labvirt-background.path": "multi-user.target",
    "labvirt-home.service": "multi-user.target",
    "labvirt-home-watch.service": "multi-user.target",
}
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
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "mformat": "mtools",
    "mcopy": "mtools",
    "qemu-img": "qemu-utils",
    "tar": "tar",
    "unshare": "util-linux",
}
SECTOR = 512
MIB = 1 << 20
LOADER_START, LOADER_END = MIB, 17 * MIB
"""The partition with the loader for UEFI; the one for the BIOS lies before it, the system behind."""


class RecipeError(Exception):
    """The desktop cannot be built; the message is one sentence that says what to do."""


def default_cache() -> Path:
    """The folder for what can be made again: LABVIRT_CACHE, else the user's cache folder."""
    if chosen := os.environ.get("LABVIRT_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "labvirt"


def search_path() -> str:
    """mkfs.ext4 lies in sbin, which an ordinary user's PATH does not name."""
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"


def run(*argv: str | Path, data: bytes = b"") -> bytes:
    """What a program printed. A missing or failing program becomes a RecipeError with its last words."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": search_path(), "MTOOLS_SKIP_CHECK": "1"}
    try:
        done = subprocess.run([str(word) for word in argv], env=environment, input=data, capture_output=True)
    except FileNotFoundError as error:
        raise RecipeError(missing_programs([str(argv[0])])) from error
    if done.returncode != 0:
        words = (done.stderr.decode(errors="replace").strip() or "it said nothing").splitlines()
        said = next((word for word in words if word.startswith("E:")), words[-1])
        raise RecipeError(f"The program {argv[0]} failed with status {done.returncode}: {said}.")
    return done.stdout


def missing_programs(names: Iterable[str]) -> str:
    packages = " ".join(sorted({PROGRAMS.get(name, name) for name in names}))
    return f"The desktop is built with programs that are missing: install them with `apt-get install --no-install-recommends {packages}`."


def check_programs() -> None:
    """Every program is there. Said before minutes of work."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]
    if absent:
        raise RecipeError(missing_programs(absent))


def file_sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- what goes in, and the key ----------------------------------------------------------------------------------------


def package_list(added: Iterable[str]) -> list[str]:
    """The list beside this file and what the builder asked for, each once."""
    lines = (line.strip() for line in (RECIPE / "packages").read_text().splitlines())
    wanted = [line for line in lines if line and not line.startswith("#")]
    for name in added:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name):
            raise RecipeError(f"{name!r} is no name of a Debian package: see `apt-cache search`.")
    return list(dict.fromkeys([*wanted, *added]))


def password_hash(file: Path | None) -> str:
    """The hash of root's password in this file, as `openssl passwd -6` prints it. A password in clear is refused: it would be no hash."""
    if file is None:
        return ""
    text = file.read_text().strip()
    if not re.fullmatch(r"\$(y|6|5|2b|gy)\$[!-9;-~]+", text):
        raise RecipeError(f"{file} holds no hash of a password: make one with `openssl passwd -6 > {file}`.")
    return text


def mirror_of(text: str) -> str | None:
    """The first archive of Debian's main that a file of apt's sources names."""
    for line in text.splitlines():
        if found := re.match(r"(?:deb\s+(?:\[[^]]*\]\s+)?|URIs:\s*)(https?://\S+?/debian)/?(?:\s|$)", line):
            return found[1]
    return None


def default_mirror() -> str | None:
    """The archive of Debian this machine uses itself; None when its sources name none."""
    folder = Path("/etc/apt")
    for file in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if mirror := mirror_of(file.read_text()):
                return mirror
    return None


def recipe_files() -> list[Path]:
    """What is laid over Debian, and this program; not the README."""
    return [RECIPE / "build.py", RECIPE / "packages", *(file for file in sorted((RECIPE / "root").rglob("*")) if file.is_file())]


def content_key(packages: list[str], settings: dict[str, Any]) -> str:
    """Names an image by what goes into it: our files, the versions of Debian's packages, and the builder's choices."""
    digest = hashlib.sha256()
    for file in recipe_files():
        digest.update(f"{file.relative_to(RECIPE)}\0{file_sha256(file)}\n".encode())
    digest.update("\n".join([*packages, json.dumps(settings, sort_keys=True)]).encode())
    return digest.hexdigest()


# --- Debian's part: two tar files in the cache ------------------------------------------------------------------------


def early_files() -> list[Path]:
    """Those of ours that must lie there before the kernel's initial file system is made."""
    return [file for file in recipe_files() if "initramfs-tools" in file.parts]


def bootstrap(target: Path, *options: str, mirror: str) -> None:
    """Packages of Debian 13 with all they depend on, as a tar file."""
    sources = f"deb {mirror} {SUITE} main\ndeb {mirror} {SUITE}-updates main\ndeb {mirror}-security {SUITE}-security main\n"
    languages = [f"path-include=/usr/share/locale/{name}*/*" for name in TRANSLATIONS]
    without = ["path-exclude=/usr/share/man/*", "path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/locale/*/*"]
    legal = ["path-include=/usr/share/doc/*/copyright"]
    thin = [f"--dpkgopt={option}" for option in (*without, *languages, *legal)]
    no_more = "--aptopt=APT::Install-Recommends false"
    run("mmdebstrap", "--quiet", "--architectures=amd64", no_more, *thin, *options, SUITE, target, "-", data=sources.encode())


def inside(*words: str) -> str:
    """A hook of mmdebstrap: these words, run in the new system. None has a blank or a quote in it."""
    return f'--customize-hook=chroot "$1" {" ".join(words)}'


def base_key(packages: list[str]) -> str:
    """Of everything that Debian's part is made from."""
    early = [f"{file.relative_to(RECIPE)} {file_sha256(file)}" for file in early_files()]
    parts = [SUITE, *packages, *LOADER_PACKAGES, *LOCALES, *early, *ENABLED, USER, "1"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def base(cache: Path, wanted: list[str], *, mirror: str, refresh: bool) -> tuple[Path, list[str]]:
    """The folder with base.tar and loaders.tar, and "NAME VERSION" of each package; from the cache unless `refresh`."""
    folder = cache / f"desktop-base-{base_key(wanted)}"
    with contextlib.suppress(OSError, ValueError):
        if not refresh:
            return folder, [str(each) for each in json.loads((folder / "packages.json").read_text())]
    with tempfile.TemporaryDirectory(prefix="desktop-build-", dir=cache) as temporary:
        made = Path(temporary) / "base"
        made.mkdir()
        early = []
        for file in early_files():
            place = file.relative_to(RECIPE / "root").parent
            early += [f'--essential-hook=mkdir -p "$1/{place}"', f"--essential-hook=copy-in {file} /{place}"]
        hooks = [inside("localedef", "-i", name, "-f", "UTF-8", f"{name}.UTF-8") for name in LOCALES]
        hooks.append(inside("useradd", "--create-home", "--shell", "/bin/bash", "--groups", "audio,video,plugdev", USER))
        hooks.append(inside("systemctl", "enable", *ENABLED))
        # xfdesktop paints this one where nothing else was chosen; the seat's picture takes its name.
        hooks.append(inside("dpkg-divert", "--local", "--rename", "--add", "/usr/share/backgrounds/xfce/xfce-x.svg"))
        told = f'--customize-hook=chroot "$1" dpkg-query -W -f "\\${{Package}} \\${{Version}}\\n" > {made}/packages'
        bootstrap(made / "base.tar", "--variant=minbase", f"--include={','.join(wanted)}", *early, *hooks, told, mirror=mirror)
        bootstrap(made / "loaders.tar", "--variant=extract", f"--include={','.join(LOADER_PACKAGES)}", mirror=mirror)
        packages = sorted((made / "packages").read_text().splitlines())
        (made / "packages.json").write_text(json.dumps([*packages, f"loaders {file_sha256(made / 'loaders.tar')}"]))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(made, folder)
        sync_folder(cache)
    return base(cache, wanted, mirror=mirror, refresh=False)


# --- the tree: runs as root, or as the root of a user namespace -------------------------------------------------------


def link(place: Path, to: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(to)


def lay_over(tree: Path, settings: dict[str, Any]) -> None:
    """Our own files, units that start and that never do, language and time zone."""
    for file in sorted((RECIPE / "root").rglob("*")):
        if file.is_file():
            place = tree / file.relative_to(RECIPE / "root")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            # Not the checkout's mode bits: a copy of the recipe may have lost them.
            place.chmod(0o755 if file.read_bytes().startswith(b"#!") else 0o644)
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


def seal(tree: Path, root: str) -> None:
    """No secret, no name and no identity of the machine that built it is left; the seat's are made in memory at each start."""
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


def assemble(base_folder: Path, work: Path, settings: dict[str, Any]) -> None:
    """work/system.ext4 is the system's partition. Owners and modes are Debian's, so this runs where one is root."""
    tree = work / "tree"
    tree.mkdir()
    run("tar", "-xpf", base_folder / "base.tar", "-C", tree, "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*")
    lay_over(tree, settings)
    secret = work / "root-password"
    seal(tree, secret.read_text().strip() if secret.exists() else "")
    for name in ("etc", "var"):  # ld.so's cache and udev's are fresh: no seat makes them again at each start
        (tree / name / ".updated").touch()
    partition = work / "system.ext4"
    with partition.open("wb") as stream:
        stream.truncate(int(settings["size_mib"]) * MIB - LOADER_END)
    # Not lazy: else the kernel of every seat writes the inode tables into its own overlay, 130 MB of zeroes.
    eager = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    run("mkfs.ext4", "-q", "-F", "-L", "labvirt", "-m", "1", "-J", "size=32", "-E", eager, "-d", tree, partition)


def assemble_apart(base_folder: Path, work: Path, settings: dict[str, Any]) -> None:
    """`assemble`, and nothing of the tree is left over. As an ordinary user: in a namespace where this user is root."""
    argv = [sys.executable, "-I", str(RECIPE / "build.py"), "--assemble", str(base_folder), str(work), json.dumps(settings)]
    # PRIVILEGE: none is kept; newuidmap gives the namespace the user's own range of /etc/subuid, for files of xrdp and student.
    apart = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--map-auto"]
    run(*apart, *argv)
    run(*apart, "rm", "-rf", work / "tree")


# --- the disk ---------------------------------------------------------------------------------------------------------


def boot_record(code: bytes, size: int) -> bytes:
    """The first sector: GRUB's code and two partitions, for the loader of UEFI (type 0xef) and the system (0x83, active)."""
    parts = [(0x00, 0xEF, LOADER_START, LOADER_END), (0x80, 0x83, LOADER_END, size)]
    # Cylinder, head and sector hold the value for "too far, see the sector's number".
    far = b"\xfe\xff\xff"
    entries = [
        struct.pack("<B3sB3sII", active, far, kind, far, start // SECTOR, (end - start) // SECTOR) for active, kind, start, end in parts
    ]
    return code[:440].ljust(440, b"\0") + struct.pack("<IH", 0x4C414257, 0) + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def grub(loaders: Path, kind: str, output: Path) -> None:
    """GRUB with all it needs in one file, by Debian 13's own grub-mkimage. It reads /boot/grub of the second partition it came from."""
    library = loaders / "usr/lib/x86_64-linux-gnu"
    interpreter = (library / "ld-linux-x86-64.so.2", "--library-path", library)
    options = ("--directory", loaders / "usr/lib/grub" / kind, "--prefix", "(,msdos2)/boot/grub", "--format", kind)
    modules = [*GRUB_MODULES, *(["biosdisk"] if kind == "i386-pc" else [])]
    run(*interpreter, loaders / "usr/bin/grub-mkimage", *options, "--output", output, *modules)


def make_disk(base_folder: Path, work: Path, settings: dict[str, Any], root: str) -> Path:
    """The bootable disk as an uncompressed qcow2 file. `root`: the hash of root's password; empty: nobody can sign in as root."""
    if root:
        (work / "root-password").touch(mode=0o600)
        (work / "root-password").write_text(root)
    assemble_apart(base_folder, work, settings)
    loaders = work / "loaders"
    loaders.mkdir()
    run("tar", "-xf", base_folder / "loaders.tar", "-C", loaders, "--no-same-owner", "--exclude=./dev/*")
    core, efi, menu = work / "core.img", work / "BOOTX64.EFI", work / "system.ext4"
    grub(loaders, "i386-pc", core)
    grub(loaders, "x86_64-efi", efi)
    if core.stat().st_size > LOADER_START - SECTOR:
        raise RecipeError("GRUB has grown too large for its place on the disk: move LOADER_START.")
    size = int(settings["size_mib"]) * MIB
    disk = work / "disk.raw"
    with menu.open("rb") as source, disk.open("wb") as target:
        target.truncate(size)
        target.write(boot_record((loaders / "usr/lib/grub/i386-pc/boot.img").read_bytes(), size))
        target.write(core.read_bytes())
        copy_data(source, target, LOADER_END)
    menu.unlink()
    drive = f"{disk}@@{LOADER_START}"
    sectors = (LOADER_END - LOADER_START) // SECTOR
    run("mformat", "-i", drive, "-T", str(sectors), "-H", str(LOADER_START // SECTOR), "-h", "64", "-s", "32", "-v", "EFI", "::")
    run("mmd", "-i", drive, "::EFI", "::EFI/BOOT")
    run("mcopy", "-i", drive, efi, "::EFI/BOOT/BOOTX64.EFI")
    image = work / "desktop.qcow2"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, image)
    return image


def copy_data(source: Any, target: Any, offset: int) -> None:
    """The source's data lies in the target from `offset` on; its holes stay holes."""
    end = source.seek(0, os.SEEK_END)
    place = 0
    while place < end:
        try:
            place = os.lseek(source.fileno(), place, os.SEEK_DATA)
        except OSError:
            return  # only a hole is left
        stop = os.lseek(source.fileno(), place, os.SEEK_HOLE)
        source.seek(place)
        target.seek(offset + place)
        while place < stop:
            piece = source.read(min(MIB, stop - place))
            target.write(piece)
            place += len(piece)


# --- finished files ---------------------------------------------------------------------------------------------------


def put(source: Path, target: Path, mode: int = 0o644) -> None:
    """Copies a file so that the target is either what it was or complete, also after a power cut."""
    for stale in target.parent.glob(f".{target.name}.*.part"):
        stale.unlink(missing_ok=True)  # under the cache's lock: whoever wrote it is dead
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream, source.open("rb") as original:
            shutil.copyfileobj(original, stream, MIB)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    """One build at a time in a cache; the kernel lets go of the lock when a build is killed."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "desktop.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in cache.glob("desktop-build-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def finished(folder: Path) -> dict[str, Any] | None:
    """The manifest of a whole, undamaged image in the cache, or None."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "desktop.json").read_text())
        whole = file_sha256(folder / "desktop.qcow2") == manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if whole else None


def build(base_folder: Path, packages: list[str], key: str, settings: dict[str, Any], root: str, cache: Path) -> dict[str, Any]:
    """Makes <cache>/desktop-<key> with image and manifest. The folder appears complete or not at all."""
    with tempfile.TemporaryDirectory(prefix="desktop-build-", dir=cache) as temporary:
        work = Path(temporary)
        image = make_disk(base_folder, work, settings, root)
        folder = work / "made"
        folder.mkdir()
        os.rename(image, folder / "desktop.qcow2")
        (folder / "desktop.qcow2").chmod(0o444)
        manifest = {
            "key": key,
            "sha256": file_sha256(folder / "desktop.qcow2"),
            "size": (folder / "desktop.qcow2").stat().st_size,
            "virtual_size": int(settings["size_mib"]) * MIB,
            "settings": settings,
            "packages": packages,
            "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        (work / "manifest").write_text(json.dumps(manifest, indent=1) + "\n")
        put(work / "manifest", folder / "desktop.json")
        target = cache / f"desktop-{key[:16]}"
        shutil.rmtree(target, ignore_errors=True)
        os.rename(folder, target)
        sync_folder(cache)
    return manifest


def tidy(cache: Path, keep: Iterable[Path]) -> None:
    """Images and bases of other recipes and choices are gone: each is about a gigabyte."""
    for path in cache.glob("desktop-*"):
        if re.fullmatch(r"desktop-(base-)?[0-9a-f]{16}", path.name) and path not in set(keep):
            shutil.rmtree(path, ignore_errors=True)


def options_of(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Builds the desktop guest's disk image.", allow_abbrev=False)
    parser.add_argument("--out", type=Path, metavar="FILE.qcow2", help="where to put the image; FILE.json goes beside")
    parser.add_argument("--with", dest="added", action="append", default=[], metavar="PACKAGE", help="one more Debian package; repeatable")
    parser.add_argument("--timezone", default="Etc/UTC", metavar="ZONE", help="such as Europe/Prague (default: %(default)s)")
    parser.add_argument("--locale", default="en_US", choices=LOCALES, help="language of the desktop (default: %(default)s)")
    parser.add_argument("--root-password", type=Path, metavar="FILE", help="its hash, by `openssl passwd -6` (default: no root sign-in)")
    parser.add_argument("--size", type=int, default=8, metavar="GIB", help="of the disk as the guest sees it (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--mirror", default=default_mirror(), metavar="URL", help="Debian's archive (default: the one apt uses here)")
    parser.add_argument("--refresh", action="store_true", help="take newer packages than the cache has")
    parser.add_argument("--json", action="store_true", help="print the manifest, path, built (or reused), seconds")
    parser.add_argument("--assemble", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if not 3 <= options.size <= 2000:
        parser.error("--size is from 3 to 2000 GiB")
    return options


def main() -> int:
    options = options_of()
    # So that an ordered end cleans up like any other error does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    began = time.monotonic()
    cache = options.cache.absolute()
    try:
        if options.assemble:
            base_folder, work, text = options.assemble
            assemble(Path(base_folder), Path(work), json.loads(text))
            return 0
        wanted = package_list(options.added)
        settings: dict[str, Any] = {
            "timezone": options.timezone,
            "locale": options.locale,
            "size_mib": options.size << 10,
            "added": options.added,
        }
        root = password_hash(options.root_password)
        settings["root_sign_in"] = hashlib.sha256(root.encode()).hexdigest() if root else False
        check_programs()
        with locked(cache):
            if options.mirror is None:
                raise RecipeError("apt's sources here name no archive of Debian; say which to use: --mirror URL")
            folder, packages = base(cache, wanted, mirror=options.mirror, refresh=options.refresh)
            key = content_key(packages, settings)
            path, known = cache / f"desktop-{key[:16]}" / "desktop.qcow2", finished(cache / f"desktop-{key[:16]}")
            manifest = known or build(folder, packages, key, settings, root, cache)
            if known is None:
                tidy(cache, (folder, path.parent))
            if options.out is not None:
                path = options.out.absolute()
                path.parent.mkdir(parents=True, exist_ok=True)
                put(cache / f"desktop-{key[:16]}" / "desktop.json", path.with_suffix(".json"))
                put(cache / f"desktop-{key[:16]}" / "desktop.qcow2", path)
    except RecipeError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        place = error.filename or cache
        print(f"build.py: {place}: {error.strerror}; choose another --cache or --out, or free space.", file=sys.stderr)
        return 1
    if options.json:
        seconds = round(time.monotonic() - began, 3)
        print(json.dumps({**manifest, "path": str(path), "built": known is None, "seconds": seconds}))
    else:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
