# SPDX-License-Identifier: MIT
"""P1's work, in a mount namespace of its own (volume.alone): one draft sealed in each way, by LabVirt and by hand, flows taking turns.

Says on stdout, as JSON: measure -> flow -> values. A flow is called 'xfs flatten ours'; measures are `seconds` and `mib` (written to
the file system's device until all is there), and for the proofs of a launch `proof`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from labvirt.contracts.images import SealMethod
from labvirt.disks.store import VersionStore
from labvirt.domain.image import Version
from tests.bench.ground import must
from tests.bench.rounds import Once, interleave, say
from tests.bench.volume import KINDS, Volume, make
from tests.fakes.disks import doors, version_of

DRAFT = "desk.d1"
PIECE = 256 << 10
"""Bytes of one change: the guest's changes are many, and far apart."""
BY_HAND, AND_SURE = "by hand", "by hand and sure"
PATIENCE = 1800.0
JUDGED_MIB = 256
"""Up to this size the first result of every flow is compared with the draft: a way that makes something else is not measured."""

Made = tuple[Path, Callable[[], None]]
"""The file that was made, and what removes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One file system with a version of `desk`, and a draft over it. `plain` is the folder for what is made by hand."""

    volume: Volume
    store: VersionStore
    version: Version
    base: Path
    draft: Path
    plain: Path


def main(words: list[str]) -> None:
    folder, mib, changed, repeat, warm_up = Path(words[0]), *map(int, words[1:])
    say(f"  {mib} MiB that cannot be packed, imported twice")
    source = folder / "desk.raw"
    content(source, mib)
    benches = [_bench(make(kind, folder, 4 * mib + 1024), source, changed) for kind in KINDS]
    source.unlink()
    flows: dict[str, Once] = {}
    for bench in benches:
        for method in SealMethod:
            if method is SealMethod.REFLINK and bench.volume.kind != "xfs":
                continue
            name = f"{bench.volume.kind} {method}"
            flows[f"{name} ours"] = _timed(bench, _ours(bench, method))
            flows[f"{name} {BY_HAND}"] = _timed(bench, _by_hand(bench, method, sure=False))
            flows[f"{name} {AND_SURE}"] = _timed(bench, _by_hand(bench, method, sure=True))
    found = interleave(flows, repeat, warm_up=warm_up)
    say("  the proof before a launch")
    first = benches[0]
    proofs: dict[str, Once] = {
        "first": lambda number: _proof(first, forgotten=True),
        "again": lambda number: _proof(first, forgotten=False),
        "sha256sum": lambda number: _sha256sum(first),
    }
    print(json.dumps(found | interleave(proofs, repeat, warm_up=warm_up)))


def content(path: Path, mib: int) -> None:
    """So many MiB that look random and are the same each time: AES in counter mode over nothing."""
    stream = Cipher(algorithms.AES(b"LabVirt's bench!"), modes.CTR(bytes(16))).encryptor()
    nothing = bytes(1 << 20)
    with path.open("xb") as file:
        for _ in range(mib):
            file.write(stream.update(nothing))


def _bench(volume: Volume, source: Path, changed_mib: int) -> Bench:
    made = doors(volume.root)
    stored = made["store"].import_version(source, format="raw", image="desk", number=1)
    version = version_of(stored, image="desk")
    draft = made["drafts"].create(DRAFT, (version,)).path
    change(draft, source, size=version.virtual_bytes, amount=changed_mib << 20)
    plain = volume.root / "plain"
    plain.mkdir()
    return Bench(volume=volume, store=made["store"], version=version, base=volume.root / "images" / stored.file, draft=draft, plain=plain)


def change(draft: Path, content: Path, *, size: int, amount: int) -> None:
    """So many bytes of the disk are others now, in pieces that are spread over all of it."""
    count = amount // PIECE
    step = size // count // 65536 * 65536
    commands = [word for number in range(count) for word in ("-c", f"write -q -s {content} {number * step} {PIECE}")]
    must(["qemu-io", "-f", "qcow2", *commands, str(draft)], timeout=PATIENCE)


def _timed(bench: Bench, deed: Callable[[], Made]) -> Once:
    """Removing the result is not measured."""

    def once(number: int) -> Mapping[str, float]:
        bench.volume.settle()
        before, began = bench.volume.written_bytes(), time.perf_counter()
        made, undo = deed()
        took = time.perf_counter() - began
        bench.volume.settle()
        written = bench.volume.written_bytes() - before
        if number == 0 and bench.version.virtual_bytes <= JUDGED_MIB << 20:
            must(["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "qcow2", str(made), str(bench.draft)], timeout=PATIENCE)
        undo()
        return {"seconds": took, "mib": written / (1 << 20)}

    return once


def _ours(bench: Bench, method: SealMethod) -> Callable[[], Made]:
    def deed() -> Made:
        stored = bench.store.seal(DRAFT, (bench.version,), number=2, method=method)
        return bench.volume.root / "images" / stored.file, lambda: bench.store.remove(stored.file)

    return deed


def _by_hand(bench: Bench, method: SealMethod, *, sure: bool) -> Callable[[], Made]:
    """`sure`: with what a careful person adds, so that both do the same: tables checked, on the disk, with a checksum."""
    target, changes = bench.plain / "disk.qcow2", bench.plain / "changes.qcow2"

    def deed() -> Made:
        match method:
            case SealMethod.LAYER:
                must(["cp", str(bench.draft), str(target)], timeout=PATIENCE)
            case SealMethod.FLATTEN:
                must(["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", str(bench.draft), str(target)], timeout=PATIENCE)
            case SealMethod.REFLINK:
                must(["cp", "--reflink=always", "--no-preserve=mode", str(bench.base), str(target)], timeout=PATIENCE)
                must(["cp", str(bench.draft), str(changes)], timeout=PATIENCE)
                must(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", str(target), "-F", "qcow2", str(changes)], timeout=PATIENCE)
                must(["qemu-img", "commit", "-q", "-d", "-f", "qcow2", str(changes)], timeout=PATIENCE)
                changes.unlink()
        if sure:
            must(["qemu-img", "check", "-q", "-f", "qcow2", str(target)], timeout=PATIENCE)
            must(["sync", str(target), str(target.parent)], timeout=PATIENCE)
            must(["sha256sum", str(target)], timeout=PATIENCE)
        return target, target.unlink

    return deed


def _proof(bench: Bench, *, forgotten: bool) -> Mapping[str, float]:
    """`forgotten`: as after the host has booted, when nothing is proven (but all of it in memory)."""
    if forgotten:
        (bench.volume.root / "images" / ".proven.json").unlink(missing_ok=True)
    began = time.perf_counter()
    bench.store.proven((bench.version,))
    return {"proof": time.perf_counter() - began}


def _sha256sum(bench: Bench) -> Mapping[str, float]:
    began = time.perf_counter()
    must(["sha256sum", str(bench.base)], timeout=PATIENCE)
    return {"proof": time.perf_counter() - began}


if __name__ == "__main__":
    main(sys.argv[1:])
