# SPDX-License-Identifier: MIT
"""The image of a USB stick, made from a boot folder by programs that need neither root nor a loop device."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import uuid
from pathlib import Path

from labvirt.disks.copying import need
from labvirt.domain import stick
from labvirt.domain.kiosk import IMAGE, MENU, Kiosk
from labvirt.domain.stick import LABEL, MIB, PARTITIONS, SECTOR, STICK_BYTES, Identity
from labvirt.errors import DiskError, HostNotReady, InvalidInput
from labvirt.system.files import sync_folder
from labvirt.system.process import run

PROGRAMS = {"sfdisk": "fdisk", "mkfs.vfat": "dosfstools", "mcopy": "mtools", "mmd": "mtools", "mke2fs": "e2fsprogs"}
"""Program -> Debian package."""

SECONDS = 600.0
_PATH = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
_TIME = 946684800
"""Of every file on a stick: 2000-01-01 UTC, so that equal contents are equal bytes. FAT knows no year before 1980."""

# grub-core/boot/i386/pc/boot.S and diskboot.S; include/grub/i386/pc/boot.h
_BOOT_CORE_AT = 0x5C
"""Of the first sector: which sector its program loads (8 bytes)."""
_BOOT_DRIVE_CHECK_AT = 0x66
"""A jump over the correction of the drive's number; two NOPs for a disk, as grub-install writes (util/setup.c)."""
_CORE_REST_AT = SECTOR - 12
"""Of the core's first sector: where the rest of it begins (8 bytes)."""
_TABLE_AT = 440
"""Of the first sector: what follows the program is the partition table's."""


def make(source: Path, kiosk: Kiosk, controller: str, target: Path, *, words: str = "") -> Identity:
    """`target` is a new file: a disk that starts the kiosk in `source` on BIOS and UEFI and asks `controller` what is newer.

    Or it is not there. Raises InvalidInput when there is a file already or no place for one, HostNotReady when a program is missing,
    DiskError, Exhausted('disk').
    """
    _check_programs()
    if kiosk.file(stick.CORE) is None:
        raise DiskError(f"The kiosk {kiosk.version} is older than sticks are: it has no {stick.CORE}.", hint="labvirt kiosk build")
    if target.exists() or target.is_symlink():
        raise InvalidInput("out", f"{target} is there already", hint="Choose another file; dd writes it to a stick.")
    if not target.parent.is_dir():
        raise InvalidInput("out", f"{target.parent} is no folder", hint="Make it first: mkdir -p")
    names = stick.identity(controller, kiosk.files)
    try:
        need(target.parent, STICK_BYTES + kiosk.size_bytes, f"the stick {target.name}")
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as made:
            image = Path(made) / "stick"
            with image.open("xb") as stream:
                os.fchmod(stream.fileno(), 0o644)
                stream.truncate(STICK_BYTES)
            _partition(image, names)
            _fill_efi(image, source, stick.stick_menu(controller, names.cache, words), names, Path(made))
            _fill_cache(image, source, names, Path(made))
            _fill_bios(image, (source / stick.CORE).read_bytes())
            with image.open("rb") as stream:
                os.fsync(stream.fileno())
            os.link(image, target)  # never over a file that somebody made meanwhile
        sync_folder(target.parent)
    except FileExistsError as error:
        raise InvalidInput("out", f"{target} is there already", hint="Choose another file.") from error
    except OSError as error:
        raise DiskError(
            f"The stick {target} cannot be made: {error.strerror}.", subject=str(target), hint="df -h; labvirt doctor"
        ) from error
    return names


def _check_programs() -> None:
    absent = sorted({package for program, package in PROGRAMS.items() if shutil.which(program, path=_PATH) is None})
    if absent:
        raise HostNotReady(
            "A stick is made by programs that are missing here.", hint=f"apt-get install --no-install-recommends {' '.join(absent)}"
        )


def _run(*argv: str | Path, input: str = "") -> None:
    environment = {
        **os.environ,
        "PATH": _PATH,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "E2FSPROGS_FAKE_TIME": str(_TIME),
        "MTOOLSRC": "/dev/null",
    }
    environment["SOURCE_DATE_EPOCH"] = str(_TIME)
    result = run([str(word) for word in argv], timeout=SECONDS, input=input.encode(), env=environment)
    if not result.ok:
        raise DiskError(f"The stick could not be made: {argv[0]}: {result.last_words}", hint="df -h; labvirt doctor")


def _first(name: str) -> int:
    """Where this partition begins, in bytes."""
    return next(each.first_mib for each in PARTITIONS if each.name == name) * MIB


def _size(name: str) -> int:
    return next(each.size_mib for each in PARTITIONS if each.name == name) * MIB


def _partition(image: Path, names: Identity) -> None:
    lines = ["label: gpt", f"label-id: {names.disk}"]
    lines += [
        f"start={each.first_mib * MIB // SECTOR}, size={each.size_mib * MIB // SECTOR}, type={each.kind}, "
        f"uuid={names.partitions[each.name]}, name={each.name}"
        for each in PARTITIONS
    ]
    _run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", image, input="\n".join(lines) + "\n")


def _fill_efi(image: Path, source: Path, menu: str, names: Identity, work: Path) -> None:
    sectors = _first("efi") // SECTOR
    blocks = _size("efi") // 1024
    _run("mkfs.vfat", "--invariant", "-F", "32", "-s", "1", "-i", names.efi_volume, "-n", "EFI", f"--offset={sectors}", image, str(blocks))
    inside = f"{image}@@{_first('efi')}"
    tree = work / "efi"
    for name, place in stick.EFI_FILES.items():
        _copy(source / name, tree / place)
    (tree / MENU).parent.mkdir()
    (tree / MENU).write_text(menu)
    _set_times(tree)
    for top in sorted(tree.iterdir()):
        _run("mcopy", "-s", "-m", "-Q", "-i", inside, top, "::/")


def _fill_cache(image: Path, source: Path, names: Identity, work: Path) -> None:
    tree = work / "cache"
    _copy(source / IMAGE, tree / IMAGE)
    for name in ("vmlinuz", "initrd.img"):
        _copy(source / name, tree / stick.STARTS[0] / name)
    _set_times(tree)
    # What GRUB 2.12 reads (grub-core/fs/ext2.c), whatever this machine's mke2fs.conf says.
    features = "none,has_journal,ext_attr,dir_index,filetype,extent,sparse_super,large_file,huge_file,dir_nlink,extra_isize"
    options = f"root_owner=0:0,hash_seed={uuid.uuid5(names.cache, 'hash')},lazy_itable_init=0,offset={_first(LABEL.lower())}"
    size = f"{_size(LABEL.lower()) // 1024}k"
    make_it = ("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-b", "4096", "-I", "256", "-L", LABEL, "-U", str(names.cache))
    _run(*make_it, "-O", features, "-E", options, "-d", tree, image, size)


def _fill_bios(image: Path, core: bytes) -> None:
    """The first sector's program loads the core from the first partition: what grub-install writes, without a disk that is mounted."""
    first = _first("bios") // SECTOR
    program, rest = bytearray(core[:SECTOR]), bytearray(core[SECTOR:])
    if len(program) < SECTOR or len(rest) <= SECTOR or len(rest) > _size("bios"):
        raise DiskError(f"{stick.CORE} is no boot loader.", hint="Build the kiosk again: labvirt kiosk build --refresh")
    struct.pack_into("<Q", program, _BOOT_CORE_AT, first)
    program[_BOOT_DRIVE_CHECK_AT : _BOOT_DRIVE_CHECK_AT + 2] = b"\x90\x90"
    struct.pack_into("<Q", rest, _CORE_REST_AT, first + 1)
    with image.open("r+b") as stream:
        stream.write(program[:_TABLE_AT])
        # Some old BIOSes start only from a disk with an active partition; UEFI ignores the mark (specification 2.10, 5.2.3).
        stream.seek(446)
        stream.write(b"\x80")
        stream.seek(_first("bios"))
        stream.write(rest)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o444)


def _set_times(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        os.utime(path, (_TIME, _TIME))
