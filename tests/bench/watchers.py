# SPDX-License-Identifier: MIT
"""A crowd of browsers in a process of its own: it holds event streams and looks at consoles until its standard input ends.

On standard input, first, one line of JSON: {"url", "cookie", "streams": how many, "consoles": [guest, ...]}. On standard output: one
line `open` when all are open; at the end one line of JSON with what it heard.
"""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import sys
import threading
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed

from tests.bench.burst import allow_connections
from tests.web.viewer import Viewer, dial, spend

LOOK_SECONDS = 1.0
"""Each console is asked for a whole picture so often."""
COUNT_SECONDS = 10.0
"""Each page asks so often how many jobs go on while things change (templates/base.html)."""


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    ended = threading.Event()
    streams = Streams(asked["url"], asked["cookie"], asked["streams"])
    consoles = [Console(asked["url"], asked["cookie"], guest, ended) for guest in asked["consoles"]]
    for each in consoles:
        each.start()
    streams.until_hello()
    print("open", flush=True)
    listening = threading.Thread(target=streams.listen, args=(ended,))
    listening.start()
    counting = threading.Thread(target=count, args=(asked["url"], asked["cookie"], asked["streams"], ended))
    counting.start()
    sys.stdin.read()
    ended.set()
    for thread in (listening, counting, *consoles):
        thread.join()
    told = {"changes": streams.changes, "pictures": sum(each.pictures for each in consoles), "bytes": sum(each.bytes for each in consoles)}
    print(json.dumps(told | {"lost": streams.lost + sum(bool(each.problem) for each in consoles)}), flush=True)


class Streams:
    """Open `GET /events`. `changes`: how many were told, to all together; `lost`: how many ended before their time."""

    def __init__(self, url: str, cookie: str, count: int) -> None:
        parts = urlsplit(url)
        allow_connections(count)
        self.changes = self.lost = 0
        self._open = [socket.create_connection((parts.hostname or "", parts.port or 80), timeout=60) for _ in range(count)]
        for each in self._open:
            each.sendall(f"GET /events HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {cookie}\r\n\r\n".encode())

    def until_hello(self) -> None:
        """Raises ConnectionError when one is refused."""
        for each in self._open:
            heard = b""
            while b"event: hello" not in heard:
                piece = each.recv(4096)
                if not piece:
                    raise ConnectionError(f"a stream was refused: {heard[:200]!r}")
                heard += piece
            each.setblocking(False)

    def listen(self, ended: threading.Event) -> None:
        with selectors.DefaultSelector() as ready:
            for each in self._open:
                ready.register(each, selectors.EVENT_READ)
            while not ended.is_set():
                for key, _ in ready.select(0.2):
                    assert isinstance(key.fileobj, socket.socket)
                    heard = key.fileobj.recv(65536)
                    self.changes += heard.count(b"event: change")
                    if not heard:
                        self.lost += 1
                        ready.unregister(key.fileobj)
        for each in self._open:
            each.close()


def count(url: str, cookie: str, pages: int, ended: threading.Event) -> None:
    """What the head of so many pages asks for, evenly, on one connection that is kept."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    while not ended.wait(COUNT_SECONDS / pages):
        connection.request("GET", "/jobs/count", headers={"Cookie": cookie})
        connection.getresponse().read()
    connection.close()


class Console(threading.Thread):
    """One screen that somebody looks at."""

    def __init__(self, url: str, cookie: str, guest: str, ended: threading.Event) -> None:
        super().__init__()
        self.pictures = self.bytes = 0
        self.problem = ""
        self._line = dial(url, cookie)
        spend(self._line, _ticket(url, cookie, guest))
        self._viewer = Viewer(self._line)
        self._ended = ended

    def run(self) -> None:
        try:
            while not self._ended.wait(LOOK_SECONDS):
                self.bytes += len(self._viewer.picture())
                self.pictures += 1
            self._line.close()
        except (OSError, ConnectionClosed, AssertionError) as error:
            self.problem = f"{type(error).__name__}: {error}"
            print(self.problem, file=sys.stderr)


def _ticket(url: str, cookie: str, guest: str) -> str:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    headers = {"Cookie": cookie, "Content-Type": "application/json", "Accept": "application/json"}
    try:
        connection.request("POST", "/consoles", json.dumps({"guest": guest}), headers)
        return str(json.loads(connection.getresponse().read())["ticket"])
    finally:
        connection.close()


if __name__ == "__main__":
    main()
