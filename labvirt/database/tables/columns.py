# SPDX-License-Identifier: MIT
"""What tables are made of: the one collection of them, and columns and constraints that recur."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Text,
)

metadata = MetaData()

FLAG = (0, 1)


def name() -> Column[str]:
    return Column("name", Text, primary_key=True)


def filled(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def number(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def maybe(name: str) -> Column[str | None]:
    return Column(name, Text)


def refers(name: str, target: str, *, needed: bool = False, on_delete: str | None = None) -> Column[str | None]:
    return Column(name, Text, ForeignKey(target, ondelete=on_delete), nullable=not needed)


def one_of(column: str, values: Iterable[object]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in values)
    return CheckConstraint(f"{column} IN ({listed})")
