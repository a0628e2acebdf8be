# SPDX-License-Identifier: MIT
"""Five seats are switched off with their students' work in them; an admin session rewrites the image meanwhile. Nobody loses a byte.

The accident this is about (reliability.md, E4): a golden image edited in place destroyed files of a stopped desktop, and no tool said so.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from labvirt.contracts.disks import RunDisk
from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import SealMethod
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version, chain_of
from labvirt.domain.kept import Kept
from labvirt.errors import InUse
from tests.disks_model import judge
from tests.fakes.disks import AT, Doors, doors, version_of

MIB = 1 << 20
SIZE = 16 * MIB


def scribble(dice: random.Random, layers: tuple[DiskLayer, ...], disk: bytearray, *, writes: int, longest: int) -> None:
    """Writes of any alignment, some of them zeros, to the disk and to the copy in memory."""
    commands = []
    for _ in range(writes):
        length = dice.randrange(512, longest, 512)
        at = dice.randrange(0, SIZE - length, 512)
        if dice.random() < 0.2:
            commands.append(f"write -z {at} {length}")
            disk[at : at + length] = bytes(length)
        else:
            value = dice.randrange(1, 256)
            commands.append(f"write -P {value} {at} {length}")
            disk[at : at + length] = bytes([value]) * length
    judge.write(layers, *commands, "flush")


@pytest.mark.parametrize("method", [SealMethod.LAYER, SealMethod.FLATTEN])
def test_stopped_seats_keep_every_byte_while_their_image_is_rewritten(tmp_path: Path, method: SealMethod) -> None:
    dice = random.Random(20261121)
    all_doors: Doors = doors(tmp_path)
    store, disks = all_doors["store"], all_doors["disks"]
    original = bytearray(dice.randbytes(SIZE))
    (tmp_path / "golden.raw").write_bytes(original)
    first = version_of(store.import_version(tmp_path / "golden.raw", format="raw", image="tiny", number=1))
    seats: dict[RunId, tuple[tuple[DiskLayer, ...], bytes]] = {}
    for seat in range(1, 6):
        run = RunId(f"lab-a-{seat:02}", 1)
        ((_, layers),) = disks.create_run(run, (RunDisk(place=0, chain=(first,)),), uid=None)
        mine = bytearray(original)
        scribble(dice, layers, mine, writes=12, longest=MIB)
        seats[run] = (layers, bytes(mine))
    draft = all_doors["drafts"].create("tiny.d1", (first,))
    layers = (DiskLayer(path=draft.path, format="qcow2"), DiskLayer(path=tmp_path / "images" / first.file, format="qcow2"))
    rewritten = bytearray(original)
    scribble(dice, layers, rewritten, writes=60, longest=2 * MIB)
    assert sum(a != b for a, b in zip(original, rewritten, strict=True)) > SIZE * 3 // 4
    second = version_of(store.seal("tiny.d1", (first,), number=2, method=method), number=2, parent=1)
    all_doors["drafts"].remove("tiny.d1")
    # What the garbage collector would try, an hour and a week later: everything but what is published.
    flat = second if second.backing is None else version_of(store.flatten((second, first)), number=2, parent=1)
    assert flat.backing is None
    removed = []
    for entry in store.entries():
        if entry.file == flat.file:
            continue
        if entry.file == first.file:
            with pytest.raises(InUse) as caught:
                store.remove(entry.file)
            assert all(str(run) in caught.value.by for run in seats)
        else:
            store.remove(entry.file)
            removed.append(entry.file)
    assert removed == ([second.file] if method is SealMethod.LAYER else [])
    for run, (layers, mine) in seats.items():
        assert judge.seen(layers) == mine, run
    # The control: over the new version the same overlays would be something else.
    layers, mine = next(iter(seats.values()))
    assert judge.seen((layers[0], DiskLayer(path=tmp_path / "images" / flat.file, format="qcow2"))) != mine
    assert judge.seen((DiskLayer(path=tmp_path / "images" / flat.file, format="qcow2"),)) == rewritten
    # Kept, and once more started, they are still what they were; when the last one is gone the old version may go.
    for run, (_, mine) in seats.items():
        assert all_doors["kept"].keep(run, Kept(run=run, profile="desk", disks=(), ended_at=AT)) is not None
        again = RunId(run.guest, 2)
        ((_, layers),) = disks.create_run(again, (RunDisk(place=0, chain=(first,), kept=run),), uid=None)
        assert judge.seen(layers) == mine
        disks.remove_run(again)
        with pytest.raises(InUse):
            store.remove(first.file)
        all_doors["kept"].remove(run)
    store.remove(first.file)
    assert [entry.file for entry in store.entries()] == [flat.file]
    store.proven((flat,))


def test_seats_on_a_layer_keep_every_byte_when_it_is_flattened(tmp_path: Path) -> None:
    """The row of the version names another file from then on; who stood on the old one stands on it still."""
    dice = random.Random(4)
    all_doors: Doors = doors(tmp_path)
    store, disks = all_doors["store"], all_doors["disks"]
    golden = bytearray(dice.randbytes(SIZE))
    (tmp_path / "golden.raw").write_bytes(golden)
    rows: dict[int, Version] = {1: version_of(store.import_version(tmp_path / "golden.raw", format="raw", image="tiny", number=1))}
    for number in (2, 3):
        name = f"tiny.d{number}"
        chain = chain_of(rows[number - 1], rows.values())
        draft = all_doors["drafts"].create(name, chain)
        files = tuple(DiskLayer(path=tmp_path / "images" / version.file, format="qcow2") for version in chain)
        scribble(dice, (DiskLayer(path=draft.path, format="qcow2"), *files), golden, writes=8, longest=MIB)
        rows[number] = version_of(store.seal(name, chain, number=number, method=SealMethod.LAYER), number=number, parent=number - 1)
    chain = chain_of(rows[3], rows.values())
    assert len(chain) == 3
    run = RunId("lab-a-01", 1)
    ((_, layers),) = disks.create_run(run, (RunDisk(place=0, chain=chain),), uid=None)
    mine = bytearray(golden)
    scribble(dice, layers, mine, writes=8, longest=MIB)
    draft = all_doors["drafts"].create("tiny.d4", chain)
    rows[3] = version_of(store.flatten(chain), number=3, parent=2)
    assert chain_of(rows[3], rows.values()) == (rows[3],)
    for version in (rows[1], rows[2], chain[0]):
        with pytest.raises(InUse):
            store.remove(version.file)
    assert judge.seen(layers) == mine
    # A draft of the layer goes on over the flat file: the same version, the same content.
    session = RunId("lab-a-s01", 1)
    ((_, layers),) = disks.create_run(session, (RunDisk(place=0, chain=(rows[3],), draft="tiny.d4"),), uid=None)
    theirs = bytearray(golden)
    assert judge.seen(layers) == theirs
    scribble(dice, layers, theirs, writes=4, longest=MIB)
    disks.remove_run(session)
    rows[4] = version_of(store.seal("tiny.d4", (rows[3],), number=4, method=SealMethod.LAYER), number=4, parent=3)
    ((_, layers),) = disks.create_run(session, (RunDisk(place=0, chain=chain_of(rows[4], rows.values())),), uid=None)
    assert judge.seen(layers) == theirs
