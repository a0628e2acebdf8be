# SPDX-License-Identifier: MIT
"""A whole controller for the system tests: `labvirt` as a user has it, in a network namespace of its own, with real guests.

Everything is looked at from outside (files, /proc, HTTP, serial lines) or through the command line, as a user would.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

from labvirt.bootstrap import app
from labvirt.cli.main import Root
from tests.system import ending, netns
from tests.system.terminal import GATEWAY, PORT, Terminal

LAB = "sys"
NETWORK = "10.78.0.0/24"
MEMORY_MIB = 128
PATIENCE = 3
"""Machines that run tests are shared: what is waited for here has so many times the time it should need."""
BOOT_SECONDS = 150.0
"""A deadline, not a promise: four guests boot emulated on two processors."""

_GUEST = re.compile(r"guest=([a-z0-9-]+)\Z")


def wait_for(holds: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """The first true value of `holds`, which is looked at until then. `seconds` on a quiet machine; elsewhere PATIENCE times as long."""
    deadline = time.monotonic() + PATIENCE * seconds
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {PATIENCE * seconds:.0f} s still not: {what}"
        time.sleep(0.15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one command. `json` is its document, None when it printed none."""

    code: int
    json: Any
    stdout: str
    stderr: str

    @property
    def sentence(self) -> str:
        return str(self.json["error"]["sentence"])


def ended(command: subprocess.Popen[str], seconds: float = 60.0) -> Outcome:
    """The outcome of a command that was begun."""
    stdout, stderr = command.communicate(timeout=seconds)
    return _outcome(command.returncode, stdout, stderr)


def _outcome(code: int, stdout: str, stderr: str) -> Outcome:
    try:
        document = json.loads(stdout) if stdout.strip() else None
    except ValueError:
        document = None
    return Outcome(code=code, json=document, stdout=stdout, stderr=stderr)


class House:
    """Use as a context manager: nothing of it is left afterwards."""

    def __init__(self, folder: Path, number: int, *, deep: bool = False) -> None:
        """`deep`: the state folder lies deeper than a Unix socket's path may be long (unix(7): 108 bytes)."""
        self.folder = folder
        self.namespace = f"{netns.own_prefix()}h{number}"
        self.state = folder / ("d" * 60 / Path("e" * 60) if deep else "") / "state"
        self.terminals: list[Terminal] = []
        self.bridge = ""
        self.served: list[subprocess.Popen[bytes]] = []
        """Each `labvirt serve` that was started here; the last one may run."""
        self.begun: list[subprocess.Popen[str]] = []

    def __enter__(self) -> House:
        netns.make(self.namespace)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        netns.remove([name for name in netns.names() if re.fullmatch(re.escape(self.namespace) + r"(t\d+)?", name)])
        for command in self.begun:
            command.kill()
            command.communicate(timeout=20)
        for process in self.served:
            process.wait(timeout=20)

    # --- the command line

    def run(self, *words: str) -> Outcome:
        """One `labvirt` command with --json: the same code as the program, without its second of start-up (`program` has that)."""
        out, err = io.StringIO(), io.StringIO()
        with mock.patch.dict(os.environ, self._environment(), clear=True), redirect_stdout(out), redirect_stderr(err):
            try:
                Root(app()).main(["--state", str(self.state), "--json", *words])
            except ending.Ended:
                raise
            except SystemExit as ended:
                code = ended.code
        assert isinstance(code, int)
        return _outcome(code, out.getvalue(), err.getvalue())

    def program(self, *words: str, seconds: float = 60.0) -> Outcome:
        """As `run`, by a process of its own."""
        argv = [sys.executable, "-m", "labvirt", "--state", str(self.state), "--json", *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, env=self._environment())
        return _outcome(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """As `program`, while the caller does something else: `ended` gives its outcome. In the controller's namespace, because it may
        have to do the engine's work while that is away."""
        argv = ["ip", "netns", "exec", self.namespace, sys.executable, "-m", "labvirt", "--state", str(self.state), "--json", *words]
        begun = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._environment()
        )
        self.begun.append(begun)
        return begun

    def call(self, *words: str) -> Any:
        """The JSON of a command that must go well."""
        outcome = self.run(*words)
        assert outcome.code == 0, (words, outcome)
        return outcome.json

    def hasten_templates(self) -> None:
        """Before it serves: a guest that becomes a template need not be quiet for long."""
        (self.state / "labvirt.toml").write_text("template_settle_seconds = 3\n")

    def await_template(self) -> None:
        """The profile that wants instant clones has its template."""
        wait_for(lambda: self.call("template", "list")["kept"], "the template is made", 300)

    def set_up(self, image: Path, terminals: int, *, memory: int = MEMORY_MIB, profile: tuple[str, ...] = ()) -> None:
        """Site, lab, image, profile and terminals exist; nothing runs."""
        self.state.parent.mkdir(parents=True, exist_ok=True)
        begun = self.program("init")
        assert begun.code == 0, begun
        lab = self.call("lab", "add", LAB, "--network", NETWORK)
        self.bridge = lab["bridge"]
        self.call("image", "import", "tiny", str(image), "--format", "qcow2")
        made = ("--memory", str(memory), "--disk", "tiny:virtio", "--protocol", "spice", "--ready-port", "7000")
        self.call("profile", "add", "tiny", *made, *profile)
        for seat in range(1, terminals + 1):
            self.call("terminal", "add", f"pc-{seat}", "--lab", LAB, "--seat", str(seat), "--mac", mac(seat))

    # --- the controller

    def serve(self, *more: str, before: str = "", argv_before: tuple[str, ...] = ()) -> None:
        """`labvirt serve` runs in the namespace and its engine answers. `before`: shell words run first, in its mount namespace."""
        self.spawn(*more, before=before, argv_before=argv_before)
        self.wait_engine()

    def spawn(self, *more: str, before: str = "", argv_before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """`labvirt serve` has been started."""
        serve = ["-m", "labvirt", "--state", str(self.state), "serve", "--listen", f"0.0.0.0:{PORT}", "--accelerator", "tcg", *more]
        argv = ["ip", "netns", "exec", self.namespace, "sh", "-c", f'{before or ":"} && exec "$@"', "serve", *argv_before]
        with self._log(len(self.served)).open("wb") as log:
            process = subprocess.Popen(
                [*argv, sys.executable, *serve],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=self._environment(),
            )
        self.served.append(process)
        return process

    def wait_engine(self, seconds: float = 40.0) -> dict[str, Any]:
        """What the engine says of itself, when it has looked at everything once."""

        def looked() -> Any:
            assert self.served[-1].poll() is None, self.last_words()
            outcome = self.run("host", "show", "--engine")
            return outcome.code == 0 and outcome.json["engine"]["reconciled_at"] and outcome.json["engine"]

        found: dict[str, Any] = wait_for(looked, "the engine answers", seconds)
        return found

    def last_words(self) -> str:
        return self._log(len(self.served) - 1).read_text(errors="replace")[-3000:]

    def _log(self, number: int) -> Path:
        return self.folder / f"serve-{number}.log"

    def logs(self) -> str:
        """Everything that was written for people, for a failing test's message."""
        files = [*self.folder.glob("serve-*.log"), *self.state.glob("logs/*.log")]
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-2500:]}" for file in files)

    def processes(self) -> dict[int, list[str]]:
        """Everything that lives in the controller's namespace."""
        found = {}
        for pid in netns.pids(self.namespace):
            words = argv_of(pid)
            if words and netns.start_ticks(pid) is not None:
                found[pid] = words
        return found

    def part(self, name: str) -> int:
        """The pid of 'serve', 'engine', 'web' or 'dnsmasq'; 0 when there is none."""
        for pid, words in self.processes().items():
            program = Path(words[0]).name
            if name == "dnsmasq":
                if program == "dnsmasq":
                    return pid
            elif program.startswith("python") and name in words and "labvirt" in " ".join(words):
                return pid
        return 0

    def machines(self) -> dict[str, int]:
        """Guest's name -> pid of its QEMU."""
        found = {}
        for pid, words in self.processes().items():
            if Path(words[0]).name.startswith("qemu-system") and "-name" in words:
                match = _GUEST.match(words[words.index("-name") + 1].split(",")[0])
                if match:
                    found[match[1]] = pid
        return found

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """A signal to a process of this house, and to no other."""
        assert pid in netns.pids(self.namespace), pid
        os.kill(pid, number)

    def gone(self, pid: int) -> bool:
        return netns.start_ticks(pid) is None

    def kill_all(self) -> None:
        """As a power cut, but for the page cache: every process of this house is gone."""
        while pids := [pid for pid in netns.pids(self.namespace) if netns.start_ticks(pid) is not None]:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, AssertionError):
                    self.kill(pid)

    def step_of(self, number: int) -> str:
        """What this job does now."""
        job = self.call("job", "show", str(number))
        return str(job["state"] if job["ended"] else job["step"])

    # --- terminals and guests

    def switch_on(self, count: int) -> list[Terminal]:
        """So many terminals are on the lab's bridge, each with its lease. They do not ask yet."""
        for seat in range(len(self.terminals) + 1, count + 1):
            self.stranger(seat, mac(seat)).lease()
        return self.terminals

    def stranger(self, number: int, its_mac: str, *, ours: bool = True) -> Terminal:
        """A PC on the bridge, without an address."""
        # The engine lays it by a worker, which may be a moment later than its first look.
        wait_for(lambda: netns.has_link(self.namespace, self.bridge), f"the bridge {self.bridge} is there", 60)
        made = Terminal(f"{self.namespace}t{number}", number, its_mac, self.folder)
        made.plug_in(self.namespace, self.bridge)
        if ours:
            self.terminals.append(made)
        return made

    def all_ready(self, terminals: list[Terminal] | None = None, seconds: float = BOOT_SECONDS) -> list[dict[str, Any]]:
        """All ask at once and are asked again until each is ready; their answers."""
        asked = self.terminals if terminals is None else terminals
        for each in asked:
            each.ask()
        deadline = time.monotonic() + seconds
        answers = []
        for each in asked:
            answer = each.ask(wait=20)
            while answer["status"] != "ready":
                assert time.monotonic() < deadline, (answer, self.logs())
                answer = each.ask(wait=5)
            answers.append(answer)
        return answers

    def guest(self, seat: int) -> dict[str, Any]:
        """Its row, as the command line shows it."""
        found: dict[str, Any] = self.call("guest", "show", guest(seat))
        return found

    def row(self, name: str) -> dict[str, Any]:
        """Any guest's row, also a special one's."""
        found: dict[str, Any] = self.call("guest", "show", name)
        return found

    def state_of(self, seat: int) -> str:
        return str(self.guest(seat)["state"])

    def facts(self, seat: int, seconds: float = 10.0) -> dict[str, Any]:
        """What the guest says of itself, asked from the controller's namespace."""
        return self.facts_at(guest_address(seat), seconds)

    def facts_at(self, address: str, seconds: float = 10.0) -> dict[str, Any]:
        """As `facts`, of whoever has this address."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with netns.connect(self.namespace, address, 7000, 5.0) as line:
                    heard = b""
                    while piece := line.recv(4096):
                        heard += piece
                told = dict(json.loads(heard))
                if told["address"]:  # it answers a moment before it has written down its lease
                    return told
                raise ValueError(f"no lease yet: {told}")
            except (OSError, ValueError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def records(self, address: str, seconds: float = BOOT_SECONDS) -> dict[str, str]:
        """What the guest at this address reads on its disk that it was told to keep (images/tiny, `keep`)."""

        def read() -> Any:
            told = self.facts_at(address, seconds)
            return told if told["disk"] else None

        return dict(wait_for(read, f"{address} has read its disk", seconds)["kept"])

    def all_facts(self) -> dict[str, dict[str, Any]]:
        return {guest(each.seat): self.facts(each.seat) for each in self.terminals}

    def run_folder(self, seat: int) -> Path:
        return self.folder_of(guest(seat))

    def folder_of(self, name: str) -> Path:
        return self.state / "runs" / str(self.row(name)["run"])

    def serial(self, seat: int, *, root: Path = Path("/")) -> Serial:
        """The guest's serial line. `root`: of a process whose mounts are to be used."""
        return Serial(root / self.run_folder(seat).relative_to("/") / "serial.sock")

    def serial_of(self, name: str) -> Serial:
        """As `serial`, of any guest."""
        return Serial(self.folder_of(name) / "serial.sock")

    def keep(self, name: str, record: str, text: str) -> None:
        """This guest, which runs, has a record on its disk. The disk may come a moment after the network."""
        wait_for(lambda: self._keep(name, record, text), f"{name} keeps {record}", 60.0)

    def _keep(self, name: str, record: str, text: str) -> bool:
        with self.serial_of(name) as line:
            line.say(f"keep {record} {text}")
            while (said := line.read()).startswith("LABVIRT GUEST"):
                pass
            return said == f"kept {record}"

    def stop_serving(self) -> None:
        """The controller has ended as asked; guests run on."""
        served = self.part("serve")
        if served:
            self.kill(served, signal.SIGTERM)
        wait_for(lambda: not any(self.part(name) for name in ("serve", "engine", "web")), "the controller has ended", 60)

    def findings(self) -> list[dict[str, Any]]:
        outcome = self.run("verify")
        assert outcome.json is not None, outcome
        assert "findings" in outcome.json, outcome
        return list(outcome.json["findings"])

    def verify_clean(self, seconds: float = 60.0) -> None:
        """`labvirt verify` says that all agrees (what a fault left is mended within so long)."""
        deadline = time.monotonic() + seconds
        while (outcome := self.run("verify")).code != 0:
            assert time.monotonic() < deadline, (outcome.stdout, outcome.stderr, self.logs())
            time.sleep(0.5)
        assert outcome.json == {"ok": True, "findings": []} or outcome.json["ok"], outcome

    def _environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("LABVIRT_")}


class Serial:
    """The line protocol of images/tiny on a guest's serial line. Use as a context manager: QEMU serves one at a time."""

    def __init__(self, path: Path) -> None:
        self._line = unix_connection(path)
        self._heard = b""

    def __enter__(self) -> Serial:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def say(self, line: str) -> None:
        self._line.sendall(line.encode() + b"\n")

    def read(self, seconds: float = 30.0) -> str:
        self._line.settimeout(seconds)
        while b"\n" not in self._heard:
            piece = self._line.recv(65536)
            assert piece, "QEMU closed the serial line"
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode(errors="replace").strip("\r")

    def shell(self, command: str, seconds: float = 40.0) -> tuple[list[str], int]:
        """Output and status of a command in the guest."""
        self.say(f"exec {command}")
        output: list[str] = []
        while not (line := self.read(seconds)).startswith("exit "):
            output.append(line)
        return output, int(line.removeprefix("exit "))


def unix_connection(path: Path) -> socket.socket:
    """To a socket that may lie deeper than its address may be long (unix(7))."""
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(30.0)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        made.connect(f"/proc/self/fd/{folder}/{path.name}")
    except BaseException:
        made.close()
        raise
    finally:
        os.close(folder)
    return made


def mac(seat: int) -> str:
    """QEMU's prefix, which no guest of ours uses."""
    return f"52:54:00:5a:00:{seat:02x}"


def guest(seat: int) -> str:
    return f"{LAB}-{seat:02d}"


def special(number: int) -> str:
    """The lab's special guests: admin sessions, canaries, rescued seats."""
    return f"{LAB}-s{number:02d}"


def special_address(name: str) -> str:
    """docs: N - 18 + k of a /24."""
    return f"10.78.0.{238 + int(name.removeprefix(f'{LAB}-s'))}"


def guest_address(seat: int) -> str:
    """docs: N/2 + seat of a /24."""
    return f"10.78.0.{128 + seat}"


def terminal_address(seat: int) -> str:
    """docs: N/4 + seat of a /24."""
    return f"10.78.0.{64 + seat}"


def argv_of(pid: int) -> list[str]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
    return [os.fsdecode(word) for word in words[:-1]]


__all__ = ["GATEWAY", "LAB", "PORT", "House", "Outcome", "Serial", "Terminal", "wait_for"]
