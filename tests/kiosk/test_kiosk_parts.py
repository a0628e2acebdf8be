# SPDX-License-Identifier: MIT
"""The parts of the kiosk alone: rhythm, settings, command lines, private folder, log, status line."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.kiosk.conftest import until


def test_backoff_grows_to_a_minute_with_jitter_and_starts_anew() -> None:
    from labvirt_kiosk.backoff import Backoff

    exact = Backoff(lambda low, high: 1.0)
    assert [exact.next_seconds() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    exact.reset()
    assert exact.next_seconds() == 1
    assert exact.next_seconds(at_least=30) == 30
    assert exact.next_seconds(at_least=3000) == 60
    assert len({Backoff().next_seconds() for _ in range(20)}) > 1


class _Quick:
    """Waiting that does not wait: notes the pauses, and leaves after `rounds` of them."""

    def __init__(self, rounds: int) -> None:
        self.pauses: list[float] = []
        self._rounds = rounds
        self._seconds = 0.0

    def seconds(self) -> float:
        self._seconds += 10
        return self._seconds

    def pause(self, seconds: float, tick: Any = None) -> None:
        from labvirt_kiosk.waiting import Leave

        self.pauses.append(seconds)
        if len(self.pauses) == self._rounds:
            raise Leave

    def result_of(self, work: Any) -> Any:
        return work()


def _loop(tmp_path: Path, waiting: Any, url: str, find: Any) -> Any:
    from labvirt_kiosk.backoff import Backoff
    from labvirt_kiosk.heartbeat import Heartbeat
    from labvirt_kiosk.last_good import LastGoodStore
    from labvirt_kiosk.loop import Loop
    from labvirt_kiosk.private_folder import PrivateFolder
    from labvirt_kiosk.question import Controller
    from labvirt_kiosk.status_line import StatusLine

    controller = Controller(url, lambda: "t3")
    status = StatusLine(file=tmp_path / "status", output=os.open("/dev/null", os.O_WRONLY))
    return Loop(
        controller=controller,
        waiting=waiting,
        status=status,
        heartbeat=Heartbeat(controller.heartbeat, lambda sentence: None),
        last_good=LastGoodStore(tmp_path),
        folder=PrivateFolder({"XDG_RUNTIME_DIR": str(tmp_path)}),
        log=tmp_path / "viewer.log",
        find_program=find,
        backoff=lambda: Backoff(lambda low, high: 1.0),
    )


def test_a_viewer_that_keeps_dying_is_started_ever_more_rarely(controller, tmp_path) -> None:
    from labvirt_kiosk.viewer_command import Program

    controller.ready()
    waiting = _Quick(rounds=7)
    _loop(tmp_path, waiting, controller.url, lambda name: Program(name=name, path="/bin/false")).run()
    assert waiting.pauses == [1, 2, 4, 8, 16, 32, 60]


def test_a_good_run_starts_the_rhythm_anew(controller, tmp_path, monkeypatch) -> None:
    from dataclasses import replace

    from labvirt_kiosk import loop
    from labvirt_kiosk.viewer_command import Program

    # the fifth viewer ran for an hour without ever being connected: that is no good run
    runs = iter([(0.1, True), (0.1, True), (3600, True), (0.1, True), (3600, False), (0.1, True)])

    def watch(viewer, **_):
        seconds, connected = next(runs)
        return replace(viewer.wait(), seconds=seconds, connected=connected)

    monkeypatch.setattr(loop, "watch", watch)
    controller.ready()
    waiting = _Quick(rounds=5)
    _loop(tmp_path, waiting, controller.url, lambda name: Program(name=name, path="/bin/true")).run()
    assert waiting.pauses == [1, 2, 1, 2, 4]


def test_a_controller_that_is_away_is_asked_ever_more_rarely(tmp_path) -> None:
    waiting = _Quick(rounds=4)
    _loop(tmp_path, waiting, "http://127.0.0.1:1/", None).run()
    assert waiting.pauses == [1, 2, 4, 8]


def test_settings_cascade() -> None:
    from labvirt_kiosk import settings

    kernel = "quiet labvirt.url=http://kernel/ labvirt.interface=eth7 labvirt.windowed"
    assert settings.read([], {}, "").url == "http://labvirt/"
    assert settings.read([], {}, kernel).url == "http://kernel/"
    assert settings.read([], {"LABVIRT_URL": "http://environment/"}, kernel).url == "http://environment/"
    given = settings.read(["--url", "http://option/"], {"LABVIRT_URL": "http://environment/", "HOME": "/h"}, kernel)
    assert given.url == "http://option/"
    assert given.interface == "eth7"
    assert given.windowed
    assert given.state == Path("/h/.local/state/labvirt-kiosk")


@pytest.mark.parametrize(
    "argv",
    [["--url", "labvirt"], ["--url", "http://u:p@h/"], ["--url", "http://h:99999/"], ["--url", "http://h/\n"],
     ["--id", "x" * 65], ["--id", "a b"]],
)  # fmt: skip
def test_wrong_settings_are_refused(argv: list[str], capsys) -> None:
    from labvirt_kiosk import settings

    with pytest.raises(SystemExit) as caught:
        settings.read(argv, {}, "")
    assert caught.value.code == 2
    assert "labvirt-kiosk: error: the " in capsys.readouterr().err


def _rdp(program: str, *arguments: str) -> Any:
    from labvirt_kiosk.answer import Answer

    return Answer(status="ready", message="", protocol="rdp", address="10.0.0.1", port=3389, program=program,
                  arguments=arguments, needs_ticket=True)  # fmt: skip


def _ticket() -> Any:
    from labvirt_kiosk.ticket import Ticket

    return Ticket(guest="g", address="10.0.0.1", port=3389, user="student", secret="s3cret", expires_seconds=5)


@pytest.mark.parametrize(
    "name, major, arguments, argv, standard_input",
    [
        ("xfreerdp", 2, ["%RDP%"], ["/run/g.rdp", "/f", "/u:student", "/from-stdin:force"], "s3cret\n"),
        ("xfreerdp", 2, ["/v:h", "/size:800x600", "/u:me"], ["/v:h", "/size:800x600", "/u:me", "/from-stdin:force"],
         "s3cret\n"),
        ("xfreerdp", 3, ["/v:h"], ["/args-from:stdin"], "/v:h\n/f\n/u:student\n/p:s3cret\n"),
        ("rdesktop", None, ["h:3389"], ["-f", "-u", "student", "-p", "-", "h:3389"], "s3cret\n"),
    ],
)  # fmt: skip
def test_rdp_passwords_go_by_standard_input(name, major, arguments, argv, standard_input) -> None:
    from labvirt_kiosk import viewer_command
    from labvirt_kiosk.viewer_command import Program

    program = Program(name=name, path="/usr/bin/x", major=major)
    command = viewer_command.render(_rdp(name, *arguments), program, _ticket(), Path("/run/g.rdp"))
    assert list(command.argv) == ["/usr/bin/x", *argv]
    assert command.standard_input == standard_input
    assert "s3cret" not in repr(command)


PIN = "/cert:deny,fingerprint:sha256:" + ":".join(["0a"] * 32)


@pytest.mark.parametrize(
    "said",
    [[], ["/cert:ignore"], ["/cert-ignore"], ["+cert-ignore"], ["/cert-tofu"], ["--cert-deny"], ["/Cert:tofu", "/cert-name:x"], ["/cert"],
     ["/cert:fingerprint:sha256:" + ":".join(["ff"] * 32)]],
)  # fmt: skip
def test_a_known_certificate_is_the_only_one(said: list[str]) -> None:
    from labvirt_kiosk import viewer_command
    from labvirt_kiosk.trouble import Refused
    from labvirt_kiosk.viewer_command import Program

    pinned = replace(_ticket(), fingerprint="0a" * 32)
    answer = _rdp("xfreerdp", "/v:h", *said, "/certificate-of-somebody:x")
    two = viewer_command.render(answer, Program(name="xfreerdp", path="x", major=2), pinned, None)
    assert list(two.argv) == ["x", "/v:h", "/certificate-of-somebody:x", PIN, "/f", "/u:student", "/from-stdin:force"]
    three = viewer_command.render(answer, Program(name="xfreerdp", path="x", major=3), pinned, None)
    assert three.standard_input.splitlines() == ["/v:h", "/certificate-of-somebody:x", PIN, "/f", "/u:student", "/p:s3cret"]
    unknown = viewer_command.render(answer, Program(name="xfreerdp", path="x", major=2), _ticket(), None)
    assert list(unknown.argv)[:-3] == ["x", "/v:h", *said, "/certificate-of-somebody:x"]  # then the class knows best
    blind = Program(name="rdesktop", path="x")
    with pytest.raises(Refused, match="rdesktop cannot check it"):
        viewer_command.render(_rdp("rdesktop", "h"), blind, pinned, None)
    assert viewer_command.render(_rdp("rdesktop", "h"), blind, _ticket(), None).standard_input == "s3cret\n"


def test_what_needs_a_ticket_is_not_shown_without_one() -> None:
    from labvirt_kiosk import viewer_command
    from labvirt_kiosk.trouble import Refused
    from labvirt_kiosk.viewer_command import Program

    program = Program(name="xfreerdp", path="x", major=2)
    with pytest.raises(Refused, match="a ticket is needed"):
        viewer_command.render(_rdp("xfreerdp", "/v:h"), program, None, None)
    free = replace(_rdp("xfreerdp", "/v:h"), needs_ticket=False)
    assert viewer_command.render(free, program, None, None).argv == ("x", "/v:h", "/f")


@pytest.mark.parametrize("wrong", ["", "0A" * 32, "0a" * 31, "0a" * 33, "0a" * 32 + "\n", ":".join(["0a"] * 32), "zz" * 32, 5, ["0a" * 32]])
def test_a_fingerprint_that_is_none_is_no_ticket(wrong: Any) -> None:
    from labvirt_kiosk import ticket
    from labvirt_kiosk.trouble import BadAnswer

    good = {"guest": "g", "address": "10.0.0.1", "port": 3389, "user": "student", "secret": "abc", "fingerprint": "0a" * 32}
    assert ticket.parse(json.dumps(good).encode()).fingerprint == "0a" * 32
    with pytest.raises(BadAnswer, match="certificate"):
        ticket.parse(json.dumps({**good, "fingerprint": wrong}).encode())


def test_an_rdp_file_never_holds_the_password() -> None:
    from labvirt_kiosk import connection_file

    text = connection_file.render_rdp("full address:s:h\r\nusername:s:x\r\npassword:s:y\r\n", _ticket())
    assert text == "full address:s:h\r\nusername:s:student\r\n"


def test_a_vv_password_survives_the_key_file(tmp_path) -> None:
    from labvirt_kiosk import connection_file
    from labvirt_kiosk.ticket import Ticket

    odd = Ticket(guest="g", address="h", port=1, user=None, secret=" a\\n#;=", expires_seconds=5)
    text = connection_file.render_vv("[virt-viewer]\ntype=spice\nPassword=x\n\n[ovirt]\nhost=h\n", odd)
    lines = text.splitlines()
    assert lines[:5] == ["[virt-viewer]", "delete-this-file=1", "enable-usbredir=0", "password=\\sa\\\\n#;=", "type=spice"]


def test_a_vv_file_hands_sticks_over_where_this_terminal_may_and_the_controllers_lines_never_do() -> None:
    from labvirt_kiosk import connection_file

    sent = "[virt-viewer]\ntype=spice\nEnable-USBredir=1\nenable-usb-autoshare=1\nusb-filter=-1,-1,-1,-1,1\n"
    refused = [line for line in connection_file.render_vv(sent, None).splitlines() if "usb" in line.lower()]
    assert refused == ["enable-usbredir=0"]
    taken = [line for line in connection_file.render_vv(sent, None, usb=True).splitlines() if "usb" in line.lower()]
    assert taken == ["enable-usbredir=1", "enable-usb-autoshare=1", "usb-filter=0x08,-1,-1,-1,1|-1,-1,-1,-1,0"]


@pytest.mark.parametrize("names, told, major", [(["xfreerdp"], "2.11.7", 2), (["xfreerdp"], "3.15.0", 3),
                                                      (["xfreerdp", "xfreerdp3"], "2.11.7", 3)])  # fmt: skip
def test_which_xfreerdp_is_installed(stub, monkeypatch, names, told, major) -> None:
    from labvirt_kiosk import installed

    stub.install(*names)
    monkeypatch.setenv("PATH", f"{stub.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("STUB_DIR", str(stub.folder))
    monkeypatch.setenv("STUB_FREERDP", told)
    found = installed.find("xfreerdp")
    assert (found.major, found.path) == (major, str(stub.bin / names[-1]))


@pytest.mark.skipif(shutil.which("remote-viewer") is None, reason="Debian package virt-viewer is not installed")
def test_the_real_remote_viewer_knows_our_arguments() -> None:
    told = subprocess.run(["remote-viewer", "--help-all"], capture_output=True, text=True, check=True).stdout
    for option in ("--full-screen", "--kiosk", "--kiosk-quit", "URI|VV-FILE", "--gtk-module"):
        assert option in told


def test_a_private_folder_outlives_only_its_own_kiosk(tmp_path) -> None:
    from labvirt_kiosk.private_folder import PrivateFolder

    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    alive = PrivateFolder(environment)
    assert alive.path.stat().st_mode & 0o777 == 0o700
    file = alive.write("vv", "secret")
    assert file.stat().st_mode & 0o777 == 0o600
    dead = tmp_path / "labvirt-kiosk-dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "guest.vv").write_text("secret")
    second = PrivateFolder(environment)
    assert file.exists()
    assert not dead.exists()
    for folder in (alive, second):
        folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_viewer_log_is_bounded_and_strikes_out_the_secret(tmp_path) -> None:
    from labvirt_kiosk import viewer_log

    path = tmp_path / "viewer.log"
    text = b"password is s3cret\n" + b"x" * 100 + b"\n"
    log = viewer_log.ViewerLog(io.BytesIO(text * 6000 + b"the last\n"), path, "s3cret")  # 700 KiB
    log._thread.join()
    assert log.last_line() == "the last"
    both = [path.read_bytes(), path.with_name("viewer.log.1").read_bytes()]
    assert all(0 < len(part) <= viewer_log.HALF_BYTES for part in both)
    assert all(b"password is *****" in part and b"s3cret" not in part for part in both)


def test_a_viewer_log_that_cannot_be_written_is_still_read() -> None:
    from labvirt_kiosk.viewer_log import ViewerLog

    log = ViewerLog(io.BytesIO(b"a line\n" * 1000), Path("/proc/nowhere/viewer.log"), "")
    log._thread.join()
    assert log.last_line() == "a line"


def test_a_full_pipe_does_not_hold_the_status_line(tmp_path) -> None:
    from labvirt_kiosk.status_line import StatusLine

    reading, writing = os.pipe()
    status = StatusLine(file=None, output=writing, now=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    for number in range(3000):
        status.show("waiting", f"{number} " + "x" * 100)
    assert status.status.message.startswith("2999 ")
    assert os.read(reading, 2) == b"0 "
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_last_good_comes_back_and_garbage_does_not(tmp_path) -> None:
    from labvirt_kiosk.last_good import LastGood, LastGoodStore

    store = LastGoodStore(tmp_path)
    assert store.load() is None
    good = LastGood(answer=_rdp("rdesktop", "h"), file_text="full address:s:h\n")
    store.save(good)
    loaded = store.load()
    assert loaded is not None
    assert (loaded.answer.arguments, loaded.answer.needs_ticket, loaded.file_text) == (("h",), True, good.file_text)
    for garbage in (b"", b"{", b"[]", b'{"answer": 5, "file_text": ""}', bytes(300)):
        (tmp_path / "last-good.json").write_bytes(garbage)
        assert store.load() is None


def test_the_mac_is_that_of_the_interface() -> None:
    from labvirt_kiosk import identity

    assert identity.mac_of("lo") is None  # no Ethernet
    assert identity.mac_of("no-such-one") is None
    assert identity.mac_of("x" * 300) is None
    ethernet = [path for path in Path("/sys/class/net").iterdir() if (path / "type").read_text().strip() == "1"]
    for path in ethernet[:1]:
        assert identity.mac_of(path.name) == (path / "address").read_text().strip()


def test_a_server_that_does_not_hold_the_question_is_not_stormed(controller, tmp_path) -> None:
    waiting = _Quick(rounds=3)
    waiting.seconds = lambda: 0.0  # type: ignore[method-assign]  # every answer comes at once
    controller.hold = False
    controller.change(status="full", message="Full.", retry_seconds=4)
    _loop(tmp_path, waiting, controller.url, None).run()
    assert waiting.pauses == [4, 4, 4]


def test_the_loop_needs_no_help_of_time_when_asked_to_leave(tmp_path) -> None:
    import threading

    from labvirt_kiosk.waiting import Leave, Waiting

    waiting = Waiting()
    assert waiting.result_of(lambda: 5) == 5
    threading.Timer(0.05, waiting.leave).start()
    with pytest.raises(Leave):
        waiting.pause(3600)
    with pytest.raises(Leave):
        waiting.result_of(threading.Event().wait)


CLIENT = "import socket, sys, time; line = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"


def _viewer(tmp_path: Path, *argv: str) -> Any:
    from labvirt_kiosk.viewer import Viewer
    from labvirt_kiosk.viewer_command import ViewerCommand

    return Viewer(ViewerCommand(argv=argv), tmp_path / "viewer.log")


def test_a_connection_is_seen_in_the_kernels_table(tmp_path, eventually) -> None:
    from labvirt_kiosk.viewer_connection import is_connected

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        viewer = _viewer(tmp_path, sys.executable, "-c", CLIENT, str(port))
        # a wrapper script around the viewer does not hide it
        wrapped = _viewer(tmp_path, "/bin/sh", "-c", f'{sys.executable} -c "{CLIENT}" {port}; :')
        other = _viewer(tmp_path, "/bin/sleep", "600")
        try:
            for one in (viewer, wrapped):
                eventually(lambda one=one: is_connected(one.pid, port), "the connection")
                assert not is_connected(one.pid, port + 1)
            assert not is_connected(other.pid, port)
        finally:
            for one in (viewer, wrapped, other):
                one.end()
    assert not is_connected(viewer.pid, port)


@pytest.mark.parametrize("may_end", [True, False])
def test_a_viewer_that_only_shows_an_error_is_ended(tmp_path, alive, may_end) -> None:
    from labvirt_kiosk.watch import LOOKS_WITHOUT_CONNECTION, watch

    viewer = _viewer(tmp_path, "/bin/sleep", "600")
    looks = 0
    told: list[bool] = []

    def connected() -> bool:
        nonlocal looks
        looks += 1
        if looks == 50:
            viewer.end()  # only one that may not be ended comes so far
        return looks < 5

    run = watch(viewer, connected=connected, on_connected=lambda: told.append(True), may_end=may_end, look_seconds=0.01)
    assert told == [True]
    assert run.connected
    assert not alive(viewer.pid)
    assert (looks, "lost its connection" in run.last_line) == ((4 + LOOKS_WITHOUT_CONNECTION, True) if may_end else (50, False))


def test_a_display_of_another_authority_is_refused_where_the_sites_own_is_known() -> None:
    from labvirt_kiosk import connection_file
    from labvirt_kiosk.trouble import Refused

    own, other = ("-----BEGIN CERTIFICATE-----\n" + letter * 64 + "\n-----END CERTIFICATE-----\n" for letter in "AB")

    def file(*authorities: str) -> str:
        lines = ["ca=" + each.replace("\n", "\\n") for each in authorities]
        return "\n".join(["[virt-viewer]", "type=spice", *lines]) + "\n"

    assert "type=spice" in connection_file.render_vv(file(own), None, own)
    assert "type=spice" in connection_file.render_vv(file(other), None)  # nothing is known of the site here
    for wrong in (file(other), file(), file(own, other), file(other, own)):
        with pytest.raises(Refused, match="a certificate that this terminal does not know"):
            connection_file.render_vv(wrong, None, own)


def test_commands_of_the_face_run_one_after_the_other(tmp_path: Path) -> None:
    from labvirt_kiosk import command

    log = tmp_path / "log"
    for _ in range(3):
        command.run(["/bin/sh", "-c", f"echo begin >> {log}; sleep 0.2; echo end >> {log}"])
    until(lambda: log.exists() and len(log.read_text().split()) == 6, "three commands")
    assert log.read_text().split() == ["begin", "end"] * 3
