# SPDX-License-Identifier: MIT
"""A headless Chromium that a test drives: a page, its script's values, its complaints, and a picture of it (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium")
PATIENCE_SECONDS = 90.0


class Chromium:
    """Use as a context manager: one tab in a profile of its own. `complaints` are what the page logged as errors, and what its policy
    has stopped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "profile"
        self._number = 0
        self.complaints: list[str] = []

    def __enter__(self) -> Chromium:
        assert CHROMIUM is not None
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0", "--hide-scrollbars")
        self._process = subprocess.Popen(
            [CHROMIUM, *options, f"--user-data-dir={self._folder}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            port = self._until(self._port, "Chromium listens")
            tabs = httpx.get(f"http://127.0.0.1:{port}/json", timeout=PATIENCE_SECONDS).json()
            address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            self._line = connect(address, max_size=None, proxy=None, compression=None, ping_interval=None).__enter__()
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._line.close()
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_SECONDS)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._line.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._line.recv(PATIENCE_SECONDS))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])
            self._listen(message)

    def open(self, url: str, cookie: tuple[str, str], *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        self.ask("Network.setCookie", name=cookie[0], value=cookie[1], url=url, httpOnly=True, sameSite="Strict")
        self.look(width=width, height=height, dark=dark)
        self.ask("Page.navigate", url=url)

    def look(self, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def value(self, script: str) -> Any:
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, (script, found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, script: str) -> Any:
        """The first true value of this."""
        return self._until(lambda: self.value(script), script)

    def key(self, key: str, code: str, number: int, **more: Any) -> None:
        text = {"text": key} if len(key) == 1 and not more else {}
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number, **text, **more)

    def picture(self, path: Path) -> Path:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
        return path

    def _port(self) -> str:
        try:
            return (self._folder / "DevToolsActivePort").read_text().splitlines()[0]
        except (OSError, IndexError):
            return ""

    def _until(self, true: Any, what: str) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := true()):
            assert time.monotonic() < deadline, (what, self.complaints)
            time.sleep(0.05)
        return found

    def _listen(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        if message.get("method") == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif message.get("method") == "Runtime.consoleAPICalled" and told["type"] == "error":
            self.complaints.append(str(told["args"]))
