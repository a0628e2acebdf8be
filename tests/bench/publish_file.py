# SPDX-License-Identifier: MIT
"""P1: a draft of a 2 GiB image with 50 MiB changed becomes a version, by each method, beside plain qemu-img; and the proof of a launch."""

from __future__ import annotations

import json
from collections.abc import Sequence

from labvirt.contracts.images import SealMethod
from tests.bench import seal_worker
from tests.bench.ground import ground
from tests.bench.record import Record, record
from tests.bench.volume import KINDS, alone

COMMANDS = {
    SealMethod.LAYER: "cp",
    SealMethod.REFLINK: "cp --reflink + rebase -u + commit",
    SealMethod.FLATTEN: "qemu-img convert",
}
SURE = "the same + check, sync, sha256sum"

NOTES = (
    "LabVirt's way is the whole seal: draft copied, hashed, inspected, checked; qemu-img in its jail; fsync of all, sha256, manifest.",
    "By hand: the bare commands, nothing checked and nothing certain to be on the disk; then the same with what makes both alike.",
    "Data that cannot be packed, already in the host's memory; changes in pieces of 256 KiB, spread over the whole disk.",
    "sha256sum takes about twice as long as LabVirt's sha256 (OpenSSL, P1-proof): most of what LabVirt gains where all is hashed.",
    "XFS and ext4 are loop devices over the same disk, new and empty. Written: to the loop device until all of it is there.",
)
PROOF_NOTE = "The proof reads from the host's memory here; on a host that has just booted the disk's speed decides, for sha256sum as well."


def measure(mib: int, changed_mib: int, repeat: int, *, warm_up: int) -> list[Record]:
    """The file systems, and all that works on them, are the worker's and end with it."""
    with ground() as mine:
        numbers = (mib, changed_mib, repeat, warm_up)
        told = json.loads(alone(seal_worker.__name__, str(mine.folder), *map(str, numbers)))
    size = f"{mib / 1024:g} GiB" if mib % 1024 == 0 else f"{mib} MiB"
    pairs = [(kind, method) for kind in KINDS for method in SealMethod if f"{kind} {method} ours" in told["seconds"]]
    records: list[Record] = []
    for kind, method in pairs:
        what = f"{size}, {changed_mib} MiB changed, sealed by {method} on {kind}"
        notes = NOTES if not records else ()
        records.append(_one(f"P1-{method}-{kind}", what, "s", told["seconds"], kind, method, notes))
    for kind, method in pairs:
        records.append(_one(f"P1-{method}-{kind}-written", "the same: written", "MiB", told["mib"], kind, method))
    proof = {"ours": told["proof"]["first"], "sha256sum": told["proof"]["sha256sum"], "known: same inode as then": told["proof"]["again"]}
    records.append(record("P1-proof", f"proof of a {size} version, first use after boot", "s", proof, notes=(PROOF_NOTE,)))
    return records


def _one(id: str, what: str, unit: str, found: dict[str, list[float]], kind: str, method: SealMethod, notes: Sequence[str] = ()) -> Record:
    name = f"{kind} {method}"
    values = {
        "ours": found[f"{name} ours"],
        COMMANDS[method]: found[f"{name} {seal_worker.BY_HAND}"],
        SURE: found[f"{name} {seal_worker.AND_SURE}"],
    }
    return record(id, what, unit, values, notes=notes)
