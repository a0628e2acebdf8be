# SPDX-License-Identifier: MIT
"""Which QEMU is installed here."""

from __future__ import annotations

import os
import shutil

from labvirt.errors import HostNotReady
from labvirt.hypervisors.qemu import command
from labvirt.system.process import run as run_program


class QemuVersion:
    """QEMU's version, asked again only when its program was replaced: an upgrade comes while the engine runs."""

    def __init__(self) -> None:
        self._known: tuple[tuple[int, ...], str] = ((), "")

    def now(self) -> str:
        program = shutil.which(command.PROGRAM)
        found = os.stat(program) if program else None
        seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns) if found else ()
        if not seen or self._known[0] != seen:
            self._known = (seen, asked())
        return self._known[1]


def asked() -> str:
    """QEMU's version. Raises HostNotReady when a program is missing that every start needs."""
    answers = []
    for program, package in ((command.PROGRAM, "qemu-system-x86"), ("bwrap", "bubblewrap"), ("setpriv", "util-linux")):
        answer = run_program((program, "--version"), timeout=20)
        if not answer.ok:
            raise HostNotReady(f"No guest can be started: {answer.last_words}.", hint=f"apt-get install --no-install-recommends {package}")
        answers.append(answer.stdout.decode("utf-8", "replace").partition("\n")[0])
    return answers[0].removeprefix("QEMU emulator version ").strip()
