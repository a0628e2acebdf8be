# SPDX-License-Identifier: MIT
"""From whatever lies at the database's path to a database of this version, or a refusal that touches nothing.

A migration is one transaction: a crash in the middle leaves the old database. Before it, a copy is kept beside the
file.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection

from labvirt.database.connections import connect
from labvirt.database.trouble import BUSY_SECONDS, damaged, lasting, translated
from labvirt.errors import HostNotReady

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0014"
"""The newest migration; a test compares it with the folder. It spares every start the import of Alembic."""

APPLICATION_ID = 0x4C565254
"""'LVRT' in the file's header (PRAGMA application_id): this file is a LabVirt database."""


def ensure(path: Path, *, create: bool = False, migrations: Path = MIGRATIONS, head: str = HEAD) -> None:
    """The file at `path` is a database of version `head` afterwards. Raises HostNotReady when it is missing and must
    not be created, DatabaseError when it is newer, foreign or damaged: then it was not touched.
    """
    with translated(path):
        exists = path.exists() and path.stat().st_size > 0
        if not exists and not create:
            raise HostNotReady(
                f"{path.parent} is not set up: there is no database in it.",
                hint=f"Set it up: labvirt init --state {path.parent}",
            )
        if exists and _version(path) == head:
            return
        if not exists:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        _migrate(path, migrations, head)


def _version(path: Path) -> str | None:
    """The version of an existing file; None for an empty SQLite file. Raises DatabaseError for what is not ours.
    Opens read-only.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as raw:
            (id,) = raw.execute("PRAGMA application_id").fetchone()
            tables = {name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if not tables and id in (0, APPLICATION_ID):
                return None
            if id != APPLICATION_ID or "alembic_version" not in tables:
                raise lasting(
                    f"The file {path} is the database of another program.",
                    hint="It was not touched. Choose another state folder: --state DIR",
                )
            found = raw.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(found[0]) if found else None
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error) or "malformed" in str(error):
            raise damaged(path, str(error)) from error
        raise


def _migrate(path: Path, migrations: Path, head: str) -> None:
    # Alembic takes a tenth of a second to import: only those who need it wait for it.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(migrations))
    engine = connect(path, migrating=True)
    immediate = engine.execution_options(labvirt_write=True)
    with immediate.begin() as connection:  # from here nobody else migrates
        found = _version(path)
        if found == head:
            return
        known = {revision.revision for revision in script.walk_revisions()}
        if found is not None and found not in known:
            raise lasting(
                f"The database {path} was made by a newer LabVirt (version {found}; this one knows up to {head}).",
                hint="It was not touched. Use that LabVirt, or go back to the copy that it made when it migrated.",
            )
        if found is not None:
            kept = _keep_copy(path, found)
            log.info("migrating %s from %s to %s; a copy is in %s", path, found, head, kept)
        context = EnvironmentContext(Config(), script, fn=lambda rev, _: script._upgrade_revs(head, rev))
        context.configure(connection=connection, transactional_ddl=True)
        context.run_migrations()
        _check_references(path, connection)
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _keep_copy(path: Path, version: str) -> Path:
    """A consistent, durable copy of the database as it is committed now."""
    kept = path.with_name(f"{path.name}.before-{version}-changed")
    part = kept.with_name(kept.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
    for each in (part, path.parent):
        descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if each is part:
                os.fsync(descriptor)
                os.replace(part, kept)
            else:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return kept


def _check_references(path: Path, connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise damaged(path, f"after the migration a row of {broken[0]} refers to nothing; the migration was undone")
