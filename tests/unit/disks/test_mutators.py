# SPDX-License-Identifier: MIT
"""Everything that changes a disk file, tried on a published one: a guest's user cannot; root can, and the next launch notices."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labvirt.errors import ImageDamaged
from labvirt.system.privileges import as_user
from tests.unit.disks.images import CLUSTER, MIB, draft_in, program, store_in, version_of

GUEST = 0x20000001
"""The user of a guest's QEMU (architecture.md: users of their own per seat)."""

pytestmark = pytest.mark.real

MUTATORS: dict[str, str] = {
    "commit": "qemu-img commit -q -f qcow2 {overlay}",
    "rebase": "qemu-img rebase -q -f qcow2 -u -F qcow2 -b {image}/none {file}",
    "resize": "qemu-img resize -q -f qcow2 {file} +1M",
    "shrink": "qemu-img resize -q -f qcow2 --shrink {file} 1M",
    "amend": "qemu-img amend -q -f qcow2 -o lazy_refcounts=on {file}",
    "snapshot": "qemu-img snapshot -c now {file}",
    "check": "qemu-img check -q -f qcow2 -r all {file}",
    "bitmap": "qemu-img bitmap -f qcow2 --add {file} bits",
    "convert-over": "qemu-img convert -f raw -O qcow2 {other} {file}",
    "convert-onto": "qemu-img convert -n -f raw -O qcow2 {other} {file}",
    "dd-of-qemu": "qemu-img dd -f raw -O raw if={other} of={file}",
    "create-over": "qemu-img create -q -f qcow2 {file} 1M",
    "qemu-io": "qemu-io -f qcow2 -c 'write -P 66 1M 64k' {file}",
    "cp": "cp {other} {file}",
    "cp-force": "cp --remove-destination {other} {file}",
    "mv": "mv -f {other} {file}",
    "mv-away": "mv {file} {image}/elsewhere",
    "mv-folder": "mv {folder} {image}/elsewhere",
    "dd": "dd if={other} of={file} conv=notrunc status=none",
    "dd-one-byte": "printf A | dd of={file} conv=notrunc status=none bs=1 seek=300000",
    "truncate": "truncate -s 100K {file}",
    "rm": "rm -f {file}",
    "shell": "echo damage > {file}",
    "append": "echo damage >> {file}",
    "fallocate": "fallocate -p -o 0 -l 4096 {file}",
    "manifest": "echo {{}} > {folder}/manifest.json",
    "chmod-and-write": "chmod 0666 {file} && echo damage > {file}",
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter: pytest's own are closed to guests, and would refuse for another reason."""
    folder = Path(tempfile.mkdtemp(prefix="lvt-mutators-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def attempt(image: Path, name: str, *, guest: bool, overlay: Path) -> bool:
    """Whether the command says that it worked. `image` holds the folders of the versions, the second is attacked."""
    folder = next(image.glob("v2-*"))
    other = overlay.with_name("other.raw")
    other.write_bytes(b"\x42" * 2 * MIB)
    os.chown(other, GUEST, GUEST)
    command = MUTATORS[name].format(file=folder / "disk.qcow2", folder=folder, image=image, other=other, overlay=overlay)
    before = as_user(GUEST) if guest else ()
    done = subprocess.run([*before, "sh", "-c", command], capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL, cwd="/")
    return done.returncode == 0


def make_overlay(folder: Path, base: Path) -> Path:
    """One of the guest's own over the version, with something written."""
    path = folder / "overlay.qcow2"
    path.unlink(missing_ok=True)
    program("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(path))
    program("qemu-io", "-f", "qcow2", "-c", "write -P 77 3M 64k", str(path))
    os.chown(path, GUEST, GUEST)
    return path


def belongs_to_guest(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, GUEST, GUEST)
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.slow
def test_a_guest_cannot_and_what_root_does_is_found_before_the_next_launch(place: Path) -> None:
    store = store_in(place)
    first = version_of(store.blank_version(virtual_bytes=64 * MIB, image="tiny", number=1))
    draft = draft_in(place, first, "tiny.d1", "write -P 8 0 256k")
    with draft.open("r+b") as file:  # a leaked cluster, as a killed QEMU leaves it: something for `check -r` to do
        file.truncate(20 * CLUSTER)
        file.seek(2 * CLUSTER + 2 * 19)
        file.write(b"\0\1")
    second = version_of(store.seal("tiny.d1", (first,), number=2), number=2)
    chain = (second, first)
    image, pristine = place / "images" / "tiny", place / "pristine"
    shutil.copytree(image, pristine, symlinks=True)
    own = place / "own"
    own.mkdir()
    os.chown(own, GUEST, GUEST)
    file = store.path(second)
    store.proven(chain)
    digest = program(*as_user(GUEST), "sha256sum", str(file)).split()[0]
    assert digest == second.sha256, "a guest may read it: what is refused below is refused for writing"

    for name in MUTATORS:
        inode = file.stat()
        overlay = make_overlay(own, file)
        assert not attempt(image, name, guest=True, overlay=overlay), f"a guest's {name} worked"
        assert file.stat().st_ctime_ns == inode.st_ctime_ns, f"a guest's {name} changed it"
        store.proven(chain)
        assert store.check(second) is None, name

        # The control: the same command by the same user works on files of his own.
        mine = own / "tiny"
        shutil.copytree(pristine, mine)
        belongs_to_guest(mine)
        overlay = make_overlay(own, next(mine.glob("v2-*")) / "disk.qcow2")
        assert attempt(mine, name, guest=True, overlay=overlay), f"{name} would not have worked anyway"
        shutil.rmtree(mine)

        # Root may do it, and hides it as well as he can.
        overlay = make_overlay(own, file)
        assert attempt(image, name, guest=False, overlay=overlay), f"root's {name} did not work"
        with pytest.raises(ImageDamaged, match="tiny v2 is damaged"):
            store.proven(chain)
        if file.exists():
            os.truncate(file, inode.st_size)
            file.chmod(0o444)
            os.utime(file, ns=(inode.st_atime_ns, inode.st_mtime_ns))
        if name != "append":  # what was appended is cut off again now: that is no damage any more
            with pytest.raises(ImageDamaged, match="tiny v2 is damaged"):
                store.proven(chain)
        shutil.rmtree(image)
        shutil.copytree(pristine, image)
        store.proven(chain)
