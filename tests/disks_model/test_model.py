# SPDX-License-Identifier: MIT
"""Any sequence of what people do to images, on real qcow2 files, against a model that knows the bytes of every disk.

The model is a dict; the judge of bytes is qemu-img on explicit chains. Longer: LABVIRT_MODEL_EXAMPLES=500 LABVIRT_MODEL_STEPS=60.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from labvirt.contracts.disks import RunDisk
from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import SealMethod
from labvirt.disks.qcow2_header import HEAD_BYTES, parse
from labvirt.domain.guest import RunId
from labvirt.domain.image import DiskChoice, Version, chain_of
from labvirt.domain.kept import Kept
from labvirt.errors import InUse
from tests.disks_model import judge
from tests.fakes.disks import AT, doors, version_of

SIZE = 1 << 20
EXAMPLES = int(os.environ.get("LABVIRT_MODEL_EXAMPLES", "0"))
STEPS = int(os.environ.get("LABVIRT_MODEL_STEPS", "16"))

T = TypeVar("T")
picks = st.integers(min_value=0, max_value=1 << 16)
seats = st.integers(min_value=1, max_value=2)
writes = st.tuples(
    st.integers(min_value=0, max_value=SIZE // 512 - 1), st.integers(min_value=1, max_value=512), st.integers(min_value=0, max_value=255)
)
"""First sector, sectors, value; 0 is written as zeros."""


@dataclass
class Disk:
    """A disk that can be written, or was: what its bytes are and which version it was made from."""

    content: bytes
    version: int
    kept: RunId | None = None


class Images(RuleBasedStateMachine):
    """One image, two seats. What the database would hold is in `rows`; where QEMU and the store keep it, is for them to say."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="lvt-model-"))
        self.doors = doors(self.root)
        self.rows: dict[int, Version] = {}
        self.contents: dict[int, bytes] = {}
        self.published = 0
        self.previous = 0
        self.last = 0
        self.counter = 0
        self.runs: dict[RunId, Disk] = {}
        self.kept: dict[RunId, Disk] = {}
        self.drafts: dict[str, Disk] = {}

    @initialize(seed=picks)
    def first(self, seed: int) -> None:
        content = random.Random(seed).randbytes(SIZE)
        source = self.root / "source.raw"
        source.write_bytes(content)
        stored = self.doors["store"].import_version(source, format="raw", image="tiny", number=1)
        self.enter(1, version_of(stored), content)
        self.published = 1
        # Most sequences that matter begin like this: somebody worked, and a layer was published above him.
        self.work(1, [(seed % 2048, 3, 1)])
        self.begin_draft()
        self.session(0, [(seed % 1999, 200, 2)])
        self.seal(0, SealMethod.LAYER, publish=True)
        self.work(2, [(seed % 1777, 9, 3)])
        self.rescue(0, of=2)

    # What people do.

    @rule(seat=seats, keep=st.sampled_from([True, True, False]))
    def start_afresh(self, seat: int, keep: bool) -> None:
        guest = f"lab-a-{seat:02}"
        self.end(guest, keep)
        self.make(self.next_run(guest), Disk(self.contents[self.published], self.published))

    @rule(seat=seats, what=st.lists(writes, min_size=1, max_size=3))
    def work(self, seat: int, what: list[tuple[int, int, int]]) -> None:
        """On the desktop that is there, or on a fresh one."""
        run = next((run for run in self.runs if run.guest == f"lab-a-{seat:02}"), None)
        if run is None:
            self.start_afresh(seat, keep=True)
            run = next(reversed(self.runs))
        self.runs[run].content = self.written(self.layers_of(run), self.runs[run].content, what)

    @precondition(lambda self: len(self.drafts) < 3)
    @rule()
    def begin_draft(self) -> None:
        self.counter += 1
        name = f"tiny.d{self.counter}"
        self.doors["drafts"].create(name, self.chain(self.published))
        self.drafts[name] = Disk(self.contents[self.published], self.published)

    @precondition(lambda self: self.drafts)
    @rule(pick=picks, what=st.lists(writes, min_size=1, max_size=4))
    def session(self, pick: int, what: list[tuple[int, int, int]]) -> None:
        name = choose(self.drafts, pick)
        draft, run = self.drafts[name], self.next_run("lab-a-s01")
        disk = RunDisk(place=0, chain=self.chain(draft.version), draft=name)
        ((_, layers),) = self.doors["disks"].create_run(run, (disk,), uid=None)
        draft.content = self.written(layers, draft.content, what)
        assert self.doors["kept"].keep(run, self.about(run, draft)) is None
        self.doors["disks"].remove_run(run)

    @precondition(lambda self: self.drafts and len(self.rows) < 6)
    @rule(pick=picks, method=st.sampled_from([SealMethod.LAYER, SealMethod.FLATTEN, None]), publish=st.booleans())
    def seal(self, pick: int, method: SealMethod | None, publish: bool) -> None:
        name = choose(self.drafts, pick)
        draft = self.drafts[name]
        number = self.last + 1
        stored = self.doors["store"].seal(name, self.chain(draft.version), number=number, method=method)
        self.enter(number, version_of(stored, number=number, parent=draft.version), draft.content)
        if publish:
            self.publish(number)

    @rule(pick=picks)
    def publish_any(self, pick: int) -> None:
        self.publish(choose(self.rows, pick))

    @precondition(lambda self: self.previous in self.rows)
    @rule()
    def undo(self) -> None:
        self.publish(self.previous)

    @precondition(lambda self: self.drafts)
    @rule(pick=picks)
    def discard(self, pick: int) -> None:
        name = choose(self.drafts, pick)
        self.doors["drafts"].remove(name)
        del self.drafts[name]

    @precondition(lambda self: any(row.backing is not None for row in self.rows.values()))
    @rule(pick=picks)
    def flatten(self, pick: int) -> None:
        number = choose({number: row for number, row in self.rows.items() if row.backing is not None}, pick)
        old = self.rows[number]
        self.rows[number] = version_of(self.doors["store"].flatten(self.chain(number)), number=number, parent=old.parent)
        assert self.rows[number].backing is None
        assert self.rows[number].file != old.file

    @rule(pick=picks, of=seats)
    def rescue(self, pick: int, of: int) -> None:
        """A seat's run is kept, and one of the kept ones is started once more there."""
        self.end(f"lab-a-{of:02}", keep=True)
        if self.kept:
            below = choose(self.kept, pick)
            disk = self.kept[below]
            self.make(self.next_run(f"lab-a-{of:02}"), Disk(disk.content, disk.version, kept=below))

    @precondition(lambda self: self.kept)
    @rule(pick=picks)
    def forget(self, pick: int) -> None:
        """Those that somebody stands on are refused; of the others one goes."""
        below = {disk.kept for disk in (*self.runs.values(), *self.kept.values())} & self.kept.keys()
        for run in below:
            self.refused(lambda run=run: self.doors["kept"].remove(run))  # type: ignore[misc]
        if free := {run: disk for run, disk in self.kept.items() if run not in below}:
            run = choose(free, pick)
            self.doors["kept"].remove(run)
            del self.kept[run]

    @precondition(lambda self: len(self.rows) > 1)
    @rule(pick=picks)
    def bin(self, pick: int) -> None:
        """The database's rules first (decision 9), then the file goes if no real header stands on it."""
        number = choose(self.rows, pick)
        disks = (*self.runs.values(), *self.kept.values(), *self.drafts.values())
        if number == self.published or any(disk.version == number for disk in disks):
            return
        row = self.rows[number]
        if any(other.backing == number for other in self.rows.values()):
            self.refused(lambda: self.doors["store"].remove(row.file))
            return
        if row.file in self.doors["store"].references():  # a flattened layer's old file
            self.refused(lambda: self.doors["store"].remove(row.file))
            return
        self.doors["store"].remove(row.file)
        del self.rows[number]

    @rule()
    def collect_garbage(self) -> None:
        store, wanted = self.doors["store"], {row.file for row in self.rows.values()}
        for entry in store.entries():
            if entry.file in wanted:
                continue
            if entry.file in store.references():
                self.refused(lambda entry=entry: store.remove(entry.file))  # type: ignore[misc]
            else:
                store.remove(entry.file)
        self.judge_all()

    @rule(cut=st.booleans())
    def crash(self, cut: bool) -> None:
        """Everything that was in memory is gone; half-made things lie about; the next process begins."""
        for half in ("images/.stage/0123456789abcdef/version", "drafts/tiny.d999", "kept/lab-a-09.g9.part", "kept/lab-a-08.g9.gone"):
            (self.root / half).mkdir(parents=True, exist_ok=True)
        (self.root / "images/.stage/0123456789abcdef/version/disk.qcow2").write_bytes(b"QFI\xfb half")
        (self.root / "drafts/tiny.d999/.new.qcow2").write_bytes(b"QFI\xfb half")
        (self.root / "kept/lab-a-09.g9.part/.record.json.0.new").write_bytes(b"{")
        memory = self.root / "images" / ".proven.json"
        if cut and memory.exists():
            memory.write_bytes(memory.read_bytes()[:-20])
        self.doors = doors(self.root)
        self.judge_all()

    # What must be true whatever was done.

    @invariant()
    def every_version_is_what_it_was(self) -> None:
        for row in self.rows.values():
            path = self.root / "images" / row.file
            assert judge.sha256(path) == row.sha256, row.label
            assert path.stat().st_mode & 0o222 == 0
            chain_of(row, self.rows.values())

    @invariant()
    def every_chain_exists(self) -> None:
        for path in (
            *self.root.glob("*/*/overlay-*.qcow2"),
            *self.root.glob("drafts/*/disk.qcow2"),
            *self.root.glob("images/*/*/disk.qcow2"),
        ):
            at: Path | None = path
            while at is not None:
                name = parse(at.read_bytes()[:HEAD_BYTES]).backing_file
                at = None if name is None else at.parent / os.fsdecode(name)
                assert at is None or at.is_file(), f"{path} stands on {at}"

    @invariant()
    def what_exists_is_what_is_known(self) -> None:
        assert {folder.run for folder in self.doors["disks"].runs()} == set(self.runs)
        assert {each.run for each in self.doors["kept"].list() if each.used_bytes} == set(self.kept)
        assert {each.name for each in self.doors["drafts"].list()} == set(self.drafts)
        assert {row.file for row in self.rows.values()} <= {entry.file for entry in self.doors["store"].entries()}

    def teardown(self) -> None:
        try:
            if self.rows:
                self.judge_all()
        finally:
            shutil.rmtree(self.root)

    def judge_all(self) -> None:
        """Every disk has the bytes of the model: versions, runs, kept runs, drafts."""
        store = self.root / "images"
        for number in self.rows:
            layers = tuple(DiskLayer(path=store / row.file, format=row.format) for row in self.chain(number))
            assert judge.seen(layers) == self.contents[number], f"v{number}"
        for run, disk in self.runs.items():
            assert judge.seen(self.layers_of(run)) == disk.content, str(run)
        for run, disk in self.kept.items():
            ((_, layers),) = self.doors["kept"].layers(run)
            assert judge.seen(layers) == disk.content, f"kept {run}"
        for name, disk in self.drafts.items():
            chain = tuple(DiskLayer(path=store / row.file, format=row.format) for row in self.chain(disk.version))
            top = DiskLayer(path=self.root / "drafts" / name / "disk.qcow2", format="qcow2")
            assert judge.seen((top, *chain)) == disk.content, name

    # How it is done.

    def enter(self, number: int, version: Version, content: bytes) -> None:
        self.rows[number], self.contents[number], self.last = version, content, number

    def publish(self, number: int) -> None:
        if number != self.published:
            self.published, self.previous = number, self.published

    def chain(self, number: int) -> tuple[Version, ...]:
        return chain_of(self.rows[number], self.rows.values())

    def next_run(self, guest: str) -> RunId:
        self.counter += 1
        return RunId(guest, self.counter)

    def make(self, run: RunId, disk: Disk) -> None:
        wanted = RunDisk(place=0, chain=self.chain(disk.version), kept=disk.kept)
        ((_, layers),) = self.doors["disks"].create_run(run, (wanted,), uid=None)
        assert layers == self.layers_of(run) or any(row.backing is None for row in wanted.chain)
        self.runs[run] = disk

    def layers_of(self, run: RunId) -> tuple[DiskLayer, ...]:
        """As the run's headers have it now."""
        layers = [DiskLayer(path=self.root / "runs" / str(run) / "overlay-0.qcow2", format="qcow2")]
        while (name := parse(layers[-1].path.read_bytes()[:HEAD_BYTES]).backing_file) is not None:
            layers.append(DiskLayer(path=Path(os.path.normpath(layers[-1].path.parent / os.fsdecode(name))), format="qcow2"))
        return tuple(layers)

    def end(self, guest: str, keep: bool) -> None:
        """The guest's run, if there is one, is over."""
        for run in [run for run in self.runs if run.guest == guest]:
            disk = self.runs.pop(run)
            if keep and len(self.kept) < 4:
                found = self.doors["kept"].keep(run, self.about(run, disk))
                if found is not None:
                    self.kept[run] = disk
                    continue
                below = self.kept[disk.kept].content if disk.kept is not None else self.contents[disk.version]
                assert disk.content == below, "what was written was not kept"
            self.doors["disks"].remove_run(run)

    @staticmethod
    def about(run: RunId, disk: Disk) -> Kept:
        choice = DiskChoice(place=0, image="tiny", version=disk.version)
        return Kept(run=run, profile="desk", disks=(choice,), ended_at=AT, source=disk.kept)

    @staticmethod
    def written(layers: tuple[DiskLayer, ...], content: bytes, what: list[tuple[int, int, int]]) -> bytes:
        """`content` after these writes, which are done to the file too."""
        commands = []
        for first, sectors, value in what:
            at, length = first * 512, min(sectors * 512, SIZE - first * 512)
            commands.append(f"write -z {at} {length}" if value == 0 else f"write -P {value} {at} {length}")
            content = content[:at] + bytes([value]) * length + content[at + length :]
        judge.write(layers, *commands, "flush")
        return content

    @staticmethod
    def refused(act: object) -> None:
        try:
            act()  # type: ignore[operator]
        except InUse as error:
            if error.by:
                return
        raise AssertionError("it was removed, and something stands on it")


def choose(things: Mapping[T, object], pick: int) -> T:
    return list(things)[pick % len(things)]


Images.TestCase.settings = settings(
    max_examples=EXAMPLES or 7,
    stateful_step_count=STEPS,
    derandomize=not EXAMPLES,
    database=None,
    phases=(Phase.generate, Phase.shrink) if EXAMPLES else (Phase.generate,),  # shrinking takes minutes: files are real
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestImages = Images.TestCase
