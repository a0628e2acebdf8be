# SPDX-License-Identifier: MIT
"""The catalogues: complete, not stale, with the same places, plural forms right; and the sentences of which they know."""

from __future__ import annotations

import ast
import re
import string
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "kiosk" / "labvirt_kiosk"
OTHERS = ("es", "fr", "cs", "ru")
TROUBLES = {"NoAnswer", "BadAnswer", "NotYet", "Refused"}
LETTERS = {"es": "áéíóúñ¿", "fr": "éèêçà", "cs": "ěščřžýáíé", "ru": "абвгде"}


def calls(module: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse((PACKAGE / module).read_text())) if isinstance(node, ast.Call)]


def originals() -> set[str]:
    """Every msgid that the sources ask for: plural ones joined by NUL, as in the catalogue."""
    from labvirt_kiosk.known_sentences import KNOWN

    found = set(KNOWN)
    for path in PACKAGE.glob("*.py"):
        for call in calls(path.name):
            constants = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if isinstance(call.func, ast.Attribute) and constants:
                if call.func.attr == "say" and "words" in ast.unparse(call.func.value):
                    found.add(constants[0])
                elif call.func.attr == "count":
                    found.add("\0".join(constants[:2]))
    return found


def entries(language: str) -> dict[str, str]:
    from labvirt_kiosk.catalogue import read_entries

    return read_entries((ROOT / "kiosk/locale" / language / "LC_MESSAGES/labvirt-kiosk.po").read_text(encoding="utf-8"))


def places(template: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(template) if name)


@pytest.mark.parametrize("language", OTHERS)
def test_each_sentence_is_translated_and_none_is_stale(language: str) -> None:
    told = entries(language)
    assert set(told) - {""} == originals()
    forms = int(re.search(r"nplurals=(\d)", told[""])[1])
    for original, translation in told.items():
        if not original:
            continue
        one, *many = original.split("\0")
        said = translation.split("\0")
        assert len(said) == (forms if many else 1), original
        for each in said:
            assert each.strip(), original
            assert places(each) == places(one), original
            assert each.endswith(".") == one.endswith("."), original
    assert any(letter in "".join(told.values()) for letter in LETTERS[language])


def test_there_is_a_catalogue_for_each_language_and_no_other() -> None:
    from labvirt_kiosk.catalogue import LANGUAGES

    assert tuple(LANGUAGES) == ("en", *OTHERS)
    assert {path.name for path in (ROOT / "kiosk/locale").iterdir()} == set(OTHERS)


@pytest.mark.parametrize(
    "language, n, said",
    [("en", 1, "Trying again in 1 second"), ("es", 2, "Nuevo intento en 2 segundos"), ("fr", 0, "Nouvel essai dans 0 seconde"),
     ("cs", 1, "Nový pokus za 1 sekundu"), ("cs", 3, "Nový pokus za 3 sekundy"), ("cs", 5, "Nový pokus za 5 sekund"),
     ("ru", 21, "Новая попытка через 21 секунду"), ("ru", 11, "Новая попытка через 11 секунд"),
     ("ru", 22, "Новая попытка через 22 секунды")],
)  # fmt: skip
def test_plural_forms(language: str, n: int, said: str) -> None:
    from labvirt_kiosk.catalogue import Catalogue

    assert Catalogue(language).count("Trying again in {n} second", "Trying again in {n} seconds", n) == said


def sentences(node: ast.expr) -> list[str]:
    """The sentences that `node` may be, with 7 in each place."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)]
        case ast.IfExp(body=body, orelse=orelse):
            return [*sentences(body), *sentences(orelse)]
        case ast.BinOp(left=left, right=right):
            return [a + b for a in sentences(left) for b in sentences(right)]
    return []


def test_what_the_kiosk_says_is_known_to_the_catalogues() -> None:
    """Of the sources whose sentences reach the screen; answers' and viewers' own details stay English (kiosk/README.md)."""
    from labvirt_kiosk.catalogue import Catalogue

    said: list[str] = []
    for module in ("loop.py", "question.py", "installed.py", "viewer.py"):
        for call in calls(module):
            name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if name in TROUBLES and call.args:
                said += sentences(call.args[0])
            elif name == "show" and len(call.args) > 1:
                said += sentences(call.args[1])
        for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "_reason":
                said += [text for each in ast.walk(node) if isinstance(each, ast.Return) and each.value for text in sentences(each.value)]
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("sentence", "question"):
                said += sentences(node.value)
    said = [text for text in said if "trying again in" not in text]  # the face counts down itself
    said = [text.replace("(exit code 7)7", "(exit code 7): 7") for text in said]  # the part of the last line, which may be empty
    assert len(said) > 25, "this test would hold of nothing"
    strangers = [text for text in said if Catalogue("ru").translate(text) == text]
    assert strangers == []


def test_the_sentences_of_the_controller_are_those_it_says() -> None:
    from labvirt_kiosk.known_sentences import OF_THE_CONTROLLER

    source = (ROOT / "labvirt/domain/answer.py").read_text()
    stale = [template for template in OF_THE_CONTROLLER if not all(part in source for part in re.split(r"\{\w+\}", template))]
    assert stale == []


def test_the_notices_and_reasons_of_the_controller_are_those_it_says() -> None:
    from labvirt_kiosk.known_sentences import OF_NOTICES, OF_REASONS

    files = ("domain/message.py", "domain/plan.py", "domain/placement.py", "engine/queue.py", "domain/living.py", "domain/host.py")
    cases = ("asking.py", "draining.py", "seats.py")
    source = "".join((ROOT / "labvirt" / file).read_text() for file in (*files, *(f"usecases/{case}" for case in cases)))
    stale = [
        template
        for template in (*OF_NOTICES, *OF_REASONS)
        if not all(part in source for part in re.split(r"\{\w+\}|started afresh|switched off|in 5 minutes|in 1 minute", template))
    ]
    assert stale == []


def test_a_notice_is_translated_and_the_teachers_words_after_it_stay() -> None:
    from datetime import timedelta

    from labvirt_kiosk.catalogue import Catalogue
    from labvirt_kiosk.face_view import view_of

    from labvirt.domain.message import end_of_lesson

    now = datetime(2026, 1, 1, tzinfo=UTC)

    def shown(notice: str) -> str:
        return view_of({"state": "viewing", "notice": notice}, Catalogue("cs"), now).notice

    assert shown("Time is up in 5 minutes. Please save your work.") == "Čas vyprší za 5 minut. Uložte si prosím práci."
    both = "Time is up in 1 minute. Please save your work. Bring your notes."
    assert shown(both) == "Čas vyprší za 1 minutu. Uložte si prosím práci. Bring your notes."
    assert shown("Please come to the desk.") == "Please come to the desk."
    for fresh in (True, False):
        assert shown(end_of_lesson(now + timedelta(hours=1), fresh=fresh)).startswith("Hodina končí v ")


def test_a_sentence_in_a_sentence_is_translated_and_a_strange_one_stays() -> None:
    from labvirt_kiosk.catalogue import Catalogue

    away = "The controller http://h/ does not answer since 12:03 (nobody answers at this address)"
    assert Catalogue("cs").translate(away) == "Řídicí server http://h/ neodpovídá od 12:03 (na této adrese nikdo neodpovídá)"
    assert Catalogue("cs").translate("{url} %s") == "{url} %s"
    assert Catalogue("xx").language == "en"


@pytest.mark.parametrize("text", ["", "garbage", 'msgid "a"\nmsgstr "b\n', 'msgid "a"\nmsgstr[x] "b"\n', "\0" * 99])
def test_a_broken_catalogue_speaks_english(tmp_path, text) -> None:
    from labvirt_kiosk.catalogue import Catalogue

    folder = tmp_path / "cs/LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "labvirt-kiosk.po").write_text(text)
    assert Catalogue("cs", tmp_path).say("Seat {seat}", seat=3) == "Seat 3"


def test_a_view_of_nothing_and_of_garbage() -> None:
    from labvirt_kiosk.catalogue import Catalogue
    from labvirt_kiosk.face_view import view_of

    now = datetime(2026, 1, 1, tzinfo=UTC)
    words = Catalogue("en")
    assert view_of({}, words, now).headline.startswith("One moment")
    odd: dict[str, Any] = {"state": "waiting", "message": "a\x1b[2J\u202eb", "seat": "x", "expect_at": 5, "notice": ["n"], "lab": {}}
    view = view_of(odd, words, now)
    assert (view.headline, view.seat, view.countdown, view.notice) == ("a [2J b", "", "", "")
    late = view_of({"state": "waiting", "message": "m", "expect_at": "2025-12-31T23:59:59Z"}, words, now)
    assert late.countdown == "Ready in a moment"


def test_language_and_keyboard_come_from_the_same_sources_as_the_rest(tmp_path, capsys) -> None:
    from labvirt_kiosk import settings

    kernel = "labvirt.language=cs labvirt.keyboard=cz labvirt.power labvirt.no_face"
    given = settings.read(["--language", "fr"], {"LABVIRT_LANGUAGE": "es"}, kernel)
    assert (given.language, given.keyboard, given.power, given.face) == ("fr", "cz", True, False)
    assert settings.read([], {}, "").language is None
    assert not settings.read([], {}, "").power
    with pytest.raises(SystemExit):
        settings.read(["--keyboard", "us; reboot"], {}, "")
    assert "must be one of" in capsys.readouterr().err


def test_choices_are_kept_and_only_those_on_the_lists(tmp_path) -> None:
    from labvirt_kiosk.choices import Choices, ChoiceStore

    store = ChoiceStore(tmp_path)
    store.change(language="ru")
    store.change(keyboard="cz")
    assert store.load() == Choices(language="ru", keyboard="cz")
    (tmp_path / "choices.json").write_text('{"language": "../x", "keyboard": ["us"]}')
    assert store.load() == Choices()
    ChoiceStore(Path("/proc/nowhere")).change(language="ru")  # forgets, and does not fail


def test_a_notice_that_comes_while_a_viewer_runs_is_told_and_a_controller_that_is_away_is_asked_again() -> None:
    from labvirt_kiosk.answer import Answer
    from labvirt_kiosk.notice_watch import NoticeWatch
    from labvirt_kiosk.question import Reply
    from labvirt_kiosk.trouble import NoAnswer

    etags: list[str | None] = []
    told: list[str | None] = []
    done = threading.Event()
    replies = iter([Reply(answer=Answer(status="ready", message="", notice="n"), etag="1"), Reply(answer=None, etag="1"), None])

    def ask(etag: str | None) -> Reply:
        etags.append(etag)
        reply = next(replies, Reply(answer=Answer(status="ready", message=""), etag="2"))
        if reply is None:
            raise NoAnswer("away")
        return reply

    def tell(answer: Answer) -> None:
        told.append(answer.notice)
        if answer.notice is None:
            done.set()

    watch = NoticeWatch(ask, tell, every_seconds=0.001)
    watch.start()
    assert done.wait(20)
    watch.stop()
    assert etags[:4] == [None, "1", "1", None]
    assert told[:2] == ["n", None]
