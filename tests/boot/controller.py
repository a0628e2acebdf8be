# SPDX-License-Identifier: MIT
"""The controller's side of a boot, as small as it can be: the boot folder by HTTP, and one answer (at first: nobody knows it)."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class Controller:
    """Serves on 127.0.0.1 until closed. `events`: (seconds since it began, what), `bytes_sent`: by name of the boot folder's file;
    `boots`: the time lines that were told; `beats`: the heartbeats."""

    def __init__(self, folder: Path, code: str, port: int = 0) -> None:
        self.code = code
        self.folder = folder
        self.pause_seconds = 0.0
        """Between two blocks of a file, for a transfer that something may happen to."""
        self.began = time.monotonic()
        self.events: list[tuple[float, str]] = []
        self.settings: dict[str, str] = {}
        """What the setting_KEY lines of an answer in `plain` say."""
        self.bytes_sent: dict[str, int] = {}
        self.asked: list[str] = []
        self.boots: list[dict[str, str]] = []
        self.beats: list[dict[str, str]] = []
        self.answer: dict[str, object] | None = None
        """What every terminal is told; None: that nobody knows it."""
        self.viewer_file = ""
        """remote-viewer's, without the secret."""
        self.ticket: dict[str, object] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self.give(body=False)

            def do_GET(self) -> None:
                self.give(body=True)

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
                told = {name: values[0] for name, values in form.items()}
                if self.path.endswith("/terminals/boot"):
                    outer.boots.append(told)
                elif self.path.endswith("/terminals/heartbeat"):
                    outer.beats.append(told)
                elif self.path.endswith("/terminals/ticket"):
                    outer.note("ticket")
                    self.tell(outer.ticket)
                    return
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def give(self, *, body: bool) -> None:
                address = urlsplit(self.path)
                if address.path.endswith("/terminals/config"):
                    question = parse_qs(address.query)
                    if question.get("format") == ["vv"]:
                        self.say("application/x-virt-viewer", outer.viewer_file.encode())
                        return
                    outer.note("asked")
                    outer.asked.append(question.get("id", [""])[0])
                    answer = outer.answer or outer.unknown()
                    if question.get("format") == ["plain"]:
                        answer |= {f"setting_{key}": value for key, value in outer.settings.items()}
                        self.say("text/plain", "".join(f"{key}={value}\n" for key, value in answer.items()).encode())
                        return
                    self.tell(answer)
                    return
                file = outer.folder / Path(address.path).name
                if not address.path.replace("//", "/").startswith("/boot/") or not file.is_file():
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(file.stat().st_size))
                self.end_headers()
                if not body:
                    return
                outer.note(f"begins {file.name}")
                with file.open("rb") as stream:
                    while block := stream.read(1 << 18):
                        self.wfile.write(block)
                        time.sleep(outer.pause_seconds)
                        outer.bytes_sent[file.name] = outer.bytes_sent.get(file.name, 0) + len(block)
                outer.note(f"ends {file.name}")

            def tell(self, answer: dict[str, object]) -> None:
                self.say("application/json", json.dumps(answer).encode())

            def say(self, kind: str, data: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def unknown(self) -> dict[str, object]:
        return {
            "version": 1,
            "status": "unknown",
            "message": "Nobody has adopted this terminal yet.",
            "help_code": "LV-UNKNOWN-00",
            "enrolment_code": self.code,
            "retry_seconds": 2,
        }

    def note(self, what: str) -> None:
        self.events.append((round(time.monotonic() - self.began, 2), what))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
