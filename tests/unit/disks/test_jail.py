# SPDX-License-Identifier: MIT
"""Watched by strace: what qemu-img opens while it is given the worst files, with and without our inspection before it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.disks.hostile import compression_bomb, lying
from tests.unit.disks.images import CANARY, MIB, hostile

ROOT = Path(__file__).parents[3]
WATCHED = "trace=open,openat,openat2,creat,socket,connect,execve"
ALLOWED = re.compile(r"/(usr|lib|lib64|proc|dev|files/\d+|target)(/|$)|/proc/|/dev/")
"""What there is in the jail: programs and libraries, the files that were bound, the folder for the result."""

pytestmark = pytest.mark.real

WORK = """
import json, sys
from pathlib import Path
from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks import conversion
from labvirt.disks.jail import Bounds
from labvirt.errors import LabVirtError
from tests.unit.disks.images import store_in

place, corpus = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
store = store_in(place / "state")
bounds = Bounds(seconds=60, cpu_seconds=30, file_bytes=64 << 20)
out = place / "out"
out.mkdir()
said = {}
for number, (name, path, format) in enumerate(corpus, 1):
    path = Path(path)
    try:  # as a person's file
        store.import_version(path, format=format, image="tiny", number=number)
        said[name] = "imported"
    except LabVirtError as error:
        said[name] = error.code
    if format == "qcow2" and path.is_file():  # and with nothing before the jail
        for verb in ("check", "convert"):
            try:
                if verb == "check":
                    conversion.check_qcow2(path, name=name, bounds=bounds)
                else:
                    chain = (DiskLayer(path=path, format="qcow2"),)
                    conversion.convert(chain, out / f"{number}.qcow2", name=name, bounds=bounds)
                said[f"{verb} {name}"] = "done"
            except LabVirtError as error:
                said[f"{verb} {name}"] = error.code
(place / "said.json").write_text(json.dumps(said))
"""


def corpus_in(folder: Path, canary: Path) -> list[tuple[str, str, str]]:
    folder.mkdir()
    found = [(name, str(path), kind) for name, (path, kind) in hostile(folder, canary).items() if "\0" not in str(path)]
    for name, (content, kind) in lying(canary).items():
        (folder / name).write_bytes(content)
        found.append((name, str(folder / name), kind))
    return found


def of_qemu_img(log: Path) -> Iterator[str]:
    """The lines of every qemu-img and its threads. While one runs, everybody else who was there before waits for it."""
    seen: set[str] = set()
    mine: set[str] = set()
    main = ""
    for line in log.read_text(errors="replace").splitlines():
        pid, _, rest = line.partition(" ")
        rest = rest.strip()
        if re.match(r'execve\("[^"]*/qemu-img"', rest) and rest.endswith("= 0"):
            main, mine = pid, {pid}
        elif main and pid not in seen:
            mine.add(pid)
        seen.add(pid)
        if pid in mine:
            yield rest
        if pid == main and rest.startswith("+++"):
            main, mine = "", set()


def strange(lines: Iterator[str]) -> tuple[int, list[str]]:
    """(how many files were opened, calls that went outside)."""
    opened, outside = 0, []
    for line in lines:
        if line.startswith(("socket(", "connect(")):
            if "AF_UNIX" not in line:
                outside.append(line)
        elif line.startswith(("open", "creat(")):
            found = re.search(r'"((?:[^"\\]|\\.)*)"', line)
            worked = re.search(r"= \d+$", line)
            if worked:
                opened += 1
                if found and found[1].startswith("/") and not ALLOWED.match(found[1]):
                    outside.append(line)
    return opened, outside


def leaks(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and CANARY in path.read_bytes()]


def watched(log: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    words = ["strace", "-f", "-q", "-s", "4096", "-e", "signal=none", "-e", WATCHED, "-o", str(log), *argv]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_no_file_of_the_corpus_makes_qemu_img_look_outside(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace: apt-get install strace")
    secret = tmp_path / "secret"
    secret.mkdir()
    canary = secret / "token"
    canary.write_bytes(CANARY * 64)
    corpus = corpus_in(tmp_path / "corpus", canary)
    assert len(corpus) > 100
    place = tmp_path / "place"
    place.mkdir()
    listed = tmp_path / "corpus.json"
    listed.write_text(json.dumps(corpus))
    log = tmp_path / "strace.log"
    done = watched(log, sys.executable, "-c", WORK, str(place), str(listed))
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads((place / "said.json").read_text())

    opened, outside = strange(of_qemu_img(log))
    assert outside == []
    assert opened > 1000, "the watching did not work"
    assert leaks(place) == []
    assert CANARY.decode() not in done.stdout + done.stderr
    # Without our inspection some data files are looked for; in the jail there are none.
    tried = [line for line in of_qemu_img(log) if str(canary) in line and line.startswith("open")]
    assert tried
    assert [line for line in tried if "ENOENT" not in line] == []
    # Whatever a header can give away was refused before qemu-img saw it; what can only be found in tables, after.
    harmless = {"tables-good", "compressed-all-the-same", "l2-to-header", "fixed-vhd"}
    assert {name for name, what in said.items() if what == "imported"} == harmless
    assert sum(what == "done" for name, what in said.items() if name.startswith("convert ")) > 5, "the jail alone was not tried"

    # The control: without inspection and jail the same kind of file does leak, and the watching does see it.
    plain = tmp_path / "plain"
    plain.mkdir()
    bad = next(path for name, path, _ in corpus if name == "backing-file-with-format")
    log = tmp_path / "control.log"
    done = watched(log, "sh", "-c", f'qemu-img "$@" {bad} {plain}/out', "sh", "convert", "-f", "qcow2", "-O", "raw")
    assert leaks(plain) == ["out"]
    assert str(canary) in log.read_text()


def test_what_the_log_says_is_judged() -> None:
    """The judge itself: it must see what would be wrong."""
    log = [
        '10 execve("/usr/bin/bwrap", ["bwrap"], 0x1) = 0',
        '10 openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 3',
        '11 execve("/usr/bin/qemu-img", ["qemu-img", "convert"], 0x1) = 0',
        '11 openat(AT_FDCWD, "/usr/lib/x.so", O_RDONLY) = 3',
        '11 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY) = -1 ENOENT (No such file or directory)',
        '12 openat(AT_FDCWD, "/files/0", O_RDONLY) = 4',
        "12 socket(AF_INET, SOCK_STREAM, 0) = 5",
        '12 openat(AT_FDCWD, "/etc/shadow", O_RDONLY) = 6',
        "11 +++ exited with 0 +++",
        '10 openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 3',
    ]

    class Log:
        def read_text(self, errors: str) -> str:
            return "\n".join(log)

    opened, outside = strange(of_qemu_img(Log()))  # type: ignore[arg-type]
    assert opened == 3
    assert [line[:20] for line in outside] == ["socket(AF_INET, SOCK", 'openat(AT_FDCWD, "/e']


@pytest.mark.slow
def test_a_compression_bomb_is_measured_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = compression_bomb(tmp_path, size="512M")
    assert bomb.stat().st_size < 12 * MIB
    script = """
import json, sys
from pathlib import Path
from labvirt.errors import Exhausted
from tests.unit.disks.images import left_in, store_in
place, source = Path(sys.argv[1]), Path(sys.argv[2])
store = store_in(place)
try:
    store.import_version(source, format="qcow2", image="tiny", number=1)
    print("made")
except Exhausted as error:
    print(error.sentence, left_in(place))
"""
    place = tmp_path / "small"
    place.mkdir()
    mount = 'mount -t tmpfs -o size="$1" tmpfs "$2" && exec "$3" -c "$4" "$2" "$5"'
    for size, words in (("256m", "There is no space for packed: it needs about 51"), ("900m", "made")):
        argv = ["unshare", "--mount", "bash", "-c", mount, "bash", size, str(place), sys.executable, script, str(bomb)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
        assert done.stdout.startswith(words), done.stdout + done.stderr
        assert words == "made" or done.stdout.endswith("[]\n")
