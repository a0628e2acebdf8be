# SPDX-License-Identifier: MIT
"""Dnsmasq keeps contracts.dhcp.DhcpServer: one server for each lab, which outlives us and is adopted by proof.

1. Every lab has a folder; its files are written whole, and a change is always followed by SIGHUP (the server does not see
   deletions otherwise) or, if the configuration itself changed, by a restart.
2. `applied` is written last: the digest of what was written and the identity (boot, pid, start time) of the server that was
   told. If anything of it does not hold, files are written and the server is told again, so a kill in between heals.
3. Starting and telling happen under the lab's flock: two engines never start two servers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from labvirt.contracts.dhcp import DhcpLab
from labvirt.domain.lease import Lease
from labvirt.domain.names import check_name
from labvirt.errors import DhcpError
from labvirt.network.dhcp import dnsmasq_conf, server, tftp_root
from labvirt.network.dhcp import leases as lease_file
from labvirt.system import files, locks, process
from labvirt.system.process import ProcessIdentity

_APPLIED, _LOCK = "applied", "lock"
_READ_AGAIN = 3


class Dnsmasq:
    """`folder` is networks/ of the state folder. Works in the network namespace of the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def apply(self, lab: DhcpLab) -> None:
        wanted = {
            server.CONFIG: dnsmasq_conf.render_config(lab),
            server.HOSTS: dnsmasq_conf.render_hosts(lab),
            server.NAMES: dnsmasq_conf.render_names(lab),
        }
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in wanted.items()}
        digests |= {f"{server.TFTP}/{name}": digest for name, digest in tftp_root.digests(lab.boot).items()}
        folder = self._of(lab.lab)
        known, told = _applied(folder)
        if known is not None and told == digests and _lives(known):
            return
        with _translated("apply", lab.lab), self._locked(lab.lab):
            known, told = _applied(folder)
            tftp_root.lay(folder / server.TFTP, lab.boot)
            for name, text in wanted.items():
                files.write_atomic(folder / name, text, mode=0o644)
            running = self._adopt(folder, known)
            if running is not None and told.get(server.CONFIG) != digests[server.CONFIG]:
                server.stop([running])
                running = None
            if running is None or not process.send_signal(running, signal.SIGHUP):
                running = server.start(folder, lab.gateway, lab.lab)
            files.write_atomic(folder / _APPLIED, json.dumps({"server": asdict(running), "files": digests}))

    def leases(self, lab: str) -> tuple[Lease, ...]:
        found: tuple[Lease, ...] = ()
        with _translated("read the leases of", lab):
            for _ in range(_READ_AGAIN):  # a reader may meet the server while it writes
                try:
                    text = (self._of(lab) / server.LEASES).read_text(encoding="utf-8", errors="replace")
                except FileNotFoundError:
                    return ()
                found, strange = lease_file.parse(text, lab)
                if not strange:
                    break
        return found

    def serving(self) -> frozenset[str]:
        with _translated("look at", "the DHCP servers"):
            folders = [entry for entry in self._folder.iterdir() if (entry / server.CONFIG).exists()] if self._folder.is_dir() else []
        return frozenset(folder.name for folder in folders if self._running(folder) is not None)

    def stop(self, lab: str) -> None:
        folder = self._of(lab)
        if not folder.is_dir():
            return
        with _translated("stop", lab), self._locked(lab):
            server.stop(server.find(folder))
            for name in (_APPLIED, server.CONFIG, server.HOSTS, server.NAMES, server.LOG):
                (folder / name).unlink(missing_ok=True)
            tftp_root.lay(folder / server.TFTP, None)

    def _of(self, lab: str) -> Path:
        return self._folder / check_name(lab, "lab")

    @contextlib.contextmanager
    def _locked(self, lab: str) -> Iterator[None]:
        """The lab's folder is there and ours alone for now."""
        # Others may look into it: it holds no secret, and a server with a user of its own must read it.
        folder = files.private_folder(self._of(lab), mode=0o755)
        lock = locks.take(folder / _LOCK, wait=True)
        assert lock is not None
        with lock:
            yield

    def _running(self, folder: Path) -> ProcessIdentity | None:
        known, _ = _applied(folder)
        if known is not None and _lives(known):
            return known
        return next((found for found in server.find(folder) if server.is_here(found)), None)

    def _adopt(self, folder: Path, known: ProcessIdentity | None) -> ProcessIdentity | None:
        """The one server of this folder in our network namespace; others of the same folder are ended."""
        found = server.find(folder)
        here = [one for one in found if server.is_here(one)]
        keep = known if known in here else here[0] if here else None
        server.stop([one for one in found if one != keep])
        return keep


def _applied(folder: Path) -> tuple[ProcessIdentity | None, dict[str, str]]:
    """Which server was told what; nothing when that is not known."""
    try:
        content = json.loads((folder / _APPLIED).read_bytes())
        return ProcessIdentity(**content["server"]), dict(content["files"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None, {}


def _lives(one: ProcessIdentity) -> bool:
    return process.is_alive(one) and server.is_here(one)


@contextlib.contextmanager
def _translated(operation: str, subject: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DhcpError(
            f"Could not {operation} {subject}: {error.strerror or error}.",
            operation=operation,
            subject=subject,
            hint="Look at space and rights of the state folder: labvirt doctor",
        ) from error
