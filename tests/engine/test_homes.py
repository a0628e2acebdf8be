# SPDX-License-Identifier: MIT
"""What each start tells its guest about the person's work: the sentence, the home of this seat, and the login, which nobody else sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labvirt.contracts.hypervisor import HOME_LOGIN
from labvirt.domain.guest import GuestState, Purpose
from labvirt.domain.lab import OnLeave
from labvirt.domain.profile import Profile
from labvirt.engine.homes import home_of
from labvirt.usecases import power
from tests.engine.simulated import SimLab, lab, profile, until
from tests.engine.test_engine import ports_of, row, start

LOGIN = "username=lab\npassword=geheim\n"


def login_of(sim: SimLab, text: str = LOGIN, mode: int = 0o600) -> None:
    folder = sim.root / "homes"
    folder.mkdir(exist_ok=True)
    (folder / "tiny").write_text(text)
    (folder / "tiny").chmod(mode)


def test_a_guest_without_a_home_is_told_when_it_forgets(sim: SimLab) -> None:
    sim.furnish(lab(seats=4, on_leave=OnLeave.RESET, leave_grace_seconds=5))
    with sim.engine() as engine:
        spec = sim.hypervisor.specs[start(sim, engine, "lab-a-01")]
        told = dict(spec.told)
        assert told.keys() == {"forgets"}
        assert told["forgets"].startswith("This computer forgets everything 5 seconds after you leave it")
        assert not spec.home_login


def test_each_seat_is_told_its_own_home_also_in_the_preview(sim: SimLab) -> None:
    login_of(sim)  # of a share: NFS has none
    sim.furnish(lab(seats=4), kind=profile(home="nfs://files.lab/homes/%LAB%/%SEAT%"))
    with sim.engine() as engine:
        for seat in (1, 2):
            spec = sim.hypervisor.specs[start(sim, engine, f"lab-a-{seat:02d}")]
            assert dict(spec.told)["home"] == f"nfs://files.lab/homes/lab-a/{seat}"
            assert dict(spec.told)["forgets"].startswith("Your home folder is kept on files.lab;")
            assert not spec.home_login


def test_the_login_of_a_share_lies_in_the_runs_folder_and_in_no_word(sim: SimLab) -> None:
    login_of(sim)
    sim.furnish(lab(seats=4), kind=profile(home="smb://files.lab/homes/%SEAT%"))
    with sim.engine() as engine:
        spec = sim.hypervisor.specs[start(sim, engine, "lab-a-01")]
        assert spec.home_login
        assert (spec.folder / HOME_LOGIN).read_text() == LOGIN  # the simulated driver does not read it; the real ones remove it
        assert (spec.folder / HOME_LOGIN).stat().st_mode & 0o777 == 0o600
        assert "geheim" not in repr(spec)


@pytest.mark.parametrize("text, mode, why", [(LOGIN, 0o640, "may be read by others"), ("x" * 5000, 0o600, "longer than")])
def test_a_login_that_is_none_keeps_the_guest_from_starting_and_says_why(sim: SimLab, text: str, mode: int, why: str) -> None:
    login_of(sim, text, mode)
    sim.settings = replace(sim.settings, start_attempts=1)
    sim.furnish(lab(seats=4), kind=profile(home="smb://files.lab/homes/%SEAT%"))
    with sim.engine() as engine:
        power.start(ports_of(sim, engine), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").state is GuestState.FAILED)
        assert why in row(sim, "lab-a-01").reason
        login_of(sim)
        power.fresh(ports_of(sim, engine), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").ready)


def test_only_seats_have_homes_and_only_with_all_their_variables() -> None:
    place = lab()
    desk: Profile = profile(home="nfs://files.lab/%TERMINAL%")
    identity = place.identity(3)
    assert str(home_of(desk, place, identity, "pc-3", Purpose.SEAT)) == "nfs://files.lab/pc-3"
    assert home_of(desk, place, identity, None, Purpose.SEAT) is None
    for purpose in set(Purpose) - {Purpose.SEAT}:
        assert home_of(desk, place, identity, "pc-3", purpose) is None
    assert home_of(profile(), place, identity, "pc-3", Purpose.SEAT) is None
