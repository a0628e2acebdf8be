#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the kiosk: a Debian 13 in one squashfs file, with the kernel, the initial file system and the boot loaders to start it.

Debian's packages come by mmdebstrap into a tar file that the cache keeps; all after that needs no root and mounts nothing.
Standard library only. README.md says what the result is; beside this file lie the lists and what is laid over Debian's files.
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
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).resolve().parent
KIOSK = RECIPE.parent
SUITE = "trixie"
LOADER_PACKAGES = ("grub-common", "grub-pc-bin", "shim-signed", "grub-efi-amd64-signed")
LOADERS = {
    "shimx64.efi": "usr/lib/shim/shimx64.efi.signed",
    "grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
}
GRUB_MODULES = (
    "pxe tftp http net normal linux configfile echo test regexp all_video gfxterm font minicmd search part_gpt part_msdos fat iso9660 "
    "reboot halt sleep true read serial terminal progress"
).split()
STICK_MODULES = (
    "biosdisk part_gpt fat ext2 normal linux configfile echo test regexp all_video minicmd reboot halt sleep true read terminal"
).split()
LOCALES = ("en_US", "es_ES", "fr_FR", "cs_CZ", "ru_RU")
TRANSLATIONS = ("es", "fr", "cs", "ru")
FILES = ("vmlinuz", "initrd.img", "kiosk.squashfs", "core.0", "stick.core", *LOADERS)
KIOSK_PARTS = ("labvirt-kiosk", "labvirt-kiosk-face", "labvirt_kiosk", "locale")
"""Of the folder kiosk/, where they are there: what goes into the image."""
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mksquashfs": "squashfs-tools",
    "depmod": "kmod",
    "zstd": "zstd",
    "xz": "xz-utils",
    "tar": "tar",
}
COMPRESSION = ("-comp", "zstd", "-Xcompression-level", "15", "-b", "256K")


class RecipeError(Exception):
    """The kiosk cannot be built; the message is one sentence that says what to do."""


def default_cache() -> Path:
    """The folder for what can be made again: LABVIRT_CACHE, else the user's cache folder."""
    if chosen := os.environ.get("LABVIRT_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "labvirt"


def run(*argv: str | Path, data: bytes = b"") -> bytes:
    """What a program printed. A missing or failing program becomes a RecipeError with its last words."""
    # depmod lies in sbin, which an ordinary user's PATH does not name
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"}
    try:
        done = subprocess.run([str(word) for word in argv], env=environment, input=data, capture_output=True)
    except FileNotFoundError as error:
        raise RecipeError(missing_programs([str(argv[0])])) from error
    if done.returncode != 0:
        words = (done.stderr.decode(errors="replace").strip() or "it said nothing").splitlines()
        said = next((word for word in words if word.startswith(("E:", "FATAL"))), words[-1])
        raise RecipeError(f"The program {argv[0]} failed with status {done.returncode}: {said}.")
    return done.stdout


def missing_programs(names: Iterable[str]) -> str:
    packages = " ".join(sorted({PROGRAMS.get(name, name) for name in names}))
    return (
        f"The kiosk is built with programs that are missing here: install them with `apt-get install --no-install-recommends {packages}`."
    )


def check_programs() -> None:
    """Every program is there. Said before minutes of work."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    absent = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if absent:
        raise RecipeError(missing_programs(absent))


def listed(name: str) -> list[str]:
    """The lines of a list beside this file, without its comments."""
    lines = (RECIPE / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


# --- what goes in, and the key ----------------------------------------------------------------------------------------


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
    lists = [RECIPE / name for name in ("build.py", "packages", "dropped", "modules")]
    trees = [RECIPE / "initrd", RECIPE / "root", *(KIOSK / part for part in KIOSK_PARTS)]
    found = [file for tree in trees for file in ([tree] if tree.is_file() else sorted(tree.rglob("*")))]
    return [*lists, *(file for file in found if file.is_file() and "__pycache__" not in file.parts)]


def content_key(packages: list[str]) -> str:
    """Names a kiosk by what goes into it: our files, and the versions of Debian's packages."""
    digest = hashlib.sha256()
    for file in recipe_files():
        digest.update(f"{file.relative_to(KIOSK)}\0{file_sha256(file)}\n".encode())
    digest.update("\n".join(packages).encode())
    return digest.hexdigest()


def file_sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- Debian's part: two tar files in the cache ------------------------------------------------------------------------


def bootstrap(target: Path, *options: str, mirror: str) -> None:
    """Packages of Debian 13 with all their dependencies, as a tar file."""
    security = f"{mirror}-security"
    sources = f"deb {mirror} {SUITE} main\ndeb {mirror} {SUITE}-updates main\ndeb {security} {SUITE}-security main\n"
    thin = ("--aptopt=APT::Install-Recommends false", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*")
    run("mmdebstrap", "--quiet", "--architectures=amd64", *thin, *options, SUITE, target, "-", data=sources.encode())


def base_key() -> str:
    """Of everything that Debian's part is made from."""
    return hashlib.sha256("\n".join([SUITE, *listed("packages"), *LOADER_PACKAGES, *LOCALES]).encode()).hexdigest()[:16]


def base(cache: Path, *, mirror: str, refresh: bool) -> tuple[Path, list[str]]:
    """The folder with base.tar and loaders.tar, and "NAME VERSION" of each package; from the cache unless `refresh`."""
    folder = cache / f"kiosk-base-{base_key()}"
    record = folder / "packages.json"
    with contextlib.suppress(OSError, ValueError):
        if not refresh:
            return folder, [str(each) for each in json.loads(record.read_text())]
    with tempfile.TemporaryDirectory(prefix="kiosk-build-", dir=cache) as temporary:
        made = Path(temporary) / "base"
        made.mkdir()
        compiled = [f'--customize-hook=chroot "$1" localedef -i {name} -f UTF-8 {name}.UTF-8' for name in LOCALES]
        told = f'--customize-hook=chroot "$1" dpkg-query -W -f "\\${{Package}} \\${{Version}}\\n" > {made}/packages'
        bootstrap(made / "base.tar", "--variant=apt", f"--include={','.join(listed('packages'))}", *compiled, told, mirror=mirror)
        bootstrap(made / "loaders.tar", "--variant=extract", f"--include={','.join(LOADER_PACKAGES)}", mirror=mirror)
        packages = sorted((made / "packages").read_text().splitlines())
        (made / "packages.json").write_text(json.dumps([*packages, f"loaders {file_sha256(made / 'loaders.tar')}"]))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(made, folder)
        sync_folder(cache)
    return base(cache, mirror=mirror, refresh=False)


# --- the tree ---------------------------------------------------------------------------------------------------------


def unpack(tar: Path, tree: Path) -> None:
    """The files as the caller's own, readable by it; without devices, which the kernel makes."""
    tree.mkdir()
    run("tar", "-xf", tar, "-C", tree, "--no-same-owner", "--exclude=./dev/*")
    for file in [tree, *tree.rglob("*")]:
        if not file.is_symlink():
            mode = file.stat().st_mode
            # No program here may lend its owner's rights: nobody on a terminal needs them.
            file.chmod((mode | (0o700 if file.is_dir() else 0o400)) & ~(stat.S_ISUID | stat.S_ISGID) & 0o7777)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def drop(tree: Path) -> None:
    """What `dropped` names is gone, and every translation in a language the kiosk does not speak."""
    for pattern in listed("dropped"):
        for path in list(tree.glob(pattern)):
            remove(path)
    for folder in (tree / "usr/share/locale").glob("*"):
        if folder.name.split("_")[0].split("@")[0] not in TRANSLATIONS:
            remove(folder)
    icons = tree / "usr/share/icons/Adwaita"
    for folder in icons.glob("*"):
        if folder.name not in {"cursors", "index.theme", "symbolic", "16x16", "scalable"}:
            remove(folder)


def module_name(file: Path | str) -> str:
    return Path(file).name.split(".")[0].replace("-", "_")


def wanted_modules(kernel: Path, lines: Iterable[str]) -> tuple[set[Path], set[Path]]:
    """(of the image, of the initial file system): the files that the list's patterns name, with those they need."""
    files = {module_name(file): file for file in kernel.rglob("*.ko*")}
    needs: dict[Path, list[Path]] = {}
    for line in (kernel.parent / "modules.dep").read_text().splitlines():
        name, _, others = line.partition(":")
        needs[kernel.parent / name] = [kernel.parent / other for other in others.split()]
    image, boot = set[Path](), set[Path]()
    for line in lines:
        early, pattern = line.startswith("boot "), line.removeprefix("boot ").strip()
        found = {file for file in kernel.glob(pattern) if file in set(files.values())}
        found |= {other for file in found for other in needs.get(file, [])}
        image |= found
        boot |= found if early else set()
    return image, boot


def prune_modules(tree: Path) -> tuple[str, set[Path]]:
    """Only the wanted modules are left, not compressed one by one. (kernel's version, files of the initial file system)"""
    (folder,) = (tree / "usr/lib/modules").iterdir()
    if not (folder / "modules.dep").is_file():
        run("depmod", "-b", tree / "usr", folder.name)
    image, boot = wanted_modules(folder / "kernel", listed("modules"))
    for file in list(folder.rglob("*.ko*")):
        if file not in image:
            file.unlink()
    packed = [file for file in image if file.suffix == ".xz"]
    for start in range(0, len(packed), 200):
        run("xz", "-d", *packed[start : start + 200])
    run("depmod", "-b", tree / "usr", folder.name)
    return folder.name, {file.with_suffix("") if file.suffix == ".xz" else file for file in boot}


def lay_over(tree: Path, version: str) -> None:
    """Our own files, the kiosk program, the user kiosk, and busybox as the first program."""
    for file in sorted((RECIPE / "root").rglob("*")):
        if file.is_file():
            place = tree / file.relative_to(RECIPE / "root")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            # Not the checkout's mode bits: a copy of the recipe may have lost them.
            place.chmod(0o755 if file.read_bytes().startswith(b"#!") else 0o644)
    shutil.copyfile(RECIPE / "initrd/lib/lease", tree / "usr/lib/labvirt/lease")
    (tree / "usr/lib/labvirt/lease").chmod(0o755)
    program = tree / "usr/lib/labvirt/kiosk"
    program.mkdir()
    for part in KIOSK_PARTS:
        source = KIOSK / part
        if source.is_dir():
            shutil.copytree(source, program / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            shutil.copyfile(source, program / part)
    for name in ("init", "reboot", "poweroff"):
        remove(tree / "usr/sbin" / name)
        (tree / "usr/sbin" / name).symlink_to("../bin/busybox")
    groups = "audio,video,input,plugdev"
    for name, line in (
        ("passwd", "kiosk:x:1000:1000:kiosk:/run/home:/bin/false"),
        ("group", "kiosk:x:1000:"),
        ("shadow", "kiosk:!:20000::::::"),
    ):
        file = tree / "etc" / name
        lines = [re.sub(r"^root:[^:]*:", "root:!:", each) if name == "shadow" else each for each in file.read_text().splitlines()]
        if name == "group":
            lines = [
                each.rstrip(",") + ("," if each[-1] != ":" else "") + "kiosk" if each.split(":")[0] in groups.split(",") else each
                for each in lines
            ]
        file.write_text("\n".join([*lines, line]) + "\n")
    (tree / "etc/hostname").write_text("terminal\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (tree / "etc/resolv.conf").unlink(missing_ok=True)
    (tree / "etc/resolv.conf").write_text("")
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/labvirt/version").write_text(version + "\n")
    for name in ("dev", "proc", "sys", "run", "tmp"):
        (tree / name).mkdir(exist_ok=True)


def sizes(tree: Path) -> dict[str, int]:
    """Bytes of the tree by part, for people who want it smaller."""
    parts = {"modules": "usr/lib/modules", "libraries": "usr/lib/x86_64-linux-gnu", "python": "usr/lib/python3*", "share": "usr/share"}
    told, total = dict[str, int](), 0
    for file in tree.rglob("*"):
        if file.is_file() and not file.is_symlink():
            size = file.stat().st_size
            place = file.relative_to(tree)
            part = next(
                (name for name, pattern in parts.items() if place.match(f"{pattern}/*") or any(up.match(pattern) for up in place.parents)),
                "rest",
            )
            told[part] = told.get(part, 0) + size
            total += size
    return {**dict(sorted(told.items())), "all": total}


# --- the initial file system ------------------------------------------------------------------------------------------


def cpio_entry(number: int, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One entry of a "newc" archive (Linux: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def initial_file_system(tree: Path, kernel: str, boot: set[Path], version: str, work: Path) -> bytes:
    """busybox, our init and the modules of network cards and disks, as a compressed cpio archive."""
    stage = work / "initrd"
    modules = stage / "lib/modules" / kernel
    for file in boot:
        place = modules / file.relative_to(tree / "usr/lib/modules" / kernel)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copyfile(tree / "usr/lib/modules" / kernel / name, modules / name)
    run("depmod", "-b", stage, kernel)
    for name in ("modules.order", "modules.builtin.modinfo", "modules.symbols", "modules.symbols.bin"):
        (modules / name).unlink(missing_ok=True)
    files: dict[str, tuple[int, bytes]] = {}
    busybox = tree / "usr/bin/busybox"
    for applet in run(busybox, "--list").decode().split():
        files[f"bin/{applet}"] = (stat.S_IFLNK | 0o777, b"busybox")
    files["bin/busybox"] = (stat.S_IFREG | 0o755, busybox.read_bytes())
    for file in sorted(path for root in (stage, RECIPE / "initrd") for path in root.rglob("*") if path.is_file()):
        name = str(file.relative_to(stage if file.is_relative_to(stage) else RECIPE / "initrd"))
        data = file.read_bytes()
        files[name] = (stat.S_IFREG | (0o755 if data.startswith(b"#!") else 0o644), data)
    files["lib/version"] = (stat.S_IFREG | 0o644, version.encode())
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."} | {"dev", "proc", "sys", "run", "etc", "tmp"}
    archive = [cpio_entry(0, name, stat.S_IFDIR | 0o755) for name in sorted(folders)]
    archive.append(cpio_entry(0, "dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    archive += [cpio_entry(0, name, mode, data) for name, (mode, data) in sorted(files.items())]
    archive.append(cpio_entry(0, "TRAILER!!!", 0))
    return run("zstd", "-q", "-17", "-T0", "-c", data=b"".join(archive))


# --- the boot folder --------------------------------------------------------------------------------------------------


def boot_loaders(tar: Path, work: Path, folder: Path) -> None:
    """core.0 for the BIOS, made by Debian 13's own grub-mkimage, and the two signed files for UEFI."""
    tree = work / "loaders"
    unpack(tar, tree)
    library = tree / "usr/lib/x86_64-linux-gnu"
    interpreter = (library / "ld-linux-x86-64.so.2", "--library-path", library)
    grub = ("--directory", tree / "usr/lib/grub/i386-pc", "--prefix", "(pxe)/grub", "--format", "i386-pc-pxe")
    run(*interpreter, tree / "usr/bin/grub-mkimage", *grub, "--output", folder / "core.0", *GRUB_MODULES)
    # A disk's first sector, and what it loads; `labvirt kiosk stick` puts both where they belong. The menu is in the second partition.
    core = work / "stick.core"
    disk = ("--directory", tree / "usr/lib/grub/i386-pc", "--prefix", "(,gpt2)/grub", "--format", "i386-pc")
    run(*interpreter, tree / "usr/bin/grub-mkimage", *disk, "--output", core, *STICK_MODULES)
    (folder / "stick.core").write_bytes((tree / "usr/lib/grub/i386-pc/boot.img").read_bytes() + core.read_bytes())
    for name, source in LOADERS.items():
        shutil.copyfile(tree / source, folder / name)


def build(base_folder: Path, packages: list[str], version: str, cache: Path) -> dict[str, Any]:
    """Makes <cache>/kiosk-<version>, a boot folder. It appears complete or not at all."""
    with tempfile.TemporaryDirectory(prefix="kiosk-build-", dir=cache) as temporary:
        work = Path(temporary)
        tree, folder = work / "tree", work / "boot"
        folder.mkdir()
        unpack(base_folder / "base.tar", tree)
        (kernel_file,) = (tree / "boot").glob("vmlinuz-*")
        shutil.copyfile(kernel_file, folder / "vmlinuz")
        kernel, boot = prune_modules(tree)
        (folder / "initrd.img").write_bytes(initial_file_system(tree, kernel, boot, version, work))
        drop(tree)
        lay_over(tree, version)
        run(
            "mksquashfs",
            tree,
            folder / "kiosk.squashfs",
            "-all-root",
            "-no-progress",
            "-quiet",
            "-noappend",
            "-mkfs-time",
            "0",
            "-all-time",
            "0",
            *COMPRESSION,
        )
        boot_loaders(base_folder / "loaders.tar", work, folder)
        for name in FILES:
            (folder / name).chmod(0o444)
        manifest = {
            "version": version,
            "files": {name: {"size": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)} for name in FILES},
            "kernel": kernel,
            "tree": sizes(tree),
            "packages": packages,
            "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        shutil.rmtree(cache / f"kiosk-{version}", ignore_errors=True)
        os.rename(folder, cache / f"kiosk-{version}")
        sync_folder(cache)
    return manifest


def tidy(cache: Path, keep: Path) -> None:
    """Of what can be made again, `keep` and the boot folder before it stay; older ones are gone, as are bases of other lists."""
    made = [path for path in cache.glob("kiosk-*") if re.fullmatch(r"kiosk-[0-9a-f]{16}", path.name) and path != keep]
    old = sorted(made, key=lambda path: path.stat().st_mtime)[:-1]
    bases = [path for path in cache.glob("kiosk-base-*") if path.name != f"kiosk-base-{base_key()}"]
    for path in (*old, *bases):
        shutil.rmtree(path, ignore_errors=True)


def finished(folder: Path) -> dict[str, Any] | None:
    """The manifest of a whole, undamaged boot folder, or None."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        whole = all(file_sha256(folder / name) == manifest["files"][name]["sha256"] for name in FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if whole else None


def finished_names(folder: Path) -> bool:
    """Are its files those of a boot folder, and no others?"""
    return {file.name for file in folder.iterdir()} == {*FILES, "manifest.json"}


def put_folder(source: Path, target: Path) -> None:
    """`target` is a complete copy, or is not there. Only an empty folder or another boot folder is replaced: else RecipeError."""
    if target.is_symlink() or (target.exists() and not (target.is_dir() and (not any(target.iterdir()) or finished_names(target)))):
        raise RecipeError(f"{target} is there and is no boot folder of a kiosk: choose another --out.")
    target.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        new.chmod(0o755)
        for file in sorted(source.iterdir()):
            shutil.copyfile(file, new / file.name)
            (new / file.name).chmod(0o444)
            with (new / file.name).open("rb") as stream:
                os.fsync(stream.fileno())
        sync_folder(new)
        if target.exists():
            shutil.rmtree(target)
        os.rename(new, target)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
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
    with (cache / "kiosk.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in cache.glob("kiosk-build-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the kiosk's boot folder.", allow_abbrev=False)
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to put a copy of the boot folder; what is there is replaced")
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--mirror", default=default_mirror(), metavar="URL", help="Debian's archive (default: the one apt uses here)")
    parser.add_argument("--refresh", action="store_true", help="take newer packages than the cache has")
    parser.add_argument("--json", action="store_true", help="print the manifest, path, built (or reused), seconds")
    options = parser.parse_args()
    # So that an ordered end cleans up like any other error does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    began = time.monotonic()
    cache = options.cache.absolute()
    try:
        check_programs()
        with locked(cache):
            if options.mirror is None:
                raise RecipeError("apt's sources here name no archive of Debian; say which to use: --mirror URL")
            folder, packages = base(cache, mirror=options.mirror, refresh=options.refresh)
            version = content_key(packages)[:16]
            path = cache / f"kiosk-{version}"
            known = finished(path)
            manifest = known or build(folder, packages, version, cache)
            if known is None:
                tidy(cache, path)
            if options.out is not None:
                put_folder(path, options.out.absolute())
                path = options.out.absolute()
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
