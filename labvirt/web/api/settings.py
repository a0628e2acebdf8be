# SPDX-License-Identifier: MIT
"""/settings: what terminals show and what their people may do: site < lab < class < terminal."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.domain.setting import SETTINGS, Setting
from labvirt.usecases import settings
from labvirt.usecases.ports import Ports
from labvirt.usecases.settings import Level, SettingsView
from labvirt.web.api.model import Answered, Asked, Shape, Told
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("settings", "What terminals show and what their people may do: site < lab < class < terminal.")

Which = Annotated[str, Field(max_length=64)]


class Of(Asked):
    """Of which level; nothing: of the whole site."""

    lab: Which = ""
    terminal_class: Which = ""
    terminal: Which = ""

    def level(self) -> Level:
        """Raises InvalidInput when there is more than one."""
        return settings.level_of(lab=self.lab or None, terminal_class=self.terminal_class or None, terminal=self.terminal or None)


class SettingTold(Answered):
    """What counts, and where it comes from: `from` is a level or 'default', `of` whose."""

    key: str
    value: str
    from_: Annotated[str, Field(alias="from")]
    of: str
    own: bool


class SettingsTold(Answered):
    """What counts at a level."""

    level: str
    subject: str
    settings: list[SettingTold]


class SettingKey(Answered):
    """What a setting means, and what it may be."""

    key: str
    default: str
    allowed: str
    what: str


class Value(Told):
    """What it is from now on."""

    value: Annotated[str, Field(max_length=200)]


SETTINGS_VIEW = Shape(SettingsTold, lambda ports, view: shapes.settings(view))
KEYS = Many(
    Shape(SettingKey, lambda ports, each: {"key": each.key, "default": each.default, "allowed": each.allowed, "what": each.sentence}),
    key=lambda each: each.key,
)


@noun.get("/settings", SETTINGS_VIEW, cli="settings show")
def show(ports: Ports, asked: Of) -> SettingsView:
    """What counts there, and where each value comes from."""
    return settings.show(ports, asked.level())


@noun.put("/settings/{key}", SETTINGS_VIEW, cli="settings set")
def set_(ports: Ports, key: str, asked: Of, told: Value) -> SettingsView:
    """Set one. Language and keyboard change at once, the rest at the next start of a viewer."""
    return settings.change(ports, asked.level(), key, told.value)


@noun.delete("/settings/{key}", SETTINGS_VIEW, cli="settings unset")
def unset(ports: Ports, key: str, asked: Of) -> SettingsView:
    """Forget one at this level: what counts comes from a weaker one then."""
    return settings.unset(ports, asked.level(), key)


@noun.get("/setting-keys", KEYS, cli="settings keys")
def keys(ports: Ports, asked: Paged) -> tuple[Setting, ...]:
    """Every setting: what it means, what it may be, and its default."""
    return tuple(SETTINGS.values())
