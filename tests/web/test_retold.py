# SPDX-License-Identifier: MIT
"""What other rooms say in English is told on the pages in the reader's language, and stays English everywhere else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import GuestState
from labvirt.usecases import profiles
from labvirt.web.ui.retold import sentences
from labvirt.web.ui.sentences import LONGEST, Sentences

from .conftest import Site
from .lab import guest, put
from .sentences import Said, of_source, said
from .words import LANGUAGES, TOLD, catalogue

PLACES = re.compile(r"\{\w+\}")
FULL = "the host box has about 100 MiB of memory left and this guest needs 512 MiB"
FAILED = "its machine ended by itself 3 times in a row"
FINDING = Finding(code="x", severity=Severity.ERROR, sentence="The bridge lvt-x belongs to no lab.", fix="ip link delete lvt-x")


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_sentence_is_translated_with_its_places(name: str) -> None:
    known = catalogue(name, TOLD)
    found = said()
    assert len(found) > 1500  # else the reading of the sources has gone blind
    left, broken = [], []
    for each, where in found.items():
        message = known.get(each.text, each.place or None)
        if message is None or not message.string or message.fuzzy:
            left.append((where, each))
        elif sorted(PLACES.findall(str(message.string))) != sorted(PLACES.findall(each.text)):
            broken.append((each.text, message.string))
    assert (left, broken) == ([], [])
    assert len([message for message in known if message.id]) == len(found)  # nor any that nobody says


def test_what_of_a_source_is_said_to_a_person() -> None:
    source = '''
"""A module of many words."""
log.info("nobody reads this sentence")
def act(lab, seats, ended):
    """Nor this one."""
    if "words that are matched" in lab: raise ValueError("a mistake of programmers")
    raise NotFound("lab", lab.name)
    raise LabVirtError(f"The {lab.name!r} has {len(seats)} seats.", hint="Ask " + ("them now." if ended else "us later."))
    row.reason = f"it {'has ended' if ended else 'goes on'}"
    argv = ["labvirt lab list", "labvirt image gc, or wait"]
'''
    assert {each for each, _ in of_source(source)} == {
        Said("lab", "noun"),
        Said("The {name} has {seats} seats."),
        Said("Ask them now."),
        Said("Ask us later."),
        Said("it has ended"),
        Said("it goes on"),
        Said("has ended"),  # a choice by itself too: where there are too many they are not written out
        Said("goes on"),
        Said("labvirt image gc, or wait"),
    }


@pytest.mark.parametrize(
    "text, told",
    [
        ("There is no lab called 'terminal'.", "No existe 'terminal' (laboratorio)."),
        ("terminal terminal gets full: there is no profile yet", "el terminal terminal recibe full: aún no hay ningún perfil"),
        (
            "trying again, because its machine ended by itself 3 times in a row",
            "intentándolo de nuevo, porque su máquina terminó por sí sola 3 veces seguidas",
        ),
        (
            "The engine does not answer: it hung up. Start it: labvirt serve. Running desktops are not touched.",
            "El motor no responde: colgó. Arránquelo: labvirt serve. Los escritorios que funcionan no se tocan.",
        ),
        ("clone of desktop.t3", "clon de desktop.t3"),
        ("boot: its template is not made yet", "arranque: su plantilla aún no está hecha"),
        ("paused clone of desktop.t3", "clon de desktop.t3 que esperaba cargado"),
        ("prespawned clone of desktop.t3", "clon de desktop.t3 cuyo proceso esperaba"),
        ("ready: clone of desktop.t3", "ya funcionaba: clon de desktop.t3"),
        ("ready: boot", "ya funcionaba: arranque"),
        ("ready: boot: its template is not made yet", "ya funcionaba: arranque: su plantilla aún no está hecha"),
        ("lab-a-01 is starting, not running.", "lab-a-01 no funciona; su estado: arrancando."),
        ("Cannot make the overlay lab-a-01.g3: it.", "No se puede crear la capa lab-a-01.g3: it."),
        ("nobody's words, in no catalogue", "nobody's words, in no catalogue"),
        ("told by anna: {text} <b>{by}</b>", "anna dijo: {text} <b>{by}</b>"),
    ],
)
def test_sentences_in_sentences(text: str, told: str) -> None:
    assert sentences("es").told(text) == told


@pytest.mark.parametrize("name", LANGUAGES)
def test_how_a_run_began_is_told_whole(name: str) -> None:
    """Nothing English is left of it, and the template's name stays."""
    known = sentences(name)
    why = "its template is not made yet"
    clone, boot, late = known.told("clone of desktop.t3", "origin"), known.told("boot", "origin"), known.told(why)
    assert (clone != "clone of desktop.t3", boot != "boot", late != why) == (True, True, True)
    told = {
        each: known.told(each, "origin") for each in ("ready: clone of desktop.t3", "ready: boot", f"ready: boot: {why}", f"boot: {why}")
    }
    assert clone in told["ready: clone of desktop.t3"]
    assert boot in told["ready: boot"]
    assert late in told[f"ready: boot: {why}"]
    assert told[f"boot: {why}"] in told[f"ready: boot: {why}"]
    for kind in ("paused", "prespawned"):
        other = known.told(f"{kind} clone of desktop.t3", "origin")
        assert (kind in other, "desktop.t3" in other, clone == other) == (False, True, False)
    assert "ready" not in " ".join(told.values())


def test_of_two_readings_the_one_that_leaves_less_over() -> None:
    known = Sentences()
    for text in ("{who} gets {profile}: {why}", "terminal {name}", "it is free"):
        known.add(text, f"<{text}>")
    known.sort()
    assert known.told("terminal pc gets office: it is free") == "<<terminal pc> gets office: <it is free>>"
    long = "the " * LONGEST
    assert known.told(long) == long


def seen(site: Site, path: str, spoken: str) -> str:
    return site.browser().get(path, headers={"Accept-Language": spoken}).text


@pytest.mark.parametrize(
    "spoken, words",
    [
        ("es", ("le quedan unos 100 MiB de memoria", "terminó por sí sola 3 veces", "no pertenece a ningún laboratorio")),
        ("cs", ("zbývá asi 100 MiB paměti", "skončil sám od sebe 3krát", "nepatří žádné laboratoři")),
    ],
)
def test_waits_failures_and_findings_on_the_first_page(
    site: Site, spoken: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = site.ports.clock.now()
    put(site.ports, site.engine, guest(1, GuestState.WANTED, now, reason=f"full: {FULL}"), guest(2, GuestState.FAILED, now, reason=FAILED))
    real = site.engine.status
    monkeypatch.setattr(site.engine, "status", lambda: replace(real(), findings=(FINDING,)))
    english, told = seen(site, "/", "en"), seen(site, "/", spoken)
    for sentence, translation in zip((FULL, FAILED, FINDING.sentence), words, strict=True):
        assert sentence in english
        assert sentence not in told
        assert translation in told


def test_a_refused_page_a_field_and_a_setting(site: Site) -> None:
    browser = site.browser()
    sent = {"level": "site", "key": "idle_off_minutes", "value": "soon", "do": "set"}
    told = {}
    for spoken in ("en", "cs", "ru"):
        ask = {"Accept-Language": spoken}
        told[spoken] = browser.get("/seats/nobody-99", headers=ask).text + browser.post("/settings", data=sent, headers=ask).text
    for english, czech, russian in (
        ("There is no guest called", "Nic takového není: host", "Такого нет: гость"),
        ("cannot be &#39;soon&#39;", "nesmí být &#39;soon&#39;", "не может быть &#39;soon&#39;"),
        ("Allowed: a whole number from 0 to 1440.", "Dovoleno: celé číslo od 0 do 1440.", "Разрешено: целое число от 0 до 1440."),
        ("The screen goes dark", "Obrazovka zhasne", "Экран гаснет"),
    ):
        assert (english in told["en"], english in told["cs"], english in told["ru"]) == (True, False, False)
        assert czech in told["cs"]
        assert russian in told["ru"]


def test_why_an_act_on_many_seats_leaves_one_alone_and_what_a_role_is_called(site: Site) -> None:
    profiles.change(site.ports, "desktop", active=False)
    browser = site.browser()
    told = {}
    for spoken in ("en", "fr"):
        ask = {"Accept-Language": spoken}
        plan = browser.post("/labs/lab-a/plan", data={"do": "start", "seats": ["1"]}, headers=ask)
        told[spoken] = plan.text + browser.get("/people", headers=ask).text + browser.get("/seats/lab-a-01", headers=ask).text
    for english, french in (
        ("it is not active", "pas actif"),
        ("teacher everywhere", "enseignant partout"),
        ("lab-manager in", "responsable de laboratoire dans"),
    ):
        assert (english in told["en"], english in told["fr"]) == (True, False)
        assert french in told["fr"]


def test_the_api_and_what_is_stored_stay_english(site: Site) -> None:
    put(site.ports, site.engine, guest(1, GuestState.WANTED, site.ports.clock.now(), reason=FULL))
    answer = site.browser().get("/seats/nobody-99", headers={"Accept-Language": "es", "Accept": "application/json"})
    assert answer.json()["error"]["sentence"].startswith("There is no guest")
    assert "le quedan unos 100 MiB" in seen(site, "/", "es")
    with site.ports.database.read() as work:
        assert work.guests.one("lab-a-01").reason == FULL


def test_a_hostile_value_stays_text(site: Site) -> None:
    hostile = "its image <script>alert(1)</script> does not exist"
    put(site.ports, site.engine, guest(1, GuestState.FAILED, site.ports.clock.now(), reason=hostile))
    page = seen(site, "/", "es")
    assert "su imagen &lt;script&gt;alert(1)&lt;/script&gt; no existe" in page
    assert "<script>alert" not in page


def test_every_catalogue_has_the_same_sentences() -> None:
    assert {path.name for path in Path(TOLD).glob("*.po")} == {f"{name}.po" for name in LANGUAGES}
