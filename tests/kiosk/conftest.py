# SPDX-License-Identifier: MIT
"""A controller to talk to, viewers to start and kiosks to watch, all small, real and rootless."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

KIOSK = Path(__file__).resolve().parents[2] / "kiosk"
sys.path.insert(0, str(KIOSK))

PATIENCE_SECONDS = 60
SECRET = "s3cret-of-this-guest"
VV = "[virt-viewer]\ntype=spice\nhost=127.0.0.1\ntls-port=5901\npassword=not-this-one\n"
RDP = "full address:s:127.0.0.1:3389\r\nusername:s:nobody\r\n"

STUB = r"""#!/bin/sh
# A viewer: records its arguments, its files and its standard input, then runs until it is told to end.
record=$STUB_DIR/run.$$
mkdir "$record.new"
[ "${1:-}" != --version ] || { echo "This is FreeRDP version ${STUB_FREERDP:-2.11.7} (n/a)"; rm -r "$record.new"; exit 0; }
printf '%s\n' "$0" "$@" > "$record.new/argv"
tr '\0' '\n' < /proc/$$/cmdline > "$record.new/cmdline"
tr '\0' '\n' < /proc/$$/environ > "$record.new/environ"
for argument in "$@"; do
    case $argument in *guest.vv | *guest.rdp) cp "$argument" "$record.new/file"; ls -l "$argument" > "$record.new/mode" ;; esac
done
cat > "$record.new/stdin"
mv "$record.new" "$record"
echo "the stub viewer speaks" >&2
while [ ! -e "$STUB_DIR/end" ]; do sleep 0.05; done
exit "$(cat "$STUB_DIR/end")"
"""


def until(true: Callable[[], Any], what: str) -> Any:
    """What `true` returns as soon as it is something; fails with `what` after a long time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := true()):
        assert time.monotonic() < deadline, f"not seen: {what}"
        time.sleep(0.02)
    return result


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Controller:
    """Plays the protocol. `answer` is what the config question gets; `change` wakes those who wait."""

    answer: dict[str, Any] = field(default_factory=dict)
    ticket: tuple[int, dict[str, Any]] = (404, {})
    vv: str = VV
    raw: bytes | None = None
    """Sent instead of any answer, byte for byte."""
    hang: bool = False
    trickle: bool = False
    hold: bool = True
    requests: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    heartbeats: list[dict[str, str]] = field(default_factory=list)
    order: str = ""
    """What a heartbeat is answered with."""
    closed: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def change(self, **answer: Any) -> None:
        with self.changed:
            self.answer = {"version": 1, **answer}
            self.changed.notify_all()

    def ready(self, **more: Any) -> None:
        """A SPICE guest with a ticket, unless `more` says otherwise."""
        self.ticket = (
            200,
            {"guest": "lab1-03", "protocol": "spice", "address": "127.0.0.1", "port": 5901, "secret": SECRET, "expires_seconds": 60},
        )
        self.change(
            **{
                "status": "ready",
                "message": "Ready.",
                "terminal": "t3",
                "lab": "lab1",
                "seat": 3,
                "guest": "lab1-03",
                "protocol": "spice",
                "address": "127.0.0.1",
                "port": 5901,
                "program": "remote-viewer",
                "arguments": ["%VV%"],
                "secret": "ticket",
                "on_leave": "keep",
                **more,
            }
        )

    def etag(self) -> str:
        return f'"{hash(json.dumps(self.answer, sort_keys=True)):x}"'

    def plain(self) -> str:
        """The answer as key=value lines."""
        lines = {key: value for key, value in self.answer.items() if key != "arguments"}
        lines |= {f"argument_{n}": text for n, text in enumerate(self.answer.get("arguments", []), 1)}
        return "".join(f"{key}={value}\n" for key, value in lines.items())


def _handler(controller: Controller) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
            controller.requests.append((self.path, query, dict(self.headers.items())))
            if controller.trickle:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not controller.closed.wait(0.02):
                    self.wfile.write(b"x")
            elif controller.hang:
                controller.closed.wait()
                self.close_connection = True
            elif controller.raw is not None:
                self.wfile.write(controller.raw)
                self.close_connection = True
            elif query.get("format") in ("vv", "rdp"):
                vv = query["format"] == "vv"
                self._send(200, controller.vv if vv else RDP, "application/x-virt-viewer" if vv else "application/x-rdp")
            else:
                self._config(query)

        def _config(self, query: dict[str, str]) -> None:
            seen = self.headers.get("If-None-Match")
            with controller.changed:
                if seen is not None and int(query["wait"]) and controller.hold:
                    controller.changed.wait_for(lambda: controller.etag() != seen or controller.closed.is_set(), int(query["wait"]))
                etag = controller.etag()
                json_text, plain = json.dumps(controller.answer), controller.plain()
            if etag == seen:
                self._send(304, "", "text/plain", etag)
            elif query.get("format", "plain") == "json":
                self._send(200, json_text, "application/json", etag)
            else:
                self._send(200, plain, "text/plain", etag)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {key: values[0] for key, values in parse_qs(body).items()}
            if self.path == "/terminals/heartbeat":
                controller.heartbeats.append(form)
                if controller.order and "leaving" not in form:
                    self._send(200, controller.order, "text/plain")
                else:
                    self._send(204, "", "text/plain")
                return
            controller.requests.append((self.path, form, dict(self.headers.items())))
            status, fields = controller.ticket
            plain = "".join(f"{key}={value}\n" for key, value in fields.items())
            self._send(status, json.dumps(fields) if form.get("format") == "json" else plain, "text/plain")

        def _send(self, status: int, text: str, kind: str, etag: str | None = None) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            if etag:
                self.send_header("ETag", etag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        pass  # a kiosk that was killed in the middle of a question


@pytest.fixture
def controller() -> Iterator[Controller]:
    controller = Controller()
    controller.change(status="starting", message="The guest starts.", guest="lab1-03", seat=3)
    server = _Server(("127.0.0.1", 0), _handler(controller))
    controller.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield controller
    controller.closed.set()
    with controller.changed:
        controller.changed.notify_all()
    server.shutdown()
    server.server_close()
    thread.join()


class Stub:
    """The stub viewers on PATH, and what they recorded."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.folder = folder / "stub"
        self.bin.mkdir()
        self.folder.mkdir()
        self.secret = SECRET

    def install(self, *names: str) -> None:
        for name in names:
            (self.bin / name).write_text(STUB)
            (self.bin / name).chmod(0o755)

    def runs(self) -> list[Path]:
        return [path for path in self.folder.glob("run.*") if not path.name.endswith(".new")]

    def one(self, number: int = 1) -> tuple[int, Path]:
        """Pid and record of the newest of `number` viewers."""
        runs = until(lambda: found if len(found := self.runs()) >= number else None, f"viewer number {number}")
        newest = max(runs, key=lambda path: path.stat().st_mtime_ns)
        return int(newest.suffix[1:]), newest

    def end(self, code: int = 0) -> None:
        (self.folder / "end").write_text(str(code))


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[Stub]:
    stub = Stub(tmp_path)
    stub.install("remote-viewer")
    yield stub
    stub.end()


class Kiosk:
    """A kiosk program in a process of its own."""

    def __init__(
        self, folder: Path, url: str, environment: dict[str, str], program: Sequence[str] = (sys.executable, str(KIOSK / "labvirt-kiosk"))
    ) -> None:
        self.state = folder / "state"
        self.runtime = folder / "runtime"
        self.status_file = folder / "status.json"
        self.out = folder / "out"
        self.runtime.mkdir(exist_ok=True)
        argv = [
            *program,
            "--url",
            url,
            "--id",
            "52:54:00:00:00:03",
            "--state",
            str(self.state),
            "--status-file",
            str(self.status_file),
        ]
        with self.out.open("ab") as out:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**environment, "XDG_RUNTIME_DIR": str(self.runtime)},
            )

    def status(self) -> dict[str, Any]:
        return json.loads(self.status_file.read_text()) if self.status_file.exists() else {"state": None}

    def until(self, state: str, sentence: str = "") -> dict[str, Any]:
        """The status as soon as `state` holds with `sentence` in its message."""

        def reached() -> dict[str, Any] | None:
            now = self.status()
            return now if now["state"] == state and sentence in now["message"] else None

        return until(reached, f"state {state} {sentence!r}; last: {self.status()}, {self.out.read_text()}")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def start_kiosk(tmp_path: Path, stub: Stub, controller: Controller) -> Iterator[Callable[..., Kiosk]]:
    """Starts kiosks; ends those that are left."""
    started: list[Kiosk] = []

    def start(url: str | None = None, **environment: str) -> Kiosk:
        path = f"{stub.bin}:{os.environ['PATH']}"
        kiosk = Kiosk(
            tmp_path,
            url or controller.url,
            {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8", "STUB_DIR": str(stub.folder), **environment},
        )
        started.append(kiosk)
        return kiosk

    yield start
    for kiosk in started:
        if kiosk.process.poll() is None:
            kiosk.process.kill()
            kiosk.process.wait()


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any], str], Any]:
    return until


@pytest.fixture
def alive() -> Callable[[int], bool]:
    return is_alive
