# SPDX-License-Identifier: MIT
"""A command that is carried out by a controller elsewhere: which operation of its API that is, and what of the command line goes where.

The controller's own document says which operation does what a command does; only what the command line calls otherwise is told here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click
from click.core import ParameterSource

from labvirt import shapes
from labvirt.cli import guest, profile_checks, secret
from labvirt.cli import words as word_kinds
from labvirt.cli.controller import Controller
from labvirt.cli.shell_only import REASONS
from labvirt.domain.person import grant_text
from labvirt.domain.power_times import days_text
from labvirt.errors import InvalidInput, Unsupported

DOCUMENT = "/api/v1/openapi.json"

Given = dict[str, Any]

WORDS: Mapping[str, Given] = {
    "terminal restart": {"word": "restart"},
    "terminal shutdown": {"word": "shutdown"},
    "lab restart-terminals": {"word": "restart"},
    "lab shutdown-terminals": {"word": "shutdown"},
}
"""What a command says by its name."""

FLAGS: Mapping[str, tuple[str, Any]] = {
    "inactive": ("active", False),
    "no_mac": ("mac", None),
    "no_id": ("inventory_id", None),
    "no_profile": ("profile", None),
    "all_labs": ("labs", []),
    "no_user": ("user", None),
    "no_ready_port": ("ready_port", None),
    "no_overlay_cap": ("overlay_cap_mib", None),
    "no_max_guests": ("max_guests", None),
    "no_restart_days": ("restart_days", None),
    "no_extra": ("extra", []),
    "no_checks": ("checks", []),
    "no_home": ("home", None),
    "no_on": ("on", None),
    "no_off": ("off", None),
    "no_grants": ("grants", []),
    "no_groups": ("groups", []),
    "campus": ("password", None),
}
"""Flag -> the field that it sets, and to what."""

ASKED_FOR = {"person add": "Password", "person password": "New password"}
"""Commands that ask for a password, here as at the controller's own shell: never an argument."""

OTHERWISE: Mapping[tuple[str, str], str] = {
    ("job list", "also_ended"): "",
    ("class set", "dropped"): "no_defaults",
    ("rescue files", "place"): "disk",
    ("audit list", "count"): "limit",
    ("image note", "text"): "note",
    ("version note", "text"): "note",
    ("rescue list", "guest"): "guest",
    ("profile checks add", "file"): "",
    ("profile checks add", "name"): "check",
    ("guest screenshot", "file"): "",
    ("guest tell", "said"): "",
}
"""What the document calls otherwise; '': it is told in its own way."""

CHOICES: Mapping[str, Callable[[Given], str]] = {
    "person second-factor": lambda given: "people_set_second_factor" if "demand" in given else "people_second_factor_of",
    "person show": lambda given: "people_show",
    "terminal show": lambda given: "terminals_show",
    "profile show": lambda given: "profiles_show",
    "host show": lambda given: "hosts_show",
    "job show": lambda given: "jobs_show",
    "version show": lambda given: "versions_show",
    "image gc": lambda given: "garbage_plan" if given.pop("dry_run", False) else "garbage_collect",
    "image needs": lambda given: "versions_needs" if "number" in given else "images_needs",
    "guest tell": lambda given: "labs_tell" if "lab" in given else "guests_tell",
    "lab end": lambda given: "labs_call_off_end" if given.pop("call_off", False) else "labs_end",
    "lab power": lambda given: "power_change_lab" if given.keys() - {"name"} else "power_of_lab",
    "terminal power": lambda given: "power_set_terminal" if "on_power_off" in given else "power_of_terminal",
}
"""Which operation it is, of the several that a command stands for."""


def _check_file(found: Given, params: Mapping[str, Any]) -> None:
    """The text of the file of this machine, under its name."""
    file: Path = params["file"]
    if "check" not in found:
        found["check"] = word_kinds.CHECK.convert(file.name, None, None)
    found["text"] = profile_checks.text_of(file)


def _sentence(found: Given, params: Mapping[str, Any]) -> None:
    """A sentence, behind a guest where no lab is meant."""
    said = guest.said_of(params["said"], params["lab"])
    found |= {"sentence": said[-1]} | ({} if params["lab"] else {"guest": said[0]})


IN_ITS_OWN_WAY: Mapping[str, Callable[[Given, Mapping[str, Any]], None]] = {"profile checks add": _check_file, "guest tell": _sentence}
"""Commands whose words are not the document's fields one by one."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and which JSON it answers."""

    id: str
    method: str
    path: str
    body: Given | None
    headers: Mapping[str, str]


def call(ctx: click.Context, controller: Controller) -> Call:
    """What this command asks of the controller. Raises Unsupported, InvalidInput, Refused, NotReached."""
    words = ctx.command_path.partition(" ")[2]
    if words in REASONS:
        raise Unsupported(f"labvirt {words}, on another machine ({REASONS[words]})", "of the API")
    given = _given(ctx, words)
    operations = _operations(controller.ask("GET", DOCUMENT), words)
    if words in CHOICES:
        id = CHOICES[words](given)
    elif len(operations) == 1:
        id = next(iter(operations))
    else:
        raise Unsupported(f"labvirt {words}, on another machine", "of the API")
    path, method, told = operations[id]
    return _filled(ctx, words, given, id, path, method, told)


def _given(ctx: click.Context, words: str) -> Given:
    """What somebody has typed, by the names of the document, as JSON."""
    found: Given = dict(WORDS.get(words, {}))
    for name, value in ctx.params.items():
        if ctx.get_parameter_source(name) in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP) or value in (None, ()):
            continue
        if name in FLAGS and value is True:
            field, meant = FLAGS[name]
            if field in found:
                raise InvalidInput(field, "cannot be set and forgotten at once")
            found[field] = meant
        elif words == "image needs":
            found["name"], number = value
            found |= {"number": number} if number else {}
        elif name != "detach" and (called := OTHERWISE.get((words, name), name)):
            found[called] = _as_json(name, value)
    if words == "job list" and not ctx.params["also_ended"]:
        found["ended"] = False
    if words in IN_ITS_OWN_WAY:
        IN_ITS_OWN_WAY[words](found, ctx.params)
    if words in ASKED_FOR and "password" not in found:
        found["password"] = secret.ask(f"{ASKED_FOR[words]} of {found['name']}")
    return found


def _as_json(name: str, value: Any) -> Any:
    if isinstance(value, time):
        return value.isoformat("minutes")
    if name == "grants":
        return [grant_text(each) for each in value]
    return days_text(value) if name == "days" and not isinstance(value, int) else shapes.plain(value)


def _operations(document: Mapping[str, Any], words: str) -> dict[str, tuple[str, str, Mapping[str, Any]]]:
    """id -> (path, method, what the document tells), of those that do what the command does."""
    found: dict[str, tuple[str, str, Mapping[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            if isinstance(told, dict) and f"labvirt {words}" in told.get("x-labvirt-command", ()):
                body = told.get("requestBody")
                schema = _last(document, body["content"]["application/json"]["schema"]) if body else {}
                found[told["operationId"]] = (path, method.upper(), {**told, "fields": schema.get("properties", {})})
    return found


def _last(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    found: Mapping[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    return found


def _filled(ctx: click.Context, words: str, given: Given, id: str, path: str, method: str, told: Mapping[str, Any]) -> Call:
    """The places of the path take the arguments in their order; everything else goes where the document has its name."""
    typed = [each.name for each in ctx.command.params if isinstance(each, click.Argument) and each.name in given]
    for one in (each for each in told.get("parameters", ()) if each["in"] == "path"):
        source = one["name"] if one["name"] in given else next((name for name in typed if name in given), None)
        if source is None:
            raise InvalidInput(one["name"], "is needed", hint=f"labvirt {words} --help")
        path = path.replace(f"{{{one['name']}}}", quote(str(given.pop(source)), safe=""))
    query = {}
    for one in (each for each in told.get("parameters", ()) if each["in"] == "query"):
        if one["name"] in given:
            query[one["name"]] = _text(given.pop(one["name"]))
    fields = told["fields"]
    body = {name: _fitting(given.pop(name), fields[name]) for name in tuple(given) if name in fields}
    if given:
        raise InvalidInput(next(iter(given)), "cannot be said to a controller elsewhere", hint="Leave it out, or do it at its own shell.")
    headers = {"Idempotency-Key": secrets.token_hex(16)} if method == "POST" else {}
    return Call(id, method, path + (f"?{urlencode(query)}" if query else ""), body if told.get("requestBody") else None, headers)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fitting(value: Any, schema: Mapping[str, Any]) -> Any:
    """Pairs become an object where one is wanted."""
    wants_object = schema.get("type") == "object" or any(arm.get("type") == "object" for arm in schema.get("anyOf", ()))
    return dict(value) if wants_object and isinstance(value, list) else value
