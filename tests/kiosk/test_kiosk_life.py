# SPDX-License-Identifier: MIT
"""The kiosk program as a process: first line, long poll, ticket, viewer, signals, a controller that goes away."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest


def config_questions(controller: Any) -> list[tuple[dict[str, str], dict[str, str]]]:
    return [(q, headers) for path, q, headers in controller.requests if "config" in path and q["format"] == "json"]


def test_the_first_line_does_not_wait_for_the_controller(controller, start_kiosk, eventually) -> None:
    controller.hang = True  # takes the question and never answers it
    kiosk = start_kiosk()
    status = kiosk.until("asking", "Asking")
    eventually(lambda: "Asking" in kiosk.out.read_text(), "the first line")
    eventually(lambda: controller.requests, "the question")
    assert status["message"] == f"Asking {controller.url} what this seat shows"
    assert kiosk.end() == 0  # although the question still hangs
    assert kiosk.status()["state"] == "stopped"


def test_it_asks_at_once_then_with_the_etag(controller, start_kiosk, stub) -> None:
    kiosk = start_kiosk()
    assert kiosk.until("waiting", "The guest starts.")["seat"] == 3
    controller.change(status="full", message="All guests are taken.", help_code="LV-FULL-07")
    assert kiosk.until("waiting", "All guests are taken. [LV-FULL-07]")["help_code"] == "LV-FULL-07"
    controller.ready()
    status = kiosk.until("viewing", "Showing lab1-03 (seat 3)")
    questions = config_questions(controller)
    assert [q["wait"] for q, _ in questions] == ["0", "25", "25"]
    assert "If-None-Match" not in questions[0][1]
    assert questions[2][1]["If-None-Match"] != questions[1][1]["If-None-Match"]
    assert {q["id"] for q, _ in questions} == {"52:54:00:00:00:03"}
    assert status["answers_seen"] == 3
    assert status["asked_at"] <= status["ready_at"] <= status["viewer_started_at"]
    assert status["viewer_pid"] == stub.one()[0]


def test_an_unknown_terminal_shows_its_enrolment_code(controller, start_kiosk, eventually) -> None:
    controller.change(status="unknown", message="This terminal is not known.", enrolment_code="K7WQ2M", retry_seconds=5)
    kiosk = start_kiosk()
    assert kiosk.until("unknown", "K7WQ2M")["enrolment_code"] == "K7WQ2M"
    eventually(lambda: "K7WQ2M" in kiosk.out.read_text(), "the line, which is printed after the file is written")


def test_the_secret_reaches_the_viewer_and_nobody_else(controller, start_kiosk, stub, tmp_path, eventually) -> None:
    controller.ready()
    kiosk = start_kiosk()
    pid, record = stub.one()
    kiosk.until("viewing")
    lines = (record / "file").read_text().splitlines()
    # positive control: the viewer did get the secret, by a file of its own that it is told to delete
    assert lines[0] == "[virt-viewer]"
    assert f"password={stub.secret}" in lines
    assert "delete-this-file=1" in lines
    assert "password=not-this-one" not in lines
    assert (record / "mode").read_text().startswith("-rw-------")
    assert (record / "argv").read_text().splitlines()[1] == "--full-screen"

    secret = stub.secret.encode()
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ") if process.name in (str(pid), str(kiosk.process.pid)) else ("cmdline",):
            try:
                assert secret not in (process / name).read_bytes(), process
            except OSError:
                continue  # gone meanwhile
    stub.end(0)
    eventually(lambda: not list(kiosk.runtime.rglob("guest.*")), "the private file is gone")
    kiosk.end()
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and stub.folder not in path.parents]
    assert kiosk.state / "viewer.log" in kept  # positive control: these are the right files
    assert [path for path in kept if secret in path.read_bytes()] == []
    assert list(kiosk.runtime.iterdir()) == []


@pytest.mark.parametrize("version", ["2.11.7", "3.15.0"])
def test_an_rdp_login_reaches_the_viewer_and_nobody_else(controller, start_kiosk, stub, tmp_path, version) -> None:
    stub.install("xfreerdp")
    controller.ready(protocol="rdp", port=3389, program="xfreerdp", arguments=["/v:127.0.0.1:3389", "/cert:ignore"])
    controller.ticket[1].update(protocol="rdp", port=3389, user="student", fingerprint="0a" * 32)
    kiosk = start_kiosk(STUB_FREERDP=version)
    pid, record = stub.one()
    kiosk.until("viewing")
    argv, told = (record / "argv").read_text().splitlines()[1:], (record / "stdin").read_text().splitlines()
    pin = "/cert:deny,fingerprint:sha256:" + ":".join(["0a"] * 32)
    if version.startswith("2"):
        assert (argv, told) == (["/v:127.0.0.1:3389", pin, "/f", "/u:student", "/from-stdin:force"], [stub.secret])
    else:
        assert (argv, told) == (["/args-from:stdin"], ["/v:127.0.0.1:3389", pin, "/f", "/u:student", f"/p:{stub.secret}"])
    for process in (pid, kiosk.process.pid):
        for name in ("cmdline", "environ"):
            assert stub.secret.encode() not in Path(f"/proc/{process}/{name}").read_bytes()
    stub.end(0)
    kiosk.end()
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and stub.folder not in path.parents]
    assert kiosk.state / "viewer.log" in kept  # positive control: these are the right files
    assert [path for path in kept if stub.secret.encode() in path.read_bytes()] == []


def test_a_private_file_that_nobody_deletes_goes_when_the_ticket_expires(controller, start_kiosk, stub, eventually, alive) -> None:
    controller.ready()
    controller.ticket[1]["expires_seconds"] = 1
    kiosk = start_kiosk()
    pid, record = stub.one()
    assert (record / "file").exists()
    eventually(lambda: not list(kiosk.runtime.rglob("guest.vv")), "the private file is gone")
    assert alive(pid)


def test_a_running_viewer_is_left_alone_when_the_controller_is_away(controller, start_kiosk, stub, eventually, alive) -> None:
    controller.ready()
    kiosk = start_kiosk()
    pid, _ = stub.one()
    kiosk.until("viewing")
    controller.raw = b""  # from now on every question is dropped
    controller.hang = False
    asked = len(config_questions(controller))
    # a heartbeat that finds nobody is noted, and that is all
    eventually(lambda: {"starting", "running"} <= {beat["viewer"] for beat in controller.heartbeats}, "heartbeats")
    assert alive(pid)
    assert len(config_questions(controller)) == asked
    # its end makes the kiosk ask; a SPICE connection needs a ticket, so it waits and says so
    stub.end(7)
    status = kiosk.until("away", "does not answer since")
    assert "trying again in" in status["message"]
    assert (kiosk.state / "last-good.json").exists()
    assert not alive(pid)
    exits = [beat["viewer_exit"] for beat in controller.heartbeats if beat["viewer"] == "ended"]
    assert exits == ["7"]
    (stub.folder / "end").unlink()
    controller.raw = None
    kiosk.until("viewing")
    assert stub.one(2)[0] != pid


def test_without_a_controller_a_guest_without_ticket_is_shown_from_the_last_good_answer(controller, start_kiosk, stub) -> None:
    stub.install("rdesktop")
    controller.ready(protocol="rdp", program="rdesktop", arguments=["-a", "16", "127.0.0.1:3389"], secret="none")
    first = start_kiosk()
    stub.one()
    first.end()
    controller.raw = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
    asked = len(controller.requests)
    second = start_kiosk()
    assert second.until("viewing", "lab1-03")["seat"] == 3
    _, record = stub.one(2)
    assert len(controller.requests) > asked
    assert (record / "argv").read_text().splitlines()[1:] == ["-f", "-a", "16", "127.0.0.1:3389"]


def test_a_viewer_that_dies_at_once_is_said_with_its_last_line(controller, start_kiosk, stub) -> None:
    stub.end(3)
    controller.ready()
    kiosk = start_kiosk()
    status = kiosk.until("retrying", "exit code 3")
    assert "the stub viewer speaks" in status["message"]
    assert "trying again in" in status["message"]


def test_a_killed_kiosk_takes_its_viewer_with_it(controller, start_kiosk, stub, eventually, alive) -> None:
    controller.ready()
    kiosk = start_kiosk()
    pid, _ = stub.one()
    kiosk.until("viewing")
    assert alive(pid)
    assert int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) == kiosk.process.pid
    left = list(kiosk.runtime.iterdir())
    assert len(left) == 1
    kiosk.end(signal.SIGKILL)
    eventually(lambda: not alive(pid), "the viewer is gone")
    # what it could not remove, the next kiosk does, before it asks anything
    start_kiosk()
    stub.one(2)
    own = list(kiosk.runtime.iterdir())
    assert len(own) == 1
    assert left != own


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_viewer_and_kiosk(controller, start_kiosk, stub, alive, number) -> None:
    controller.ready()
    kiosk = start_kiosk()
    pid, _ = stub.one()
    kiosk.until("viewing")
    assert alive(pid)
    assert kiosk.end(number) == 0
    assert not alive(pid)
    assert kiosk.status()["state"] == "stopped"
    assert list(kiosk.runtime.iterdir()) == []
    assert controller.heartbeats[-1]["viewer"] == "ended"
    assert "Traceback" not in kiosk.out.read_text()


def test_the_leash_does_not_start_a_program_for_a_dead_parent(tmp_path) -> None:
    import subprocess
    import sys

    from labvirt_kiosk import leash

    def run(parent: int) -> subprocess.CompletedProcess[bytes]:
        argv = [sys.executable, "-I", "-S", leash.__file__, str(parent), "/bin/echo", "started"]
        return subprocess.run(argv, capture_output=True, check=False)

    assert run(os.getpid()).stdout == b"started\n"
    orphan = run(1)
    assert orphan.stdout == b""
    assert b"the kiosk ended" in orphan.stderr


def test_wrong_settings_end_with_a_sentence(start_kiosk) -> None:
    kiosk = start_kiosk("ftp://elsewhere/")
    assert kiosk.process.wait(20) == 2
    assert "is not like http://labvirt/" in kiosk.out.read_text()
