# SPDX-License-Identifier: MIT
"""`labvirt --controller URL`: a command does at a controller elsewhere what it does here."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from labvirt.bootstrap import app
from labvirt.cli.main import Root
from labvirt.contracts.engine import PoolStatus
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.pool import SpareKind
from labvirt.domain.right import Right
from labvirt.usecases import jobs, tokens
from labvirt.web.ui.knock import COOKIE

from .conftest import Api

Run = Callable[..., Result]


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    """The API on a socket. A token that is none is a browser's sign-in here: how tokens are judged is not this test's matter."""

    def door(environ: dict[str, Any], start: Any) -> Any:
        token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        if not token.startswith(tokens.PREFIX):
            del environ["HTTP_AUTHORIZATION"]
            environ["HTTP_COOKIE"] = f"{COOKIE}={token}"
        return api.app(environ, start)

    server = make_server("127.0.0.1", 0, door, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(api: Api, url: str, tmp_path: Path) -> Run:
    cookie = api.client.get_cookie(COOKIE)
    assert cookie is not None
    file = tmp_path / "token"
    file.write_text(f"{cookie.value}\n")

    def call(*words: str, token: Path = file, input: str | None = None) -> Result:
        return CliRunner().invoke(Root(app()), ["--controller", url, "--token-file", str(token), *words], input=input)

    return call


def told(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, (result.stdout, result.stderr)
    return json.loads(result.stdout)


def test_labs_and_terminals(run: Run, api: Api) -> None:
    assert told(run("lab", "add", "lab-b", "--network", "10.78.0.0/24", "--json"))["name"] == "lab-b"
    assert [each["name"] for each in told(run("lab", "list", "--json"))] == ["lab-a", "lab-b"]
    added = told(
        run("terminal", "add", "pc-9", "--lab", "lab-b", "--mac", "52:54:00:00:00:09", "--parameter", "X=1", "--inactive", "--json")
    )
    assert (added["name"], added["mac"], added["parameters"], added["active"]) == ("pc-9", "52:54:00:00:00:09", {"X": "1"}, False)
    assert told(run("terminal", "set", "pc-9", "--no-mac", "--id", "thin", "--json"))["mac"] is None
    assert run("terminal", "remove", "pc-9").exit_code == 0
    assert [each["name"] for each in api.get("/terminals?lab=lab-b").json["items"]] == []


def test_guests_and_orders(run: Run) -> None:
    assert told(run("guest", "start", "lab-a-t02", "--json"))["wish"] == "running"
    assert told(run("guest", "stop", "lab-a-02", "--how", "kill", "--json"))["stop_how"] == "kill"
    assert told(run("terminal", "restart", "lab-a-t01", "--grace", "60", "--json"))["word"] == "restart"
    assert told(run("lab", "end", "lab-a", "--in", "30", "--then", "stop", "--json"))[0]["due"] == "stop"
    assert told(run("lab", "power", "lab-a", "--on", "07:30", "--json"))["on"] == "07:30"
    assert told(run("lab", "power", "lab-a", "--no-on", "--json"))["on"] is None


def test_desktops_that_wait(run: Run, api: Api) -> None:
    set_ = told(run("pool", "set", "lab-a", "desktop", "--ready", "2", "--minutes", "60", "--json"))
    assert (set_["ready"], set_["paused"], set_["minutes"]) == (2, 0, 60)
    api.engine.warm = (PoolStatus(lab="lab-a", profile="desktop", waiting=((SpareKind.READY, 1),), holds="it is full"),)
    assert [(each["ready"], each["waiting"]) for each in told(run("pool", "list", "lab-a", "--json"))] == [(2, {"ready": 1})]
    assert "it is full" in run("pool", "list", "lab-a").stdout
    assert run("pool", "set", "lab-a", "desktop", "--paused", "1").exit_code == 2  # the profile wants no clones
    assert told(run("pool", "list", "lab-a", "--json"))[0]["ready"] == 2
    assert run("pool", "remove", "lab-a", "desktop").exit_code == 0
    assert told(run("pool", "list", "lab-a", "--json")) == []


def test_images_sessions_and_jobs(run: Run, api: Api) -> None:
    begun = told(run("image", "blank", "win11", "--size", "1M", "--detach", "--json"))
    assert (begun["kind"], begun["state"]) == ("blank", "queued")
    assert [each["number"] for each in told(run("job", "list", "--json"))] == [begun["number"]]
    jobs.run(api.ports, begun["number"])
    assert told(run("job", "wait", str(begun["number"]), "--json"))["state"] == "done"
    assert told(run("job", "list", "--json")) == []
    assert told(run("version", "list", "win11", "--json"))[0]["number"] == 1
    assert told(run("image", "note", "win11", "empty", "--json"))["note"] == "empty"
    assert told(run("admin", "list", "--json")) == []


def test_people_groups_and_tokens(run: Run, api: Api, tmp_path: Path) -> None:
    assert told(run("group", "add", "chemistry", "--grant", "teacher:lab-a", "--json"))["grants"] == ["teacher:lab-a"]
    words = ("--grant", "administrator", "--group", "chemistry", "--json")
    anna = told(run("person", "add", "anna", *words, input="correct horse battery\n"))
    assert (anna["grants"], anna["groups"], anna["password"]) == (["administrator"], ["chemistry"], True)
    assert not told(run("person", "add", "eve", "--campus", "--json"))["password"]
    assert run("person", "add", "tom", input="").exit_code == 2
    assert [each["name"] for each in told(run("person", "list", "--json"))] == ["anna", "eve"]
    assert not told(run("person", "set", "eve", "--not-active", "--full-name", "Eve", "--json"))["active"]
    assert told(run("person", "set", "anna", "--no-groups", "--json"))["groups"] == []
    assert told(run("person", "password", "eve", "--json", input="correct horse battery\n"))["password"]
    assert told(run("person", "show", "eve", "--json"))["full_name"] == "Eve"
    assert told(run("person", "sign-out", "eve", "--json")) == {"ended": []}
    assert not told(run("person", "forget-phone", "eve", "--json"))["phone"]
    assert told(run("group", "set", "chemistry", "--no-grants", "--json"))["grants"] == []
    assert told(run("group", "list", "--json"))[0]["members"] == []
    assert run("group", "remove", "chemistry").exit_code == 0
    assert run("person", "remove", "eve").exit_code == 0
    tending = tmp_path / "tending"
    tending.write_text(tokens.add(api.ports, "tending", person="anna", rights={Right.SITE, Right.PEOPLE}).secret)
    made = told(run("token", "add", "anna", "night", "--right", "site", "--days", "2", "--json", token=tending))
    assert (made["rights"], made["secret"][:4]) == (["look", "site"], "lvt_")
    assert {each["name"] for each in told(run("token", "list", "--json", token=tending))} == {"tending", "night"}
    assert told(run("token", "remove", made["id"], "--json", token=tending))["name"] == "night"
    assert run("person", "add", "tom", "--campus", token=tending).exit_code == 0


def test_commands_that_read_or_write_a_file_here(run: Run, api: Api, tmp_path: Path) -> None:
    file, picture = tmp_path / "test_office.py", tmp_path / "screen.png"
    file.write_text("def test_office():\n    pass\n")
    assert told(run("profile", "checks", "add", "desktop", str(file), "--json"))["checks"] == ["test_office.py"]
    assert told(run("profile", "checks", "add", "desktop", str(file), "--name", "test_two.py", "--json"))["checks"][-1] == "test_two.py"
    assert told(run("profile", "checks", "show", "desktop", "test_two.py", "--json"))["text"] == file.read_text()
    assert run("profile", "checks", "add", "desktop", str(tmp_path / "test_missing.py")).exit_code == 2
    written = told(run("guest", "screenshot", "lab-a-01", str(picture), "--json"))
    assert (written["guest"], written["size_bytes"]) == ("lab-a-01", picture.stat().st_size)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run("guest", "screenshot", "lab-a-01", str(tmp_path / "nowhere" / "screen.png")).exit_code == 2


def test_a_sentence_for_a_guest_and_for_a_lab(run: Run) -> None:
    one = told(run("guest", "tell", "lab-a-01", "Please come to the desk.", "--json"))
    assert [(each["guest"], each["text"]) for each in one] == [("lab-a-01", "Please come to the desk.")]
    everybody = told(run("guest", "tell", "--lab", "lab-a", "Ten minutes left.", "--minutes", "10", "--json"))
    assert {each["text"] for each in everybody} == {"Ten minutes left."}
    for words in (("Only one word",), ("--lab", "lab-a", "lab-a-01", "Two words")):
        assert told(run("guest", "tell", *words, "--json"), code=2)["error"]["field"] == "sentence"


def test_the_doctor_of_a_controller_elsewhere(run: Run, api: Api) -> None:
    assert api.get("/doctor").status_code == 404  # nobody asked it yet
    found = told(run("doctor", "--json"))
    assert found["ok"] is True
    assert api.get("/doctor").json == found  # kept, and not made anew
    api.engine.away = True
    assert told(run("doctor", "--json"), code=3)["error"]["code"] == "engine-away"
    assert api.get("/doctor").json == found
    api.engine.away = False
    api.engine.findings = (Finding(code="tun", severity=Severity.ERROR, sentence="There is no /dev/net/tun.", fix="modprobe tun"),)
    assert told(run("doctor", "--json"), code=1)["findings"][0]["fix"] == "modprobe tun"  # as at the controller's own shell
    assert api.get("/doctor").json["ok"] is False


def test_tables_and_sentences_for_people(run: Run) -> None:
    table = run("terminal", "list")
    assert (table.exit_code, "lab-a-t04" in table.stdout, "NAME" in table.stdout) == (0, True, True)
    assert "network: 10.77.0.0/24" in run("lab", "show", "lab-a").stdout


def test_refusals_have_the_exit_codes_of_here(run: Run) -> None:
    missing = told(run("lab", "show", "lab-z", "--json"), code=1)["error"]
    assert (missing["code"], missing["noun"], missing["name"]) == ("not-found", "lab", "lab-z")
    assert told(run("lab", "add", "lab-b", "--network", "8.8.8.0/24", "--json"), code=2)["error"]["field"] == "network"
    assert told(run("guest", "show", "lab-a-77", "--json"), code=1)["error"]["code"] == "not-found"


@pytest.mark.parametrize("words", [("init",), ("image", "export", "tiny", "/tmp/x", "--format", "raw"), ("demo",)])
def test_what_works_at_the_controllers_shell_only_says_so(run: Run, words: tuple[str, ...]) -> None:
    refused = run(*words)
    assert (refused.exit_code, "on another machine" in refused.stderr) == (3, True)


def test_who_may_not_pass_and_who_is_not_there(run: Run, tmp_path: Path) -> None:
    assert run("lab", "list").exit_code == 0
    wrong = tmp_path / "wrong"
    wrong.write_text("nobody")
    assert told(run("lab", "list", "--json", token=wrong), code=1)["error"]["code"] == "not-signed-in"
    assert run("lab", "list", token=tmp_path / "missing").exit_code == 2
    for address, code in (("http://192.0.2.1", 2), ("ftp://localhost", 2), ("https://127.0.0.1:9", 3), ("http://127.0.0.1:9/x", 2)):
        elsewhere = CliRunner().invoke(Root(app()), ["--controller", address, "--token-file", str(wrong), "lab", "list"])
        assert elsewhere.exit_code == code, elsewhere.stderr
