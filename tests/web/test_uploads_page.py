# SPDX-License-Identifier: MIT
"""docs/reference/uploads.md: its example works as it stands, and its figures are those of the program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from labvirt.disks import uploads as folder
from labvirt.usecases import jobs, setup, uploads
from labvirt.web import uploads as routes

from .conftest import Site

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "uploads.md").read_text()


def example() -> str:
    found = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_example_sends_a_file_in_pieces(site: Site, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl: apt-get install curl")
    content = os.urandom(200_000)
    (tmp_path / "disk.qcow2").write_bytes(content)
    script = example()
    for name, value in (("URL", site.url), ("FILE", "disk.qcow2"), ("CODE", setup.sign_in_code(site.ports))):
        script, count = re.subn(rf"\b{name}=\S+", f"{name}={value}", script, count=1)
        assert count == 1
    script, count = re.subn("head -c 64M", "head -c 90000", script)
    assert count == 1
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    ended = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    upload = uploads.everything(site.ports)[0].upload
    assert site.ports.uploads is not None
    assert site.ports.uploads.path(upload.id).read_bytes() == content
    job = jobs.one(site.ports, jobs.unfinished(site.ports)[0])
    assert ended.stdout.strip() == f'{{"id": "{upload.id}", "job": {job.number}, "state": "queued"}}'
    assert (job.subject, job.arguments["format"], job.arguments["note"]) == ("win11", "qcow2", "from the campus")
    assert [path.name for path in tmp_path.glob("tmp.*")] == []


def test_its_figures_are_those_of_the_program() -> None:
    assert f"{uploads.MOST_OPEN} uploads may be open per sign-in, {uploads.MOST_OPEN_IN_ALL} in all; {routes.MOST_AT_ONCE} pieces" in PAGE
    assert f"silent for {routes.SILENCE_SECONDS:.0f} seconds" in PAGE
    assert f"{folder._RESERVE >> 20} MiB are left alone" in PAGE
