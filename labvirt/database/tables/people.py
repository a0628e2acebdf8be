# SPDX-License-Identifier: MIT
"""People, groups, grants, sign-ins, tokens. Of passwords and tokens only hashes."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from labvirt.database.tables.columns import FLAG, filled, maybe, metadata, name, number, one_of, refers
from labvirt.domain.right import Role

people = Table(
    "people",
    metadata,
    name(),
    filled("full_name"),
    number("active"),
    filled("made_at"),
    filled("password"),
    maybe("password_at"),
    filled("totp"),
    filled("totp_new"),
    number("totp_step"),
    filled("recovery"),
    one_of("active", FLAG),
)

groups = Table("person_groups", metadata, name(), filled("note"))

members = Table(
    "members",
    metadata,
    Column("id", Integer, primary_key=True),
    refers("person", "people.name", needed=True, on_delete="CASCADE"),
    refers("group_name", "person_groups.name", needed=True, on_delete="CASCADE"),
    Index("member_once", "person", "group_name", unique=True),
)

grants = Table(
    "grants",
    metadata,
    Column("id", Integer, primary_key=True),
    refers("person", "people.name", on_delete="CASCADE"),
    refers("group_name", "person_groups.name", on_delete="CASCADE"),
    filled("role"),
    refers("lab", "labs.name", on_delete="CASCADE"),
    one_of("role", Role),
    Index("grants_of_person", "person"),
    Index("grants_of_group", "group_name"),
)
"""Of a person or of a group; without a lab: in the whole site."""

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", Text, primary_key=True),
    filled("token"),
    refers("person", "people.name", on_delete="CASCADE"),
    number("whole"),
    filled("address"),
    filled("agent"),
    filled("made_at"),
    filled("seen_at"),
    maybe("confirmed_at"),
    one_of("whole", FLAG),
    Index("sign_in_by_token", "token", unique=True),
    Index("sign_ins_of_person", "person"),
)
"""`token` is its hash. Without a person: the administrator of the shell."""

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    filled("token"),
    refers("person", "people.name", needed=True, on_delete="CASCADE"),
    filled("name"),
    maybe("rights"),
    filled("made_at"),
    filled("expires_at"),
    maybe("used_at"),
    refers("made_by", "api_tokens.id", on_delete="CASCADE"),
    Index("token_by_hash", "token", unique=True),
    Index("token_once", "person", "name", unique=True),
)
