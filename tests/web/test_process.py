# SPDX-License-Identifier: MIT
"""The whole web process: starts clean under -W error, lets held questions go on SIGTERM, and ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from .conftest import PATIENCE_SECONDS
from .lab import terminal_mac

LAB = Path(__file__).with_name("lab.py")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-W", "error", "-X", "dev", str(LAB), str(tmp_path), "4"]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield running
    running.kill()
    running.communicate()


def test_starts_clean_and_ends_on_sigterm(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    url, code = process.stdout.readline().split()
    with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, follow_redirects=True) as client:
        assert client.get("/healthz").text == "ok\nengine=answers\n"
        assert "Screen of lab-a-01" in client.post("/enter", data={"code": code, "name": "anna", "password": "four words in a row"}).text
        assert client.get("/guests/lab-a-01/screen.png").status_code == 200
        starting = {"id": str(terminal_mac(3)), "wait": "0"}
        etag = client.get("/terminals/config", params=starting).headers["etag"]
        with ThreadPoolExecutor(1) as pool, client.stream("GET", "/events") as stream:
            heard = stream.iter_lines()
            assert next(heard) == "event: hello"
            held = pool.submit(client.get, "/terminals/config", params=starting | {"wait": "60"}, headers={"If-None-Match": etag})
            assert next(line for line in heard if not line) == ""
            client.get("/healthz")
            process.send_signal(signal.SIGTERM)
            for _ in heard:
                pass
            assert held.result().status_code == 304
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode in (0, -signal.SIGTERM)  # uvicorn raises the signal again when it is done
    assert errors == ""
