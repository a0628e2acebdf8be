# SPDX-License-Identifier: MIT
"""The document as a page for people: made here, of HTML alone, so that it works without the Internet and under the strictest policy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from flask import render_template
from jinja2.runtime import Undefined
from markupsafe import Markup

Schema = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")


def page(text: str) -> str:
    """The page of this document (as JSON). Needs an application with `kind` and `followed` as filters."""
    api = _parsed(text)
    return render_template("api.html", api=api, operations=tuple(_operations(api)))


@cache
def _parsed(text: str) -> Schema:
    found: Schema = json.loads(text)
    return found


def _operations(api: Schema) -> Iterable[Schema]:
    for path, methods in api["paths"].items():
        for method in METHODS:
            if told := methods.get(method):
                yield {"path": path, "method": method, "id": told["operationId"], "tag": told["tags"][0], "told": told}


def kind(schema: Schema | Undefined) -> Markup:
    """What a value may be, in a few words, with links to the shapes it is made of."""
    if not isinstance(schema, dict):
        return Markup("")
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    if arms := schema.get("anyOf"):
        return Markup(" or ").join(kind(arm) for arm in arms)
    if schema.get("type") == "array":
        return Markup("list of {}").format(kind(schema["items"])) if "items" in schema else Markup("list")
    if "items" in schema.get("properties", {}) and "next" in schema["properties"]:
        return Markup("page of {}").format(kind(schema["properties"]["items"]["items"]))
    words = [str(schema.get("format") or schema.get("type") or schema.get("const") or "anything")]
    words += [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most")) if key in schema]
    words += [f"one of {', '.join(map(str, schema['enum']))}"] if "enum" in schema else []
    words += [f"usually {schema['default']}"] if schema.get("default") not in (None, "", [], {}) else []
    return Markup("{}").format(", ".join(words))


def followed(answer: Schema, text: str) -> Schema:
    """An answer itself, where the document only says where it is told."""
    reference = answer.get("$ref")
    found: Schema = _parsed(text)["components"]["responses"][reference.rpartition("/")[2]] if reference else answer
    return found
