# SPDX-License-Identifier: MIT
"""The document (OpenAPI 3.1) of what the nouns declare. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from labvirt.web.api.described import ELSEWHERE, TAGS
from labvirt.web.api.model import Asked
from labvirt.web.api.operation import PREFIX, Many, Noun, NoWords, Operation, answered_model
from labvirt.web.api.problem import MEDIA_TYPE

REFERENCE = "#/components/schemas/{model}"
REFUSALS = {
    HTTPStatus.BAD_REQUEST: "Something of the request is wrong: `field` says what.",
    HTTPStatus.UNAUTHORIZED: "Nobody is signed in.",
    HTTPStatus.FORBIDDEN: "Whoever asks has not the right.",
    HTTPStatus.NOT_FOUND: "There is no such thing, or none that the asker may see.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take that method.",
    HTTPStatus.REQUEST_TIMEOUT: "The rest of the body did not come.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.TOO_MANY_REQUESTS: "Asked too often: Retry-After says how long to wait.",
    HTTPStatus.BAD_GATEWAY: "QEMU, libvirt, the network or another program refused.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The engine is away, or something is used up: Retry-After says when to ask again.",
    HTTPStatus.GATEWAY_TIMEOUT: "A program did not answer in time.",
    HTTPStatus.INSUFFICIENT_STORAGE: "A disk is full or a file is damaged.",
    HTTPStatus.NOT_IMPLEMENTED: "This driver cannot do that.",
}
WITH_BODY = {HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body must be application/json."}
CHANGING = {HTTPStatus.CONFLICT: "It contradicts what exists."}
GUARDED = {HTTPStatus.PRECONDITION_FAILED: "It was changed since it was read (If-Match)."}
EVERY_REFUSAL = REFUSALS | WITH_BODY | CHANGING | GUARDED

Schema = dict[str, Any]


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    field: str | None = None
    noun: str | None = None
    name: str | None = None
    by: str | None = None
    guest: str | None = None
    state: str | None = None
    resource: str | None = None
    retry_seconds: int | None = None


def document(nouns: Iterable[Noun], version: str) -> Schema:
    """The whole document."""
    nouns = tuple(nouns)
    schemas = _schemas(operation for noun in nouns for operation in noun.operations)
    paths: dict[str, Schema] = {}
    for noun in nouns:
        for each in noun.operations:
            paths.setdefault(PREFIX + each.path, {})[each.method.lower()] = _described(each, schemas)
    for path, methods in ELSEWHERE.items():
        paths.setdefault(path, {}).update(methods)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LabVirt",
            "version": version,
            "summary": "One virtual machine for each seat of a computer lab.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"sign_in": []}],
        "tags": [*({"name": noun.name, "description": noun.sentence} for noun in nouns), *TAGS],
        "paths": paths,
        "components": {
            "schemas": schemas.shown(),
            "responses": {status.name.lower(): _refusal(text, schemas) for status, text in sorted(EVERY_REFUSAL.items())},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of a person or a program."},
                "sign_in": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "labvirt_sign_in",
                    "description": "The cookie of a signed-in browser.",
                },
            },
        },
    }


class _Schemas:
    """Where each model is described."""

    def __init__(self, references: Mapping[tuple[type[BaseModel], str], Schema], components: Schema) -> None:
        self.components = components
        self._references = references

    def shown(self) -> Schema:
        """But those of queries: these are told word by word, where they are taken."""
        queries = {_last(each["$ref"]) for (model, _), each in self._references.items() if issubclass(model, Asked)}
        return {name: each for name, each in sorted(self.components.items()) if name not in queries}

    def answered(self, model: type[BaseModel]) -> Schema:
        return self._references[model, "serialization"]

    def told(self, model: type[BaseModel]) -> Schema:
        return self._references[model, "validation"]


def _schemas(operations: Iterable[Operation]) -> _Schemas:
    wanted: dict[tuple[type[BaseModel], Literal["validation", "serialization"]], None] = {(Problem, "serialization"): None}
    for each in operations:
        if model := answered_model(each):
            wanted[model, "serialization"] = None
        if each.told is not None:
            wanted[each.told, "validation"] = None
        wanted[each.asked, "validation"] = None
    references, told = models_json_schema(list(wanted), ref_template=REFERENCE)
    return _Schemas(references, told["$defs"])  # type: ignore[arg-type]


def _described(each: Operation, schemas: _Schemas) -> Schema:
    told: Schema = {
        "operationId": each.id,
        "tags": [each.noun],
        "summary": each.summary,
        "parameters": [*_places(each), *_words(each, schemas), *_headers(each)],
        "responses": _responses(each, schemas),
    }
    if each.more:
        told["description"] = each.more
    if each.told is not None:
        needed = any(field.is_required() for field in each.told.model_fields.values()) or each.method == "PATCH"
        told["requestBody"] = {"required": needed, "content": {"application/json": {"schema": schemas.told(each.told)}}}
    if each.cli:
        told["x-labvirt-command"] = [f"labvirt {words}" for words in each.cli]
    return told


def _places(each: Operation) -> list[Schema]:
    found = []
    for name, adapter in each.places.items():
        schema = adapter.json_schema()
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _words(each: Operation, schemas: _Schemas) -> list[Schema]:
    if each.asked is NoWords:
        return []
    described = schemas.components[_last(schemas.told(each.asked)["$ref"])]
    needed = described.get("required", ())
    found = []
    for name, schema in described["properties"].items():
        told = {"name": name, "in": "query", "required": name in needed, "schema": schema}
        if text := schema.get("description"):
            told["description"] = text
        found.append(told)
    return found


def _headers(each: Operation) -> list[Schema]:
    found = []
    if each.tagged:
        found.append(_header("If-None-Match", "An ETag that the client has: 304 if it still holds."))
    if each.guarded_by:
        found.append(_header("If-Match", "The ETag that was read: 412 if it does not hold any more."))
    if each.method == "POST":
        found.append(
            _header("Idempotency-Key", "1 to 64 letters, digits, '-' and '_': the same request with the same key is done once.", 64)
        )
    return found


def _header(name: str, text: str, longest: int = 200) -> Schema:
    schema: Schema = {"type": "string", "maxLength": longest}
    if name == "Idempotency-Key":
        schema |= {"minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"}
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _responses(each: Operation, schemas: _Schemas) -> Schema:
    good: Schema = {"description": each.status.phrase}
    headers: Schema = {}
    if each.tagged:
        headers["ETag"] = {"schema": {"type": "string"}, "required": True}
    if each.status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
        headers["Location"] = {"schema": {"type": "string"}, "required": True}
    if headers:
        good["headers"] = headers
    if isinstance(each.answers, str):
        good["content"] = {each.answers: {"schema": {"type": "string", "format": "binary"}}}
    elif isinstance(each.answers, Many):
        good["content"] = {"application/json": {"schema": _page_of(schemas.answered(each.answers.each.model))}}
    elif each.answers is not None:
        good["content"] = {"application/json": {"schema": schemas.answered(each.answers.model)}}
    told: Schema = {str(int(each.status)): good}
    if each.tagged:
        told["304"] = {"description": "It is what the client has.", "headers": {"ETag": {"schema": {"type": "string"}}}}
    refusals = dict(REFUSALS)
    refusals |= WITH_BODY if each.told is not None else {}
    refusals |= CHANGING if each.method != "GET" or each.needs_engine else {}
    refusals |= GUARDED if each.guarded_by else {}
    for status in sorted(refusals):
        told[str(int(status))] = {"$ref": f"#/components/responses/{status.name.lower()}"}
    return told


def _refusal(text: str, schemas: _Schemas) -> Schema:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schemas.answered(Problem)}}}


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _page_of(item: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["items", "next"],
        "additionalProperties": False,
        "properties": {
            "items": {"type": "array", "items": item},
            "next": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "`after` of the next page; null: this is the last one.",
            },
        },
    }
