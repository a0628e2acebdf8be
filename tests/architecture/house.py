# SPDX-License-Identifier: MIT
"""The laws of the house as values: which room may know which, and who owns the door to a foreign package.

Change a law here together with docs/architecture.md. How they are enforced is in reader.py.
"""

from __future__ import annotations

ROOMS: dict[str, frozenset[str]] = {
    room: frozenset(known.split())
    for room, known in {
        "errors": "",
        "domain": "errors",
        "contracts": "domain errors",
        "config": "domain errors",
        "system": "errors",
        "hypervisors": "contracts domain errors system",
        "disks": "contracts domain errors system",
        "network": "contracts domain errors system",
        "checks": "contracts domain errors system",
        "archive": "contracts domain errors system",
        "database": "contracts domain errors",
        "link": "contracts domain errors system",
        "usecases": "contracts domain errors",
        "engine": "usecases contracts domain errors",
        "doctor": "contracts domain errors system",
        "shapes": "usecases contracts domain errors",
        "web": "shapes usecases doctor contracts domain errors config",
        "cli": "shapes usecases doctor contracts domain errors config",
        "demo": "system errors config",
        "__main__": "bootstrap",
    }.items()
}
"""Which rooms of labvirt/ a room may import, beside itself and the version in labvirt/__init__.py."""

BUILDER = "bootstrap"
"""The only room that knows all others."""

DOORS: dict[str, frozenset[str]] = {
    package: frozenset(owners.split())
    for package, owners in {
        # the machine
        "subprocess": "system",
        "multiprocessing": "system",
        "pty": "system",
        "fcntl": "system",
        "ctypes": "system",
        # guests
        "libvirt": "hypervisors",
        "libvirt_qemu": "hypervisors",
        "libvirtaio": "hypervisors",
        "qemu": "hypervisors",
        # the lab's network
        "pyroute2": "network",
        "nftables": "network",
        "dns": "network",
        # what is kept
        "sqlite3": "database",
        "sqlalchemy": "database",
        "alembic": "database",
        # what checks profiles' guests
        "pytest": "checks",
        # who people are
        "argon2": "usecases",
        # what people see
        "segno": "web",
        "a2wsgi": "web",
        "babel": "web",
        "flask": "web",
        "jinja2": "web",
        "markupsafe": "web",
        "prometheus_client": "web",
        "uvicorn": "web",
        "werkzeug": "web",
        "click": "cli",
        "rich": "cli demo",
        # checking what comes from outside
        "oslo_utils": "disks",
        "pydantic": "config web",
        "pydantic_settings": "config",
        # pictures and certificates: each room that uses them is named
        "PIL": "web demo system hypervisors checks",
        "cryptography": "system hypervisors network",
    }.items()
}
"""Who may import a foreign package, or a dangerous part of the standard library. Every foreign package has a line."""

DOOR_CALLS: dict[str, frozenset[str]] = {
    call: frozenset({"system"})
    for call in (
        *("os.system", "os.popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp"),
        *("os.execl", "os.execle", "os.execlp", "os.execlpe", "os.execv", "os.execve", "os.execvp", "os.execvpe"),
        *("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"),
    )
}
"""Other ways to start a process."""

PURE_WITHOUT = frozenset(
    "os socket subprocess time threading asyncio multiprocessing signal select selectors shutil tempfile glob urllib http".split()
)
"""Standard library the domain does without: no I/O, no clock, no threads."""

PURE_WITHOUT_CALLS = frozenset({"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "open"})
"""Calls the domain does without: a clock and a file are handed in."""

CONTRACTS_USE = frozenset("__future__ abc collections contextlib dataclasses datetime enum ipaddress pathlib types typing uuid".split())
"""All of the standard library that contracts may use: they are words, not deeds."""
