# SPDX-License-Identifier: MIT
"""Logins for file servers: one file per profile, named as it, in the form of mount.cifs(8)."""

from __future__ import annotations

import stat
from pathlib import Path

from labvirt.contracts.hypervisor import HOME_LOGIN
from labvirt.domain.home import LOGIN_BYTES
from labvirt.errors import Conflict
from labvirt.system.files import write_atomic


class LoginFiles:
    """contracts.homes.HomeLogins over the folder homes/ of the state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, profile: str) -> bool:
        return (self._folder / profile).exists()

    def put(self, profile: str, folder: Path, uid: int | None) -> None:
        source = self._folder / profile
        try:
            if stat.S_IMODE(source.stat().st_mode) & 0o077:
                raise Conflict(f"{source} holds a login and may be read by others than its owner.", hint=f"chmod 600 {source}")
            with source.open("rb") as stream:
                login = stream.read(LOGIN_BYTES + 1)
            if len(login) > LOGIN_BYTES:
                raise Conflict(f"{source} is no login of a share: it is longer than {LOGIN_BYTES} bytes.", hint="man mount.cifs")
            write_atomic(folder / HOME_LOGIN, login, owner=uid)
        except OSError as error:
            raise Conflict(
                f"The login for the home of {profile} could not be handed on: {error.strerror}.", hint=f"ls -l {source}"
            ) from error
