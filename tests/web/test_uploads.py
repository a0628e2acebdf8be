# SPDX-License-Identifier: MIT
"""Uploads over HTTP, as a browser or a script sends them: in pieces, cut off, twice at once, by strangers."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from labvirt.usecases import jobs
from labvirt.web.ui.knock import COOKIE

from .conftest import Site, until

CONTENT = os.urandom(3 << 20)
SHA = hashlib.sha256(CONTENT).hexdigest()
JSON = {"Accept": "application/json"}


def begin(browser: httpx.Client, **more: object) -> str:
    made = browser.post("/uploads", json={"name": "sent", "format": "raw", "size": len(CONTENT), "note": "by hand", **more}, headers=JSON)
    assert made.status_code == 201, made.text
    assert (made.headers["Location"], made.headers["Upload-Offset"]) == (f"/uploads/{made.json()['id']}", "0")
    return str(made.json()["id"])


def send(browser: httpx.Client, id: str, at: int, content: bytes, **headers: str) -> httpx.Response:
    return browser.request("PATCH", f"/uploads/{id}", content=content, headers={"Upload-Offset": str(at), **JSON, **headers})


def offset(browser: httpx.Client, id: str) -> int:
    answer = browser.head(f"/uploads/{id}")
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def stored(site: Site, id: str) -> bytes:
    assert site.ports.uploads is not None
    return site.ports.uploads.path(id).read_bytes()


def test_pieces_a_checksum_and_an_import_in_the_name_of_who_is_signed_in(site: Site) -> None:
    browser = site.browser()
    id = begin(browser)
    assert send(browser, id, 0, CONTENT[:1_000_000]).headers["Upload-Offset"] == "1000000"
    assert offset(browser, id) == 1_000_000
    wrong = send(browser, id, 5, b"x")
    assert (wrong.status_code, wrong.headers["Upload-Offset"]) == (409, "1000000")
    last = send(browser, id, 1_000_000, CONTENT[1_000_000:])
    assert (last.status_code, last.content, last.headers["Upload-Offset"]) == (204, b"", str(len(CONTENT)))
    assert stored(site, id) == CONTENT
    refused = browser.post(f"/uploads/{id}/finish", json={"sha256": "0" * 64}, headers=JSON)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid-input")
    assert jobs.unfinished(site.ports) == ()
    done = browser.post(f"/uploads/{id}/finish", data={"sha256": SHA}, headers=JSON)
    assert done.status_code == 202, done.text
    job = jobs.one(site.ports, done.json()["job"])
    assert (job.subject, job.arguments["upload"], job.arguments["sha256"], job.arguments["note"]) == ("sent", id, SHA, "by hand")
    assert job.asked_by == "shell"
    assert [(each["id"], each["job"]) for each in browser.get("/uploads").json()["uploads"]] == [(id, job.number)]
    assert browser.delete(f"/uploads/{id}", headers=JSON).status_code == 409


def test_a_body_that_is_cut_off_is_kept_and_gone_on_with(site: Site) -> None:
    browser = site.browser()
    id = begin(browser, sha256=SHA)
    cookie = f"{COOKIE}={browser.cookies[COOKIE]}"
    head = f"PATCH /uploads/{id} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nUpload-Offset: 0\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
    connection = site.raw(head.encode() + CONTENT[:700_000])
    until(lambda: site.app.pieces._open == 1, "the piece is being taken")
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    until(lambda: site.app.pieces._open == 0, "the piece is over")
    at = offset(browser, id)
    assert 0 < at <= 700_000
    assert stored(site, id) == CONTENT[:at]
    assert send(browser, id, at, CONTENT[at:]).status_code == 204
    assert stored(site, id) == CONTENT
    assert browser.post(f"/uploads/{id}/finish", json={}, headers=JSON).status_code == 202


def is_held(lock: Path) -> bool:
    """Does somebody hold this lock now? Read from the kernel's list: taking it to find out would be in the way of who wants it."""
    return lock.exists() and re.search(rf":{lock.stat().st_ino} ", Path("/proc/locks").read_text()) is not None


def test_two_at_once_do_not_mix(site: Site) -> None:
    browser = site.browser()
    id = begin(browser)
    cookie = f"{COOKIE}={browser.cookies[COOKIE]}"
    head = f"PATCH /uploads/{id} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n\r\n"
    connection = site.raw(head.encode() + b"12345")

    def refused() -> bool:
        return send(browser, id, 0, b"x").status_code == 409

    assert site.ports.uploads is not None
    lock = site.ports.uploads.path(id).parent / "lock"
    until(lambda: is_held(lock), "the first holds the file")  # it is counted a moment before
    until(refused, "the second is refused")
    connection.sendall(b"67890")
    assert b" 204 " in connection.recv(1000).split(b"\r\n")[0] + b" "
    connection.close()
    assert stored(site, id) == b"1234567890"


def test_more_than_was_announced_is_refused(site: Site) -> None:
    browser = site.browser()
    id = begin(browser, size=10)
    assert send(browser, id, 0, b"12345").status_code == 204
    too_much = send(browser, id, 5, b"678901")
    assert (too_much.status_code, too_much.json()["error"]["code"]) == (400, "invalid-input")
    assert stored(site, id) == b"12345"
    for wrong in ("", "-1", "1e3", "٣"):
        answer = browser.request("PATCH", f"/uploads/{id}", content=b"x", headers={b"Upload-Offset": wrong.encode(), **_raw(JSON)})
        assert answer.status_code == 400, wrong
    assert browser.request("PATCH", f"/uploads/{id}", content=b"x").status_code == 400
    assert send(browser, "0" * 32, 0, b"x").status_code == 404
    assert send(browser, "../labvirt.db", 0, b"x").status_code == 404


def _raw(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in headers.items()}


@pytest.mark.parametrize(
    "told",
    [{"name": "../x"}, {"format": "vmdk"}, {"size": -1}, {"size": 0}, {"size": 1 << 70}, {"size": "many"}, {"size": True}, {"sha256": 5}],
)
def test_what_cannot_be_is_said_before_anything_is_sent(site: Site, told: dict[str, object]) -> None:
    browser = site.browser()
    answer = browser.post("/uploads", json={"name": "sent", "format": "raw", "size": 10, **told}, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid-input")
    assert browser.get("/uploads").json() == {"uploads": []}
    begin(browser)  # the control


def test_strangers_and_pages_of_other_sites_send_nothing(site: Site) -> None:
    browser, stranger = site.browser(), site.client()
    id = begin(browser)
    assert send(stranger, id, 0, b"x").status_code == 401
    for method, path in (("GET", "/uploads"), ("POST", "/uploads"), ("GET", f"/uploads/{id}"), ("DELETE", f"/uploads/{id}")):
        assert stranger.request(method, path, headers=JSON).status_code == 401
    assert stranger.post(f"/uploads/{id}/finish", headers=JSON).status_code == 401
    for foreign in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert send(browser, id, 0, b"x", **foreign).status_code == 403
        assert browser.delete(f"/uploads/{id}", headers=foreign).status_code == 403
    assert offset(browser, id) == 0
    assert send(browser, id, 0, b"x", **{"Sec-Fetch-Site": "same-origin"}).status_code == 204
    assert browser.delete(f"/uploads/{id}").status_code == 204
    assert browser.get(f"/uploads/{id}", headers=JSON).status_code == 404


ROOT = Path(__file__).parents[2]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for each in running:
        each.kill()
        each.wait(20)
        for pipe in (each.stdin, each.stdout):
            if pipe is not None:
                pipe.close()


def test_a_web_process_that_is_killed_while_it_takes_a_piece_loses_nothing_that_it_promised(
    tmp_path: Path, process: list[subprocess.Popen[bytes]], serve: Any
) -> None:
    """kill -9 in the middle of a body; another process goes on with the same folder."""
    site = serve()
    browser = site.browser()
    id = begin(browser, sha256=SHA)
    send(browser, id, 0, CONTENT[:500_000])
    folder = site.ports.uploads._root  # what a second process shares with us
    code = (
        "import sys, time; from pathlib import Path; from labvirt.disks.uploads import UploadFolder\n"
        f"with UploadFolder(Path({str(folder)!r})).write({id!r}, 500000) as writing:\n"
        "    for _ in range(64): writing.put(sys.stdin.buffer.read(8192))\n"
        "    print('half', flush=True); sys.stdin.buffer.read()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    process.append(child)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(CONTENT[500_000 : 500_000 + 64 * 8192])
    child.stdin.flush()
    assert child.stdout.readline() == b"half\n"
    assert send(browser, id, 500_000, b"x").status_code == 409
    child.send_signal(signal.SIGKILL)
    child.wait(20)
    at = offset(browser, id)
    assert at == 500_000 + 64 * 8192
    assert send(browser, id, at, CONTENT[at:]).status_code == 204
    assert stored(site, id) == CONTENT
    assert json.loads(browser.post(f"/uploads/{id}/finish", json={"sha256": SHA}, headers=JSON).content)["state"] == "queued"
