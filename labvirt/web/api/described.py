# SPDX-License-Identifier: MIT
"""Routes outside of /api/v1 that clients of the API use too, as the document tells them: uploads and events (they are native routes)."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TAGS: tuple[Schema, ...] = (
    {"name": "uploads", "description": "Disk files on their way into the store: docs/reference/uploads.md."},
    {"name": "events", "description": "Words that something has changed, as they happen."},
)

_ERROR: Schema = {
    "description": "A refusal; these routes tell it as {error: {code, sentence, hint}}.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}
_UPLOAD: Schema = {
    "type": "object",
    "required": ["id", "name", "format", "size", "offset", "sha256", "note", "publish", "by", "made_at", "job"],
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "format": {"type": "string", "enum": ["qcow2", "raw"]},
        "size": {"type": "integer"},
        "offset": {"type": "integer"},
        "sha256": {"type": "string"},
        "note": {"type": "string"},
        "publish": {"type": "boolean"},
        "by": {"type": "string"},
        "made_at": {"type": "string", "format": "date-time"},
        "job": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
}
_BEGIN: Schema = {
    "type": "object",
    "required": ["name", "format", "size"],
    "properties": {
        "name": {"type": "string"},
        "format": {"type": "string", "enum": ["qcow2", "raw"]},
        "size": {"type": "integer", "minimum": 1},
        "sha256": {"type": "string"},
        "note": {"type": "string", "maxLength": 200},
        "publish": {"type": "boolean"},
    },
}
_FINISH: Schema = {"type": "object", "properties": {"sha256": {"type": "string"}}}
_STARTED: Schema = {
    "type": "object",
    "required": ["id", "job", "state"],
    "properties": {"id": {"type": "string"}, "job": {"type": "integer"}, "state": {"type": "string"}},
}
_OFFSET: Schema = {"Upload-Offset": {"schema": {"type": "integer"}, "description": "So many bytes are there."}}
_ID: Schema = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}
_SEND_OFFSET: Schema = {"name": "Upload-Offset", "in": "header", "required": True, "schema": {"type": "integer", "minimum": 0}}


def _json(schema: Schema) -> Schema:
    return {"content": {"application/json": {"schema": schema}}}


def _operation(id: str, summary: str, good: int, told: Schema, *refusals: int, **more: Any) -> Schema:
    tag = id.partition("_")[0]
    answers = {str(good): {"description": summary, **told}} | {str(status): _ERROR for status in (401, *refusals)}
    return {"operationId": id, "tags": [tag], "summary": summary, "responses": answers, **more}


_STREAM: Schema = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
_AWAY: Schema = {"description": "Nobody is signed in, or too many listen.", "content": {}}

ELSEWHERE: dict[str, Schema] = {
    "/uploads": {
        "get": _operation(
            "uploads_list", "All uploads.", 200, _json({"type": "object", "properties": {"uploads": {"type": "array", "items": _UPLOAD}}})
        ),
        "post": _operation(
            "uploads_begin",
            "Begin an upload of a disk file.",
            201,
            _json(_UPLOAD) | {"headers": _OFFSET},
            *(400, 403, 409, 413, 415, 503, 507),
            requestBody={"required": True, **_json(_BEGIN)},
            **{"x-labvirt-command": ["labvirt image import"]},
        ),
    },
    "/uploads/{id}": {
        "parameters": [_ID],
        "get": _operation("uploads_show", "Where it is.", 200, _json(_UPLOAD) | {"headers": _OFFSET}, 404),
        "patch": _operation(
            "uploads_send",
            "Send the next piece, as bytes behind the first Upload-Offset ones.",
            204,
            {"headers": _OFFSET},
            *(400, 403, 404, 409, 503, 507),
            parameters=[_SEND_OFFSET],
            requestBody={
                "required": True,
                "content": {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
        ),
        "delete": _operation("uploads_give_up", "Give it up: what came is removed.", 204, {}, 403, 404, 409),
    },
    "/uploads/{id}/finish": {
        "parameters": [_ID],
        "post": _operation(
            "uploads_finish",
            "Everything was sent: compare the checksum and import it.",
            202,
            _json(_STARTED),
            *(400, 403, 404, 409, 503, 507),
            requestBody={"required": False, **_json(_FINISH)},
        ),
    },
    "/events": {
        "get": _operation(
            "events_listen", "Server-sent events: `change` when something has changed; then read what you show.", 200, _STREAM
        )
        | {"responses": {"200": {"description": "Until one of both ends.", **_STREAM}, "401": _AWAY, "503": _AWAY}}
    },
}
