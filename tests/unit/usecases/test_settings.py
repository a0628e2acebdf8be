# SPDX-License-Identifier: MIT
"""The cascade of settings: who wins, what is refused with which words, what is gone with its owner, what a terminal hears."""

from __future__ import annotations

from datetime import timedelta

import pytest

from labvirt.domain.setting import SETTINGS, Scope, SettingValue, cascade, check
from labvirt.errors import InvalidInput, NotFound
from labvirt.usecases import asking, classes, labs, settings, terminals
from labvirt.usecases.settings import Level
from tests.unit.usecases.conftest import MAC, OWN, Site

SITE = Level()
LAB = Level(scope=Scope.LAB, subject="lab-a")
CLASS = Level(scope=Scope.CLASS, subject="spice")
TERMINAL = Level(scope=Scope.TERMINAL, subject="pc-01")


def now(site: Site, key: str, level: Level = TERMINAL) -> tuple[str, str]:
    found = next(each for each in settings.show(site.ports, level).effective if each.setting.key == key)
    return found.value, found.origin


def test_the_stronger_level_wins_and_the_origin_is_named(site: Site) -> None:
    assert now(site, "language") == ("auto", "default")
    for level, value, origin in (
        (SITE, "es", "site"),
        (LAB, "fr", "lab lab-a"),
        (CLASS, "cs", "class spice"),
        (TERMINAL, "ru", "terminal pc-01"),
    ):
        settings.change(site.ports, level, "language", value)
        assert now(site, "language") == (value, origin)
    assert now(site, "language", LAB) == ("fr", "lab lab-a")
    assert now(site, "language", CLASS) == ("cs", "class spice")
    for level, left in ((TERMINAL, "cs"), (CLASS, "fr"), (LAB, "es"), (SITE, "auto")):
        settings.unset(site.ports, level, "language")
        assert now(site, "language")[0] == left
    assert "setting language = ru (terminal)" in site.history("pc-01")


@pytest.mark.parametrize(
    "key,good,spelt,bad",
    [
        ("keyboard", "cz-qwerty", "cz-qwerty", "klingon"),
        ("language", "es", "es", "tlh"),
        ("resolution", "1920x1080", "1920x1080", "1920x1080; reboot"),
        ("resolution", "auto", "auto", "10x10"),
        ("screens", "two-extend", "two-extend", "three"),
        ("idle_off_minutes", "010", "10", "-1"),
        ("idle_off_minutes", "1440", "1440", "1441"),
        ("allow", "power,restart-guest", "restart-guest,power", "power,root"),
        ("allow", "none", "none", "power,power"),
        ("fixed", "language", "language", ""),
        ("usb", "on", "on", "yes"),
    ],
)
def test_a_bad_value_names_the_key_the_reason_and_what_is_allowed(site: Site, key: str, good: str, spelt: str, bad: str) -> None:
    settings.change(site.ports, LAB, key, good)
    assert now(site, key) == (spelt, "lab lab-a")
    with pytest.raises(InvalidInput) as refused:
        settings.change(site.ports, LAB, key, bad)
    assert refused.value.field == key
    assert repr(bad) in refused.value.reason
    assert SETTINGS[key].allowed in refused.value.hint
    assert now(site, key) == (spelt, "lab lab-a")


def test_what_is_no_setting_no_level_or_not_set_is_refused(site: Site) -> None:
    with pytest.raises(InvalidInput, match="is no setting"):
        settings.change(site.ports, SITE, "colour", "red")
    with pytest.raises(InvalidInput, match="is not set"):
        settings.unset(site.ports, SITE, "sound")
    for level in (Level(scope=Scope.LAB, subject="x"), Level(scope=Scope.CLASS, subject="x"), Level(scope=Scope.TERMINAL, subject="x")):
        with pytest.raises(NotFound):
            settings.change(site.ports, level, "sound", "off")
    with pytest.raises(InvalidInput, match="only be one of"):
        settings.level_of(lab="a", terminal="b")
    assert settings.level_of(lab="a") == Level(scope=Scope.LAB, subject="a")
    assert settings.change(site.ports, SITE, "sound", "off").own == {"sound"}


def test_every_default_is_a_value_that_could_be_set() -> None:
    for key, each in SETTINGS.items():
        assert check(key, each.default) == each.default
        assert each.sentence.endswith(".")
    strange = [SettingValue(scope=Scope.SITE, subject="", key=key, value="?") for key in ("language", "of another version")]
    assert cascade(strange) == cascade([])
    assert cascade([SettingValue(scope=Scope.SITE, subject="", key="language", value="es")]) != cascade([])


def test_settings_go_with_their_lab_class_or_terminal(site: Site) -> None:
    ports = site.ports
    labs.add(ports, name="lab-b", network=labs.parse_network("10.78.0.0/24"))
    rdp = classes.one(ports, "rdp").terminal_class
    terminals.add(ports, lab="lab-b", name="pc-02", terminal_class="rdp")
    there = (Level(scope=Scope.LAB, subject="lab-b"), Level(scope=Scope.CLASS, subject="rdp"), Level(scope=Scope.TERMINAL, subject="pc-02"))
    for level in (*there, SITE):
        settings.change(ports, level, "sound", "off")

    def kept() -> list[int]:
        with ports.database.read() as work:
            return [len(work.settings.of(level.scope, level.subject)) for level in (*there, SITE)]

    assert kept() == [1, 1, 1, 1]
    terminals.remove(ports, "pc-02")
    assert kept() == [1, 1, 0, 1]
    classes.remove(ports, "rdp")
    labs.remove(ports, "lab-b")
    assert kept() == [0, 0, 0, 1]
    classes.add(ports, rdp)
    assert now(site, "sound", there[1]) == ("off", "site")


def test_a_terminal_hears_what_counts_and_what_its_person_may_do(site: Site) -> None:
    def heard() -> asking.Answer:
        return asking.ask(site.ports, str(MAC), OWN).answer

    before = heard()
    assert dict(before.settings) == {key: each.default for key, each in SETTINGS.items() if key != "allow"}
    assert before.allowed == ()
    settings.change(site.ports, LAB, "allow", "power,fresh-guest")
    settings.change(site.ports, TERMINAL, "screens", "two-mirror")
    after = heard()
    assert dict(after.settings)["screens"] == "two-mirror"
    assert after.allowed == ("fresh-guest", "power")


def test_who_waits_hears_the_rest_of_what_starts_of_this_profile_took(site: Site) -> None:
    from dataclasses import replace

    from labvirt.domain.guest import GuestState
    from labvirt.usecases import power

    def heard() -> int | None:
        site.clock.go(10)  # what is known of starts is read anew
        return asking.ask(site.ports, str(MAC), OWN).answer.expect_seconds

    assert heard() is None  # nobody knows
    for number, seconds in ((2, 3.0), (3, 8.0), (4, 60.0)):
        terminals.add(site.ports, lab="lab-a", name=f"pc-0{number}", seat=number)
        power.start(site.ports, f"pc-0{number}")
        site.move(GuestState.STARTING, name=f"lab-a-0{number}")
        guest = site.move(GuestState.RUNNING, name=f"lab-a-0{number}")
        with site.ports.database.write() as work:
            began = site.clock.now()
            work.guests.update(replace(guest, started_at=began, running_at=began + timedelta(seconds=seconds)))
            work.commit()
    assert heard() == 8  # the median
    guest = site.move(GuestState.STARTING)
    with site.ports.database.write() as work:
        work.guests.update(replace(guest, started_at=site.clock.now() - timedelta(seconds=-5)))
        work.commit()
    assert heard() == 3
    assert heard() == 0  # later than expected: any moment
    site.move(GuestState.WANTED, reason="its turn: 2 are before it")
    assert heard() is None
    site.move(GuestState.RUNNING)
    assert heard() is None
