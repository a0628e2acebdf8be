#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the tiny guest: a Debian cloud kernel and busybox on a qcow2 disk that boots by itself.

Needs no root, mounts nothing and installs nothing: Debian packages are downloaded, unpacked into a temporary folder and
run from there. Standard library only, so that it runs before any environment exists. README.md says what the result
promises; guest/ is what runs inside it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).resolve().parent
KERNEL_META = "linux-image-cloud-amd64"
TOOLS = ("busybox-static", "mtools", "syslinux", "syslinux-common")
AGENT = "qemu-guest-agent"
AGENT_LIBRARIES = ("libc6", "libglib2.0-0t64", "libglib2.0-0", "libpcre2-8-0", "libnuma1", "libudev1", "liburing2")
"""Where its libraries are, by the names of Debian 12 and 13; one that this release does not have is passed over."""

SECTOR = 512
VIRTUAL_SIZE = 256 << 20
PARTITION_START = 1 << 20
PARTITION_END = 26 << 20
AGENT_START = PARTITION_END  # The agent, unpacked after the boot and only where the machine has its channel: it costs no boot any time.
FREE_FROM = 32 << 20  # From here to the end of the disk nothing is stored: tests may write there.
# The guest's own `keep` stores its records in the first 64 KiB of that (guest/lib/labvirt/disk.sh).

# What a module list names is loaded in this order, each after what it depends on. A name this kernel lacks is left out:
# the cloud kernel has no ahci and no emulated network card, a generic one has.
EARLY_MODULES = ("virtio_pci", "virtio_net", "e1000", "e1000e", "8139cp", "button", "evdev", "virtio_rng")
DISK_MODULES = ("virtio_blk", "virtio_scsi", "sd_mod", "ata_piix", "ahci", "virtio_console")

# The serial line is the only console, at level 0: it stays quiet for the line protocol and still shows a panic;
# the screen belongs to guest/sbin/screen. The rest saves time that emulated processors have not.
KERNEL_ARGUMENTS = (
    "console=ttyS0,115200 quiet loglevel=0 vt.global_cursor_default=0 "
    "mitigations=off noreplace-smp no_timer_check nowatchdog cryptomgr.notests audit=0"
)
BOOT_MENU = f"DEFAULT tiny\nPROMPT 0\nLABEL tiny\n  KERNEL vmlinuz\n  APPEND initrd=initrd.gz {KERNEL_ARGUMENTS}\n"


class RecipeError(Exception):
    """The image cannot be built; the message is one sentence that says what to do."""


def default_cache() -> Path:
    """The folder for finished images and downloaded packages: LABVIRT_CACHE, else the user's cache folder."""
    if chosen := os.environ.get("LABVIRT_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "labvirt"


def run(*argv: str | Path, cwd: Path | None = None, path: Path | None = None) -> str:
    """What a program printed. A missing or failing program becomes a RecipeError with its last words."""
    environment = {**os.environ, "LC_ALL": "C"}
    if path is not None:
        environment["PATH"] = f"{path}:{environment.get('PATH', '/usr/bin:/bin')}"
    try:
        done = subprocess.run(argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise RecipeError(missing_program(str(argv[0]))) from error
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise RecipeError(f"The program {argv[0]} failed with status {done.returncode}: {words}.")
    return done.stdout


def missing_program(program: str) -> str:
    package = {"qemu-img": "qemu-utils", "dpkg-deb": "dpkg", "apt-get": "apt", "apt-cache": "apt"}.get(program)
    if package == "qemu-utils":
        return "The program qemu-img is missing: install it with `apt-get install qemu-utils`."
    if package:
        return f"The program {program} is missing: this recipe takes its parts from Debian, so run it on Debian."
    return f"The program {program} is missing from the packages this recipe unpacked: run it with --refresh."


# --- which packages, and the content key ------------------------------------------------------------------------------


def ask_apt() -> dict[str, dict[str, str]]:
    """The packages apt would give now: name -> version, filename, sha256. Reads apt's lists, downloads nothing."""
    advice = "run `apt-get update` (as root) and check that the Debian archive for amd64 is among apt's sources"
    try:
        depends = run("apt-cache", "depends", KERNEL_META)
        kernel = re.search(r"^\s+Depends: (linux-image-\S+)$", depends, re.MULTILINE)
        if kernel is None:
            raise RecipeError(f"apt does not say which kernel the package {KERNEL_META} stands for: {advice}.")
        known = set(run("apt-cache", "pkgnames", "lib").split())
        libraries = [name for name in AGENT_LIBRARIES if name in known]
        listing = run("apt-cache", "show", "--no-all-versions", kernel[1], *TOOLS, AGENT, *libraries)
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


def pinned_packages(cache: Path) -> dict[str, dict[str, str]] | None:
    """The packages an earlier build in this cache used, or None. Keeps the key computable in milliseconds, offline."""
    try:
        packages = json.loads((cache / "tiny-packages.json").read_text())
        complete = all({"version", "filename", "sha256"} <= set(package) for package in packages.values())
    except (OSError, ValueError, AttributeError, TypeError):
        return None  # No record, or a damaged one: apt is asked again and writes a new one.
    return packages if complete and packages else None


def recipe_files() -> list[Path]:
    return [RECIPE / "build.py", *sorted(file for file in (RECIPE / "guest").rglob("*") if file.is_file())]


def content_key(packages: dict[str, dict[str, str]]) -> str:
    """Names an image by what goes into it: the recipe's files and the packages' versions."""
    digest = hashlib.sha256()
    for file in recipe_files():
        digest.update(f"{file.relative_to(RECIPE)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    for name in sorted(packages):
        digest.update(f"{name}\0{packages[name]['version']}\0{packages[name]['sha256']}\n".encode())
    return digest.hexdigest()


def known_packages(cache: Path, *, refresh: bool) -> dict[str, dict[str, str]]:
    """The cache's record, unless it is of an older recipe that needed less; else what apt says."""
    packages = None if refresh else pinned_packages(cache)
    return packages if packages is not None and {*TOOLS, AGENT} <= set(packages) else ask_apt()


# --- getting and unpacking packages -----------------------------------------------------------------------------------


def file_sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(packages: dict[str, dict[str, str]], cache: Path, work: Path) -> list[Path]:
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


# --- the initial file system, which is the whole guest ----------------------------------------------------------------


def module_order(wanted: tuple[str, ...], folder: Path) -> list[Path]:
    """The module files to load, each after those it depends on (its own .modinfo says which). Unknown names are skipped."""
    files = {file.stem.replace("-", "_"): file for file in folder.rglob("*.ko")}
    order: list[Path] = []

    def add(name: str) -> None:
        file = files.get(name)
        if file is None or file in order:
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", file.read_bytes())
        for needed in depends[1].decode().split(",") if depends else []:
            add(needed.replace("-", "_"))
        order.append(file)

    for name in wanted:
        add(name.replace("-", "_"))
    return order


def cpio_entry(number: int, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One entry of a "newc" archive (Linux: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def archive_of(files: dict[str, tuple[int, bytes]], *, first: list[bytes] | None = None) -> bytes:
    """A cpio archive of these files, with the folders they lie in. Written here, so device nodes need no root."""
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    archive = [cpio_entry(0, name, stat.S_IFDIR | 0o755) for name in sorted(folders)]
    archive += first or []
    archive += [cpio_entry(0, name, mode, data) for name, (mode, data) in sorted(files.items())]
    archive.append(cpio_entry(0, "TRAILER!!!", 0))
    return b"".join(archive)


def needed_libraries(program: bytes) -> list[str]:
    """The DT_NEEDED entries of a 64-bit little-endian ELF file (System V ABI, chapters 4 and 5)."""
    table, size, count = (*struct.unpack_from("<Q", program, 32), *struct.unpack_from("<HH", program, 54))
    parts = [struct.unpack_from("<IIQQQQ", program, table + size * number) for number in range(count)]
    (dynamic,) = (part for part in parts if part[0] == 2)  # PT_DYNAMIC
    entries = list(struct.iter_unpack("<QQ", program[dynamic[2] : dynamic[2] + dynamic[5]]))
    (names,) = (value for tag, value in entries if tag == 5)  # DT_STRTAB: an address, found in its PT_LOAD
    (start,) = (part[2] + names - part[3] for part in parts if part[0] == 1 and part[3] <= names < part[3] + part[5])
    places = [start + value for tag, value in entries if tag == 1]  # DT_NEEDED
    return [program[place : program.index(b"\0", place)].decode() for place in places]


def agent_archive(unpacked: Path) -> bytes:
    """qemu-ga and the libraries it names, as an xz-compressed cpio archive; empty when one of them is in no package we know."""
    wanted, files = ["qemu-ga"], dict[str, tuple[int, bytes]]()
    while wanted:
        name = wanted.pop()
        found = [file for file in unpacked.rglob(name) if file.is_file()]
        if not found:
            return b""
        data = found[0].read_bytes()
        # Programs look for their interpreter in /lib64, and Debian's interpreter looks for libraries in /lib, and not there.
        folder = "sbin" if name == "qemu-ga" else "lib64" if name.startswith("ld-linux") else "lib"
        files[f"{folder}/{name}"] = (stat.S_IFREG | 0o755, data)
        have = {Path(file).name for file in files}
        wanted += [each for each in needed_libraries(data) if each not in have and each not in wanted]
    return lzma.compress(archive_of(files), format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32)


def initial_file_system(unpacked: Path, agent: bytes) -> bytes:
    """The guest's files as a gzip-compressed cpio archive."""
    (modules,) = (unpacked / "lib/modules").iterdir()
    busybox = unpacked / "bin/busybox"
    files: dict[str, tuple[int, bytes]] = {"bin/busybox": (stat.S_IFREG | 0o755, busybox.read_bytes())}
    for applet in run(busybox, "--list").split():
        if applet != "busybox":
            files[f"bin/{applet}"] = (stat.S_IFLNK | 0o777, b"busybox")
    for list_name, wanted in (("early", EARLY_MODULES), ("disk", DISK_MODULES)):
        order = module_order(wanted, modules)
        for file in order:
            files[f"lib/modules/{file.name}"] = (stat.S_IFREG | 0o644, file.read_bytes())
        text = "".join(f"/lib/modules/{file.name}\n" for file in order)
        files[f"lib/labvirt/modules-{list_name}"] = (stat.S_IFREG | 0o644, text.encode())
    for file in sorted((RECIPE / "guest").rglob("*")):
        if file.is_file():
            name = str(file.relative_to(RECIPE / "guest"))
            # Not the checkout's mode bits: a copy of the recipe may have lost them, and they are not in the key.
            executable = name.startswith(("sbin/", "etc/acpi/"))
            files[name] = (stat.S_IFREG | (0o755 if executable else 0o644), file.read_bytes())
    files["init"] = (stat.S_IFLNK | 0o777, b"bin/init")
    # init's applets are called by /sbin and /bin alike; what the recipe puts into sbin stays.
    for applet in ("uevent", "acpid", "reboot", "poweroff"):
        files.setdefault(f"sbin/{applet}", (stat.S_IFLNK | 0o777, b"../bin/busybox"))

    place = f"{AGENT_START >> 20} {len(agent)}\n" if agent else ""
    files["lib/labvirt/agent"] = (stat.S_IFREG | 0o644, place.encode())
    first = [cpio_entry(0, name, stat.S_IFDIR | 0o755) for name in ("dev", "proc", "sys")]
    # What init opens before devtmpfs is there.
    first.append(cpio_entry(0, "dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    first.append(cpio_entry(0, "dev/null", stat.S_IFCHR | 0o666, device=(1, 3)))
    return gzip.compress(archive_of(files, first=first), compresslevel=9, mtime=0)


# --- the disk ---------------------------------------------------------------------------------------------------------


def write_boot_record(disk: Path, code: Path) -> None:
    """The first sector: syslinux's boot code (440 bytes) and one active FAT16 partition (type 0x0e, addressed by LBA)."""
    boot_code = code.read_bytes()[:440].ljust(440, b"\0")
    start, sectors = PARTITION_START // SECTOR, (PARTITION_END - PARTITION_START) // SECTOR
    # Cylinder, head and sector hold the value for "too far, see the LBA fields".
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x0E, b"\xfe\xff\xff", start, sectors)
    with disk.open("r+b") as stream:
        stream.write(boot_code + struct.pack("<IH", 0x4C414256, 0) + entry.ljust(64, b"\0") + b"\x55\xaa")


def make_disk(unpacked: Path, work: Path) -> Path:
    """The bootable disk as an uncompressed qcow2 file (a compressed one triples the boot time on IDE)."""
    tools = unpacked / "usr/bin"
    agent = agent_archive(unpacked)
    if len(agent) > FREE_FROM - AGENT_START:
        raise RecipeError("The guest agent has grown too large for its place on the disk: move AGENT_START and PARTITION_END.")
    (work / "initrd.gz").write_bytes(initial_file_system(unpacked, agent))
    (work / "syslinux.cfg").write_text(BOOT_MENU)
    (kernel,) = (unpacked / "boot").glob("vmlinuz-*")
    disk = work / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(VIRTUAL_SIZE)
    write_boot_record(disk, unpacked / "usr/lib/syslinux/mbr/mbr.bin")
    start, sectors = PARTITION_START // SECTOR, (PARTITION_END - PARTITION_START) // SECTOR
    drive = f"{disk}@@{PARTITION_START}"
    geometry = ("-T", str(sectors), "-H", str(start), "-h", "64", "-s", "32")
    run(tools / "mformat", "-i", drive, *geometry, "-N", "4c414256", "-v", "LABVIRT", "::", path=tools)
    # The loader goes in first, while the file system is empty: its sectors must not move afterwards.
    run(tools / "syslinux", "--install", "--offset", str(PARTITION_START), disk, path=tools)
    for source, name in ((work / "syslinux.cfg", "syslinux.cfg"), (kernel, "vmlinuz"), (work / "initrd.gz", "initrd.gz")):
        run(tools / "mcopy", "-i", drive, source, f"::{name}", path=tools)
    with disk.open("r+b") as stream:
        stream.seek(AGENT_START)
        stream.write(agent)
    image = work / "tiny.qcow2"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, image)
    return image


# --- finished files ---------------------------------------------------------------------------------------------------


def put(source: Path, target: Path, mode: int = 0o644) -> None:
    """Copies a file so that the target is either what it was or complete, also after a power cut."""
    for stale in target.parent.glob(f".{target.name}.*.part"):
        stale.unlink(missing_ok=True)  # Under the cache's lock: whoever wrote it is dead.
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream, source.open("rb") as original:
            shutil.copyfileobj(original, stream, 1 << 20)
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
    with (cache / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in cache.glob("tiny-build-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def finished(folder: Path) -> dict[str, Any] | None:
    """The manifest of a whole, undamaged image in the cache, or None."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "tiny.json").read_text())
        whole = file_sha256(folder / "tiny.qcow2") == manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if whole else None


def build(packages: dict[str, dict[str, str]], key: str, cache: Path) -> dict[str, Any]:
    """Makes <cache>/<key> with image and manifest. The folder appears complete or not at all."""
    with tempfile.TemporaryDirectory(prefix="tiny-build-", dir=cache) as temporary:
        work = Path(temporary)
        unpacked = work / "unpacked"
        for package in fetch(packages, cache, work):
            run("dpkg-deb", "-x", package, unpacked)
        image = make_disk(unpacked, work)
        folder = work / key
        folder.mkdir()
        put(image, folder / "tiny.qcow2", 0o444)
        manifest = {
            "key": key,
            "sha256": file_sha256(folder / "tiny.qcow2"),
            "size": (folder / "tiny.qcow2").stat().st_size,
            "virtual_size": VIRTUAL_SIZE,
            "free_from": FREE_FROM,
            "packages": {name: packages[name]["version"] for name in sorted(packages)},
            "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for name, content, target in (
            ("manifest", manifest, folder / "tiny.json"),
            ("pins", packages, cache / "tiny-packages.json"),
        ):
            (work / name).write_text(json.dumps(content, indent=2) + "\n")
            put(work / name, target)
        shutil.rmtree(cache / key, ignore_errors=True)
        os.rename(folder, cache / key)
        sync_folder(cache)
    return manifest


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the tiny guest's disk image.", allow_abbrev=False)
    parser.add_argument("--out", type=Path, metavar="FILE.qcow2", help="where to put the image; FILE.json goes beside")
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--refresh", action="store_true", help="ask apt for newer packages than the cache's record names")
    parser.add_argument("--key", action="store_true", help="print the content key and build nothing")
    parser.add_argument("--json", action="store_true", help="print the manifest, path, built (or reused), seconds")
    options = parser.parse_args()
    # So that an ordered end cleans up like any other error does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    cache = options.cache.absolute()
    try:
        if options.key:
            packages = known_packages(cache, refresh=options.refresh)
            print(content_key(packages))
            return 0
        with locked(cache):
            packages = known_packages(cache, refresh=options.refresh)
            key = content_key(packages)
            path, known = cache / key / "tiny.qcow2", finished(cache / key)
            manifest = known or build(packages, key, cache)
            if options.out is not None:
                path = options.out.absolute()
                path.parent.mkdir(parents=True, exist_ok=True)
                put(cache / key / "tiny.json", path.with_suffix(".json"))
                put(cache / key / "tiny.qcow2", path)
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
