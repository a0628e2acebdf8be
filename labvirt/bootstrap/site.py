# SPDX-License-Identifier: MIT
"""Making a state folder, once."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from labvirt.bootstrap.opening import open_database, paths_of, ports, settings_of
from labvirt.errors import Conflict, HostNotReady, InvalidInput

if TYPE_CHECKING:
    from labvirt.config import StatePaths


def init(state: Path, again: bool, hypervisor: str | None) -> str:
    """The state folder, its folders (0700), secrets and database exist; gives the set-up code. A site that exists is
    left alone: Conflict.

    A folder that holds something else is refused before anything is written.
    """
    from labvirt.system import files
    from labvirt.usecases import setup

    paths = paths_of(state)
    if not again or not paths.database.exists():
        _refuse_foreign(state, paths)
    if not paths.database.exists():
        if hypervisor is not None and paths.settings.exists():
            raise InvalidInput("hypervisor", f"there is {paths.settings} already", hint="Set hypervisor there.")
        try:
            for folder in (state, *paths.folders()):
                files.private_folder(folder)
            if hypervisor is not None:
                files.write_atomic(paths.settings, f'hypervisor = "{hypervisor}"\n')
        except OSError as error:
            raise HostNotReady(
                f"The state folder {state} cannot be made: {error.strerror}.", hint="Choose another one: --state DIR"
            ) from error
        settings_of(state)
    open_database(state, create=True).close()
    with ports(state) as doors:
        code = setup.init(doors, host=socket.gethostname(), again=again)
    return code


def _refuse_foreign(state: Path, paths: StatePaths) -> None:
    ours = {path.name for path in vars(paths).values()}
    try:
        found = sorted(each.name for each in state.iterdir() if each.name not in ours)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostNotReady(f"{state} is not a folder we can use: {error.strerror}.", hint="Choose another one: --state DIR") from error
    if found and not paths.database.exists():
        raise Conflict(f"{state} holds something else already ({found[0][:60]}).", hint="Choose an empty folder: --state DIR")
