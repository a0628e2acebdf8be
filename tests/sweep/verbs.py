# SPDX-License-Identifier: MIT
"""The verbs of the sweep: each prepares a state, does its deed until that is acknowledged, and says afterwards what may be there.

What is judged for all of them is in house.py (`problems`); here is only what a verb promises itself.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.images import SealMethod
from labvirt.domain.draft import DraftState
from labvirt.domain.guest import Purpose, StopHow
from labvirt.usecases import garbage, images, power, profiles, sessions, specials, versions
from labvirt.usecases.ports import Ports
from tests.engine.simulated import until
from tests.sweep.house import MIB, House

WHO = "the sweep"
OLD = bytes(MIB)
NEW = b"new!" * (MIB // 4)

Deed = Callable[[House, Callable[[], None]], None]
Judge = Callable[[House, bool], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class Verb:
    """`deed` calls what it is given as soon as a person would have been told that it is done."""

    name: str
    before: Callable[[House], None]
    deed: Deed
    promise: Judge
    bin_days: float = 7
    patience: float = 60
    """Seconds that a recovery may take before it counts as stuck."""

    def prepare(self, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        with self._house(state) as house:
            house.begin()
            self.before(house)

    def act(self, state: Path, acknowledge: Callable[[], None]) -> None:
        with self._house(state) as house:
            self.deed(house, acknowledge)

    def judge(self, state: Path, acked: bool) -> list[str]:
        with self._house(state) as house:
            return [*house.problems(), *self.promise(house, acked)]

    @contextmanager
    def _house(self, state: Path) -> Iterator[House]:
        house = House(state, bin_days=self.bin_days, patience=self.patience)
        try:
            yield house
        finally:
            house.close()


def _nothing(house: House) -> None:
    pass


# --- what lies there before


def _open_session(house: House) -> None:
    with house.at_work() as (ports, _):
        house.done(ports, sessions.start(ports, "tiny", by=WHO))
    _write_draft(house)


def _write_draft(house: House) -> None:
    """What a teacher would do inside."""
    for draft in house.drafts.list():
        argv = ["qemu-io", "-f", "qcow2", "-c", f"write -P 0x6e 0 {MIB}", str(draft.path)]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)


def _two_versions(house: House) -> None:
    source = house.root / "second.raw"
    source.write_bytes(NEW)
    with house.at_work() as (ports, _):
        house.done(ports, images.import_image(ports, "tiny", source, format="raw", by=WHO, override="sweep"))


def _layer(house: House) -> None:
    _open_session(house)
    with house.at_work() as (ports, _):
        house.done(ports, sessions.publish(ports, "tiny", by=WHO, method=SealMethod.LAYER))


def _rubbish(house: House) -> None:
    """A version, a draft and a kept overlay that nobody needs any more."""
    _two_versions(house)
    with house.at_work() as (ports, _):
        power.start(ports, "lab-a-01")
        until(lambda: power.one(ports, "lab-a-01").ready)
        power.stop(ports, "lab-a-01", StopHow.STOP)
        until(lambda: str(power.one(ports, "lab-a-01").state) == "stopped")
        house.done(ports, sessions.start(ports, "tiny", by=WHO))
        sessions.discard(ports, "tiny", by=WHO)
        _all_off(ports)
        versions.bin(ports, "tiny", 1, by=WHO)


def _all_off(ports: Ports) -> None:
    until(lambda: all(specials.is_off(row) for row in power.guests(ports) if row.purpose is Purpose.ADMIN) and not ports.disks.runs())


def _running(house: House) -> None:
    with house.at_work() as (ports, _):
        power.start(ports, "lab-a-01")
        until(lambda: power.one(ports, "lab-a-01").ready)
        row = power.one(ports, "lab-a-01")
        assert row.run is not None
        folder = ports.disks.open_run(row.run)
        assert folder is not None
        argv = ["qemu-io", "-f", "qcow2", "-c", f"write -P 0x77 0 {MIB}", str(folder.overlays[0])]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)


# --- deeds


def _import(house: House, told: Callable[[], None]) -> None:
    source = house.root / "second.raw"
    with house.at_work() as (ports, _):
        house.done(ports, images.import_image(ports, "tiny", source, format="raw", by=WHO, override="sweep"))
        told()


def _clone(house: House, told: Callable[[], None]) -> None:
    with house.at_work() as (ports, _):
        profiles.clone(ports, "tiny", "other")
        told()


def _begin_session(house: House, told: Callable[[], None]) -> None:
    with house.at_work() as (ports, _):
        house.done(ports, sessions.start(ports, "tiny", by=WHO))
        told()


def _end_by(end: Callable[..., object]) -> Deed:
    def deed(house: House, told: Callable[[], None]) -> None:
        with house.at_work() as (ports, _):
            end(ports, "tiny", by=WHO)
            told()
            _all_off(ports)

    return deed


def _publish(method: SealMethod) -> Deed:
    def deed(house: House, told: Callable[[], None]) -> None:
        with house.at_work() as (ports, _):
            house.done(ports, sessions.publish(ports, "tiny", by=WHO, note="better", method=method))
            told()

    return deed


def _undo(house: House, told: Callable[[], None]) -> None:
    with house.at_work() as (ports, _):
        versions.rollback(ports, "tiny", by=WHO)
        told()


def _delete(house: House, told: Callable[[], None]) -> None:
    with house.at_work() as (ports, _):
        versions.bin(ports, "tiny", 1, by=WHO)
        told()


def _collect(house: House, told: Callable[[], None]) -> None:
    with house.at_work() as (ports, _):
        for _time in range(2):
            house.done(ports, garbage.collect(ports, by=WHO))
        told()


def _flatten(house: House, told: Callable[[], None]) -> None:
    with house.at_work() as (ports, _):
        house.done(ports, versions.flatten(ports, "tiny", 2, by=WHO))
        told()


def _copy_over(house: House, told: Callable[[], None]) -> None:
    """How it must not be done: the new content is written onto the published file."""
    version = house.versions()[1]
    path = house.store.path(version)
    made = house.root / "made.qcow2"
    argv = ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(house.root / "second.raw"), str(made)]
    subprocess.run(argv, check=True, timeout=60)
    path.chmod(0o644)
    with path.open("r+b") as file:
        for start in range(0, made.stat().st_size, 65536):
            file.write(made.read_bytes()[start : start + 65536])
    told()


def _stop(house: House, told: Callable[[], None]) -> None:
    with house.at_work() as (ports, _):
        power.stop(ports, "lab-a-01", StopHow.STOP)
        told()
        until(lambda: str(power.one(ports, "lab-a-01").state) == "stopped" and not ports.disks.runs())


# --- promises


def _is(house: House, number: int | None, wanted: bytes) -> Iterator[str]:
    version = house.versions().get(number or 0)
    if version is None:
        yield f"version {number} is not there"
    elif house.content(house.store.path(version)) != hashlib.sha256(wanted).hexdigest():
        yield f"version {number} is neither the old nor the new one"


def _old_or_new(old: int, new: int, contents: dict[int, bytes]) -> Judge:
    """The pointer is at one of both, and whatever it points at is what it was made of; acknowledged: the new one."""

    def judge(house: House, acked: bool) -> Iterator[str]:
        pointer = house.published()
        if acked and pointer != new:
            yield f"version {new} was acknowledged, and {pointer} is published"
        if pointer not in (old, new):
            yield f"{pointer} is published"
        for number, content in contents.items():
            if number in house.versions():
                yield from _is(house, number, content)
        if pointer is not None and pointer not in house.versions():
            yield f"the published version {pointer} is not there"
        if len(house.versions()) > len(contents):
            yield f"there are versions too many: {sorted(house.versions())}"

    return judge


def _cloned(house: House, acked: bool) -> Iterator[str]:
    with house.database.read() as work:
        other, tiny = work.profiles.get("other"), work.profiles.one("tiny")
    if acked and other is None:
        yield "an acknowledged clone is gone"
    if other is not None and other.slots != tiny.slots:
        yield "the clone is not whole"


def _drafts(wanted: set[DraftState], acknowledged: set[DraftState]) -> Judge:
    def judge(house: House, acked: bool) -> Iterator[str]:
        with house.database.read() as work:
            drafts = work.drafts.list()
        if acked and not drafts:
            yield "an acknowledged draft is gone"
        for draft in drafts:
            if draft.state not in (acknowledged if acked else wanted):
                yield f"{draft.name} is {draft.state}"
        if len(drafts) > 1:
            yield f"there are drafts too many: {[each.name for each in drafts]}"
        yield from _is(house, 1, OLD)

    return judge


def _collected(house: House, acked: bool) -> Iterator[str]:
    if house.published() != 2:
        yield f"{house.published()} is published"
    yield from _is(house, 2, NEW)


def _kept(house: House, acked: bool) -> Iterator[str]:
    kept = house.kept.list()
    if acked and len(kept) != 1:
        yield f"{len(kept)} overlays are kept"
    for each in kept:
        (_, layers), *_ = house.kept.layers(each.run)
        if house.content(layers[0].path) != hashlib.sha256(b"\x77" * MIB).hexdigest():
            yield "the kept overlay is not what the guest had written"
    yield from _is(house, 1, OLD)


def _second_source(house: House) -> None:
    (house.root / "second.raw").write_bytes(NEW)


VERBS = {
    verb.name: verb
    for verb in (
        Verb(name="import", before=_second_source, deed=_import, promise=_old_or_new(1, 2, {1: OLD, 2: NEW})),
        Verb(name="clone", before=_nothing, deed=_clone, promise=_cloned),
        Verb(
            name="session",
            before=_nothing,
            deed=_begin_session,
            # Called off half way, a draft that nobody has written lies in the bin.
            promise=_drafts({DraftState.OPEN, DraftState.KEPT, DraftState.DISCARDED}, {DraftState.OPEN}),
        ),
        Verb(
            name="keep",
            before=_open_session,
            deed=_end_by(sessions.keep),
            promise=_drafts({DraftState.OPEN, DraftState.KEPT}, {DraftState.KEPT}),
        ),
        Verb(
            name="discard",
            before=_open_session,
            deed=_end_by(sessions.discard),
            promise=_drafts({DraftState.OPEN, DraftState.DISCARDED}, {DraftState.DISCARDED}),
        ),
        Verb(
            name="publish-layer",
            before=_open_session,
            deed=_publish(SealMethod.LAYER),
            promise=_old_or_new(1, 2, {1: OLD, 2: b"\x6e" * MIB}),
        ),
        Verb(
            name="publish-flatten",
            before=_open_session,
            deed=_publish(SealMethod.FLATTEN),
            promise=_old_or_new(1, 2, {1: OLD, 2: b"\x6e" * MIB}),
        ),
        Verb(name="undo", before=_two_versions, deed=_undo, promise=_old_or_new(2, 1, {1: OLD, 2: NEW})),
        Verb(name="delete", before=_two_versions, deed=_delete, promise=_old_or_new(2, 2, {1: OLD, 2: NEW})),
        Verb(name="garbage", before=_rubbish, deed=_collect, promise=_collected, bin_days=0),
        Verb(name="flatten", before=_layer, deed=_flatten, promise=_old_or_new(2, 2, {1: OLD, 2: b"\x6e" * MIB})),
        Verb(name="stop", before=_running, deed=_stop, promise=_kept),
    )
}

CONTROL = Verb(name="control", before=_second_source, deed=_copy_over, promise=_old_or_new(1, 1, {1: OLD}), patience=2)
"""Not part of the sweep: a publish that tears. A sweep that finds nothing here is blind."""
