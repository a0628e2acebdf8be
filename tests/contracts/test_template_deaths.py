# SPDX-License-Identifier: MIT
"""kill -9 at every point of a template's making and removal: it is whole or absent, and nothing lies about afterwards."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labvirt.domain.guest import StopHow
from labvirt.errors import HypervisorError
from labvirt.hypervisors.libvirt.processes import find_pids
from labvirt.hypervisors.qemu import identity
from labvirt.hypervisors.template_keeping import Keeping
from labvirt.system import locks
from tests.contracts import template_deaths
from tests.contracts.template_deaths import NAME, dies_on_shelf, make, remove
from tests.contracts.workshop import WORKSHOPS, Ground, LibvirtWorkshop

ROOT = Path(__file__).parents[2]


def dies(*words: object) -> bool:
    """A process of template_deaths has killed itself; False when it has done all."""
    done = subprocess.run((sys.executable, "-m", template_deaths.__name__, *map(str, words)), cwd=ROOT, timeout=240)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def _is_whole(folder: Path) -> bool:
    """What the next life finds: all of it, or nothing. Nothing else is there."""
    keeping = Keeping(folder / "templates")
    names = [kept.template.name for kept in keeping.all()]
    left = [path for path in folder.glob("templates/.stage/*") if path.name != ".lock"]
    assert left == []
    assert {path.name for path in folder.glob("templates/*")} - {".stage"} == set(map(str, names))
    if names:
        with keeping.opened(NAME) as (manifest, ram, _):
            assert os.fstat(ram).st_size == (3 << 20) + 5
            assert set(manifest.files) == {"ram", "state", "disk-0.qcow2"}
    keeping.close()
    return bool(names)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with (tmp_path / "source").open("wb") as file:
        file.write(b"memory" * 1000)
        file.truncate((3 << 20) + 5)
    return tmp_path


def test_a_build_that_is_killed_leaves_a_template_or_nothing(folder: Path) -> None:
    seen = set()
    for last in itertools.count(1):
        died = dies_on_shelf(make, folder, last)
        seen.add(whole := _is_whole(folder))
        assert whole or died
        shutil.rmtree(folder / "templates", ignore_errors=True)
        if not died:
            break
    assert last > 15
    assert seen == {True, False}


def test_a_removal_that_is_killed_leaves_a_template_or_nothing(folder: Path) -> None:
    seen = set()
    for last in itertools.count(1):
        make(folder)
        died = dies_on_shelf(remove, folder, last)
        seen.add(whole := _is_whole(folder))
        assert died or not whole
        shutil.rmtree(folder / "templates", ignore_errors=True)
        if not died:
            break
    assert last > 5
    assert seen == {True, False}


def test_a_build_that_goes_on_is_left_alone(folder: Path) -> None:
    make(folder)
    going, dead = (folder / "templates/.stage" / name for name in ("desktop.t2-00000000", "desktop.t3-00000000"))
    for path in (going, dead):
        path.mkdir()
        (path / ".lock").touch()
    held = locks.take(going / ".lock")
    assert held is not None
    keeping = Keeping(folder / "templates")
    assert [kept.template.name for kept in keeping.all()] == [NAME]
    assert going.is_dir()
    assert not dead.exists()
    held.release()
    keeping.all()
    assert not going.exists()


def test_what_a_guest_may_have_laid_in_its_folder_is_not_followed(folder: Path) -> None:
    (folder / "source").rename(folder / "secret")
    (folder / "source").symlink_to(folder / "secret")
    with pytest.raises(HypervisorError):
        make(folder)
    assert not _is_whole(folder)
    (folder / "source").unlink()
    (folder / "secret").rename(folder / "source")
    make(folder)
    assert _is_whole(folder)


@pytest.mark.real
@pytest.mark.parametrize("driver", ["qemu", "libvirt"])
@pytest.mark.parametrize("last", ["state", "ram", "overlay-0.qcow2", "manifest.json"])
def test_a_controller_that_is_killed_while_it_freezes_leaves_nothing_torn(ground: Ground, driver: str, last: str) -> None:
    with contextlib.closing(WORKSHOPS[driver](ground.path)) as shop:
        uri = shop.libvirt.uri if isinstance(shop, LibvirtWorkshop) else "-"
        first = shop.new()
        spec = shop.spec("lab-a-s15")
        first.templates().prepare(spec)
        first.close()
        assert dies(uri, shop.runs, "freeze", spec.run, last)
        second = shop.new()
        assert second.templates().kept() == ()
        shelf = shop.folder / "templates"
        assert [path.name for path in shelf.iterdir()] == [".stage"]
        assert [path.name for path in (shelf / ".stage").iterdir()] == [".lock"]
        lives = [status.run for status in second.running()]
        assert lives == ([spec.run] if last == "state" else [])
        second.stop(spec.run, StopHow.STOP)
        assert second.running() == ()
        assert spec.uuid not in find_pids()
        assert identity.find(spec.folder) == ()
        again = shop.spec("lab-a-s14")
        second.templates().prepare(again)
        second.close()  # QEMU's monitor has one listener
        assert not dies(uri, shop.runs, "freeze", again.run, "nothing")
        assert [kept.template.name for kept in shop.new().templates().kept()] == [NAME]
