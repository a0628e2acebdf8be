# SPDX-License-Identifier: MIT
"""Wishes and history in SQLite: tables, rows <-> domain values, repositories, units of work, migrations.

Keeps the contract of labvirt/contracts/database.py. SQLAlchemy and its errors do not leave this room.
"""
