# SPDX-License-Identifier: MIT
"""The shell client: dash, the real curl or a stub of it, and stub viewers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "kiosk" / "shell" / "labvirt-ask"
DASH = shutil.which("dash") or "/bin/sh"

STUB_CURL = r"""#!/bin/sh
printf '%s\n' "$*" >> "$STUB_DIR/curl"
case $* in
*terminals/ticket*) cat "$STUB_DIR/ticket" ;;
*format=vv*) printf '[virt-viewer]\ntype=spice\n' ;;
*) cat "$STUB_DIR/plain" ;;
esac
"""


@pytest.fixture
def ask(stub, tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, path: str | None = None) -> subprocess.Popen[str]:
        environment = {"PATH": path or f"{stub.bin}:{os.environ['PATH']}", "STUB_DIR": str(stub.folder),
                       "TMPDIR": str(tmp_path), "LANG": "C.UTF-8"}  # fmt: skip
        process = subprocess.Popen([DASH, str(SCRIPT), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, text=True, env=environment, start_new_session=True,
                                   cwd=tmp_path)  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_with_a_stub_curl_it_starts_the_program_as_told(ask, stub) -> None:
    (stub.bin / "curl").write_text(STUB_CURL)
    (stub.bin / "curl").chmod(0o755)
    hostile = "--title=$(touch pwned) `touch pwned` * ;touch pwned 'a' =b="
    plain = f"version=1\nstatus=ready\nmessage=Ready \x1b[2J.\nprogram=remote-viewer\nargument_1={hostile}\n"
    (stub.folder / "plain").write_text(plain + "argument_2=%VV%\nsecret=ticket\n")
    (stub.folder / "ticket").write_text(f"guest=g\nsecret={stub.secret}\n")
    ask("http://controller/", "52:54:00:00:00:03")
    _, record = stub.one()
    argv = (record / "argv").read_text().splitlines()
    assert argv[1:3] == ["--full-screen", hostile]
    file = (record / "file").read_text()
    assert file.endswith(f"password={stub.secret}\ndelete-this-file=1\n")
    assert (record / "mode").read_text().startswith("-rw-------")
    assert stub.secret not in (record / "cmdline").read_text() + (stub.folder / "curl").read_text()
    assert "id=52:54:00:00:00:03" in (stub.folder / "curl").read_text()
    assert not list(stub.folder.parent.rglob("pwned"))


@pytest.mark.parametrize("with_curl", [True, False])
def test_it_speaks_with_a_real_server(ask, stub, controller, tmp_path, with_curl) -> None:
    if not shutil.which("curl" if with_curl else "busybox"):
        pytest.skip("Debian package curl or busybox is not installed")
    stub.install("rdesktop")
    path = None
    if not with_curl:  # everything but curl
        for name in ("busybox", "mktemp", "rm", "tr", "head", "sed", "sleep", "cat", "cp", "mv", "mkdir", "ls"):
            (stub.bin / name).symlink_to(str(shutil.which(name)))
        path = str(stub.bin)
    controller.ready(protocol="rdp", program="rdesktop", arguments=["-a", "16", "10.0.0.1:3389"])
    controller.ticket[1]["user"] = "student"
    ask(controller.url, path=path)
    _, record = stub.one()
    assert (record / "argv").read_text().splitlines()[1:] == ["-f", "-u", "student", "-p", "-", "-a", "16", "10.0.0.1:3389"]
    assert (record / "stdin").read_text() == f"{stub.secret}\n"


@pytest.mark.skipif(not shutil.which("curl"), reason="Debian package curl is not installed")
def test_it_takes_only_the_certificate_that_the_ticket_names(ask, stub, controller) -> None:
    stub.install("xfreerdp")
    odd = ["/v:h", "/title:a b; $(id)", "/cert:ignore", "--cert-tofu"]
    controller.ready(protocol="rdp", program="xfreerdp", arguments=odd)
    controller.ticket[1].update(user="student", fingerprint="0a" * 32)
    process = ask(controller.url)
    _, record = stub.one()
    pin = "/cert:deny,fingerprint:sha256:" + ":".join(["0a"] * 32)
    assert (record / "argv").read_text().splitlines()[1:] == [*odd[:2], pin, "/f", "/u:student", "/from-stdin:force"]
    assert (record / "stdin").read_text() == f"{stub.secret}\n"
    os.killpg(process.pid, signal.SIGKILL)
    del controller.ticket[1]["fingerprint"]
    ask(controller.url)
    _, record = stub.one(2)
    assert (record / "argv").read_text().splitlines()[1:5] == odd  # positive control: without it the class knows best


@pytest.mark.skipif(not shutil.which("curl"), reason="Debian package curl is not installed")
def test_without_its_ticket_it_starts_nothing(ask, stub, controller) -> None:
    stub.install("xfreerdp")
    controller.ready(protocol="rdp", program="xfreerdp", arguments=["/v:h"], retry_seconds=1)
    good, controller.ticket = controller.ticket, (409, {"status": "error", "code": "agent-silent"})
    process = ask(controller.url)
    assert process.stdout is not None
    heard = ""
    while "gives no ticket now" not in heard:
        heard = process.stdout.readline()
        assert heard
    assert stub.runs() == []
    controller.ticket = good
    stub.one()


def test_a_program_that_is_not_on_the_list_is_refused(ask, stub, controller) -> None:
    stub.install("evil")
    controller.ready(program="evil", arguments=["x"])
    process = ask(controller.url)
    assert process.stdout is not None
    said = [process.stdout.readline(), process.stdout.readline()]
    assert said == ["Ready.\n", "The program evil is not one that this terminal runs\n"]
    assert stub.runs() == []


def test_an_unknown_terminal_reads_the_sentence(ask, controller) -> None:
    controller.change(status="unknown", message="Not known; code K7WQ2M.", retry_seconds=1)
    process = ask(controller.url)
    assert process.stdout is not None
    assert process.stdout.readline() == "Not known; code K7WQ2M.\n"


def test_a_wrong_id_and_no_controller(ask) -> None:
    wrong = ask("http://127.0.0.1:1/", "a&b=c")
    assert wrong.wait(20) == 2
    away = ask("http://127.0.0.1:1/")
    assert away.stdout is not None
    said = {away.stdout.readline() for _ in range(2)}
    assert "The controller http://127.0.0.1:1/ does not answer, trying again\n" in said
