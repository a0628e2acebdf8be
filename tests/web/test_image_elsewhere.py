# SPDX-License-Identifier: MIT
"""`labvirt --controller URL image import`: a file of this machine is sent whole, over broken connections too, or not imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from labvirt.bootstrap import app
from labvirt.cli import sending
from labvirt.cli.controller import Controller, NotReached
from labvirt.cli.main import Root
from labvirt.domain.caller import Grant
from labvirt.domain.right import Right, Role
from labvirt.usecases import people, tokens, uploads

from .conftest import Site

CONTENT = bytes(range(256)) * 700


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "disk.raw"
    file.write_bytes(CONTENT)
    return file


def run(site: Site, folder: Path, *words: str, rights: set[Right] | None = None) -> Result:
    name = f"anna-{len(people.everything(site.ports))}"
    people.add(site.ports, name, grants=(Grant(Role.ADMINISTRATOR),))
    (folder / "token").write_text(tokens.add(site.ports, "own", person=name, rights=rights).secret)
    where = ["--controller", site.url, "--token-file", str(folder / "token")]
    return CliRunner().invoke(Root(app()), [*where, "image", "import", "office", *words, "--json"])


def test_a_file_is_sent_in_pieces_and_goes_on_where_the_connection_broke(
    site: Site, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PIECE_BYTES", 50_000)
    monkeypatch.setattr(sending, "PAUSE_SECONDS", 0.0)
    real, tried = Controller.send_piece, []

    def send_piece(self: Controller, path: str, piece: bytes, offset: int) -> int:
        tried.append(offset)
        if len(tried) == 2:  # half of it arrives, and the answer is lost
            real(self, path, piece[:20_000], offset)
            raise NotReached(self.url, "the connection broke")
        return real(self, path, piece, offset)

    monkeypatch.setattr(Controller, "send_piece", send_piece)
    sent = run(site, tmp_path, str(file), "--format", "raw", "--note", "from afar", "--detach")
    assert sent.exit_code == 0, sent.output
    job = json.loads(sent.stdout)
    assert (job["kind"], job["state"]) == ("import", "queued")
    assert tried == [0, 50_000, 70_000, 120_000, 170_000]
    (upload,) = uploads.everything(site.ports)
    assert (upload.upload.note, upload.upload.offset) == ("from afar", len(CONTENT))
    lying = [each.read_bytes() for each in (tmp_path / "site-0" / "uploads").rglob("*") if each.is_file()]
    assert CONTENT in lying


@pytest.mark.parametrize(
    "words, rights, code",
    [
        (("--sha256", "0" * 64), None, "invalid-input"),
        ((), {Right.LOOK}, "not-allowed"),
        (("--override", "I know"), None, "invalid-input"),
    ],
)
def test_what_is_not_good_is_not_imported(site: Site, file: Path, tmp_path: Path, words: tuple[str, ...], rights: Any, code: str) -> None:
    refused = run(site, tmp_path, str(file), "--format", "raw", "--detach", *words, rights=rights)
    assert (refused.exit_code != 0, json.loads(refused.stdout)["error"]["code"]) == (True, code)
    good = run(site, tmp_path, str(file), "--format", "raw", "--detach")
    assert good.exit_code == 0, good.output  # the positive control
