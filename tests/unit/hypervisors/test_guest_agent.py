# SPDX-License-Identifier: MIT
"""The agent's channel, with a scripted agent on a real Unix socket: an honest one, and guests that lie, babble or say nothing."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labvirt.contracts.hypervisor import AGENT_SOCKET
from labvirt.errors import AgentSilent, Conflict, LabVirtError
from labvirt.hypervisors import guest_agent
from labvirt.hypervisors.qemu import agent
from labvirt.hypervisors.qemu.agent import AgentChannel
from tests.checks.channels import serving

SECRET = "S3cretOfTheTest"
CONTENT = bytes(range(256)) * 100
MOST = 40_000


class ScriptedAgent:
    """As qemu-guest-agent answers; `lies` gives the whole answer to a verb instead."""

    def __init__(self, **lies: bytes | None) -> None:
        self.lies = {verb.replace("_", "-"): said for verb, said in lies.items()}
        self.passwords: dict[str, str] = {}
        self.opened: list[str] = []
        self.closed: list[int] = []
        self.at = 0

    def answer(self, line: bytes) -> bytes | None:
        asked: dict[str, Any] = json.loads(line.lstrip(b"\xff"))
        arguments = asked.get("arguments", {})
        verb = asked["execute"]
        if verb in self.lies:
            return self.lies[verb]
        match verb:
            case "guest-sync-delimited":
                return b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n\xff' + _json(arguments["id"])
            case "guest-set-user-password":
                assert arguments["crypted"] is False
                self.passwords[arguments["username"]] = base64.b64decode(arguments["password"]).decode()
                return _json({})
            case "guest-file-open":
                self.opened.append(arguments["path"])
                if arguments["path"] != "/etc/xrdp/cert.pem":
                    return _error("failed to open file: No such file or directory")
                self.at = 0
                return _json(1000)
            case "guest-file-read":
                piece = CONTENT[self.at : self.at + arguments["count"]]
                self.at += len(piece)
                return _json({"count": len(piece), "buf-b64": base64.b64encode(piece).decode(), "eof": self.at >= len(CONTENT)})
            case "guest-file-close":
                self.closed.append(arguments["handle"])
                return _json({})
        return _error("unknown")


def _json(value: object) -> bytes:
    return json.dumps({"return": value}).encode() + b"\n"


def _error(words: object) -> bytes:
    return json.dumps({"error": {"class": "GenericError", "desc": words}}).encode() + b"\n"


def set_password(folder: Path, seconds: float = 20.0) -> None:
    with AgentChannel(folder, "lab-a-01", held=False).conversation(seconds) as ask:
        guest_agent.set_password(ask, "lab-a-01", "student", SECRET)


def read(folder: Path, path: str = "/etc/xrdp/cert.pem", most: int = MOST, seconds: float = 20.0) -> bytes | None:
    with AgentChannel(folder, "lab-a-01", held=False).conversation(seconds) as ask:
        return guest_agent.read_file(ask, "lab-a-01", path, most)


def test_an_honest_agent(tmp_path: Path) -> None:
    honest = ScriptedAgent()
    with serving(tmp_path / AGENT_SOCKET, honest.answer, greeting=b'{"return": "for somebody before us"}\n\xff{"return": 1}\n') as heard:
        set_password(tmp_path)
        assert honest.passwords == {"student": SECRET}
        assert read(tmp_path) == CONTENT
        assert read(tmp_path, most=len(CONTENT)) == CONTENT
        assert read(tmp_path, most=len(CONTENT) - 1) is None
        assert honest.closed == [1000, 1000, 1000]
        assert read(tmp_path, path="/etc/no-such") is None
    assert SECRET.encode() not in b"".join(heard)  # base64, as the protocol wants it: never in the clear


HOSTILE: dict[str, bytes | None] = {
    "says nothing": None,
    "no JSON": b"hello\n",
    "not an object": b"[]\n",
    "neither return nor error": b"{}\n",
    "nested too deep": b"[" * 30_000 + b"\n",
    "huge": b"x" * (1 << 20) + b"\n",
    "endless": b"x" * (1 << 20),
    "not utf-8": b'{"return": "\xff\xfe"}\n',
}


@pytest.mark.parametrize("verb", ["guest_sync_delimited", "guest_set_user_password", "guest_file_open", "guest_file_read"])
@pytest.mark.parametrize("lie", HOSTILE)
def test_a_hostile_guest_comes_to_nothing(
    tmp_path: Path, verb: str, lie: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(agent, "SYNC_SECONDS", 0.5 if HOSTILE[lie] is None or "sync" in verb else 20.0)
    seconds = 0.5 if HOSTILE[lie] is None else 20.0
    deed: Callable[..., object] = set_password if "password" in verb or "sync" in verb else read
    with serving(tmp_path / AGENT_SOCKET, ScriptedAgent(**{verb: HOSTILE[lie]}).answer), pytest.raises(AgentSilent) as caught:
        deed(tmp_path, seconds=seconds)
    assert "lab-a-01 is up, but its agent does not answer yet" in str(caught.value)
    encoded = base64.b64encode(SECRET.encode()).decode()
    for told in (caplog.text, str(caught.value), caught.value.hint, repr(caught.value)):
        assert SECRET not in told
        assert encoded not in told


@pytest.mark.parametrize(
    "verb, said",
    [
        ("guest_file_open", _json("1000")),
        ("guest_file_open", _json(True)),
        ("guest_file_read", _json(None)),
        ("guest_file_read", _json({"count": 1, "eof": True})),
        ("guest_file_read", _json({"count": 1, "buf-b64": "not base64!", "eof": True})),
        ("guest_file_read", _json({"count": 3, "buf-b64": "ü", "eof": True})),
        ("guest_file_read", _json({"count": 0, "buf-b64": "", "eof": False})),  # a file without end
        ("guest_file_read", _json({"count": 1, "buf-b64": "eA==", "eof": "yes"})),
    ],
)
def test_answers_of_the_wrong_kind(tmp_path: Path, verb: str, said: bytes) -> None:
    liar = ScriptedAgent(**{verb: said})
    with serving(tmp_path / AGENT_SOCKET, liar.answer):
        with pytest.raises(AgentSilent):
            read(tmp_path)
        liar.lies.clear()
        assert read(tmp_path) == CONTENT


def test_more_than_was_asked_for_is_no_file(tmp_path: Path) -> None:
    much = _json({"count": 1, "buf-b64": base64.b64encode(bytes(30_000)).decode(), "eof": False})
    with serving(tmp_path / AGENT_SOCKET, ScriptedAgent(guest_file_read=much).answer):
        assert read(tmp_path) is None


@pytest.mark.parametrize("words", [f"I was told {SECRET}", base64.b64encode(SECRET.encode()).decode(), "x\x1b[2J" * 5000, None, {"a": 1}])
def test_a_refusal_is_a_sentence_without_the_secret(tmp_path: Path, words: object) -> None:
    with serving(tmp_path / AGENT_SOCKET, ScriptedAgent(guest_set_user_password=_error(words)).answer):
        with pytest.raises(Conflict, match="does not set the password of 'student'") as caught:
            set_password(tmp_path)
        assert not isinstance(caught.value, AgentSilent)
        told = str(caught.value)
        assert SECRET not in told
        assert base64.b64encode(SECRET.encode()).decode() not in told
        assert told.isprintable()
        assert len(told) < 400
        assert caught.value.__cause__ is None


def test_nobody_and_somebody_else_on_the_channel(tmp_path: Path) -> None:
    with pytest.raises(AgentSilent, match="nobody can be reached"):
        set_password(tmp_path)
    elsewhere = tmp_path / "elsewhere.sock"
    with serving(elsewhere, ScriptedAgent().answer) as heard:
        (tmp_path / AGENT_SOCKET).symlink_to(elsewhere)  # the folder belongs to the guest's user
        with pytest.raises(AgentSilent):
            set_password(tmp_path)
        assert heard == []
        (tmp_path / AGENT_SOCKET).unlink()
    with serving(tmp_path / AGENT_SOCKET, ScriptedAgent().answer):
        set_password(tmp_path)


def test_every_failure_is_one_of_ours() -> None:
    assert issubclass(AgentSilent, LabVirtError)
    assert AgentSilent("g").retryable
    assert not Conflict("no").retryable
