# SPDX-License-Identifier: MIT
"""Refusals of the API: problem details (RFC 9457). `code` is stable, `detail` is the sentence, `hint` is what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from flask import Response

from labvirt.domain.names import one_line
from labvirt.errors import Conflict, LabVirtError
from labvirt.web.terminal.render import as_json

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:labvirt:error:"
PLAIN_CODES = {
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.REQUEST_TIMEOUT: "too-slow",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported-media-type",
    HTTPStatus.BAD_REQUEST: "invalid-input",
}
"""What HTTP itself refuses, before anything of the house was asked."""
MORE = ("field", "noun", "name", "by", "guest", "state", "resource", "retry_seconds")
"""Attributes of an error that are told as they are, where it has them."""


class ChangedMeanwhile(Conflict):
    """If-Match does not hold: it is another one than the client has seen (RFC 9110, 13.1.1)."""

    code = "changed-meanwhile"

    def __init__(self) -> None:
        super().__init__("It was changed since you read it.", hint="Read it again, and send If-Match with its new ETag.")


def is_of_the_api(path: str) -> bool:
    return path.startswith("/api/")


def problem(error: LabVirtError, status: int, headers: Mapping[str, str]) -> Response:
    """The refusal, with what the error knows of itself."""
    status = HTTPStatus.PRECONDITION_FAILED if isinstance(error, ChangedMeanwhile) else status
    code = PLAIN_CODES.get(HTTPStatus(status), error.code) if type(error) is LabVirtError else error.code
    told = as_problem(code, status, error.sentence, error.hint)
    for name in MORE:
        value = getattr(error, name, None)
        if isinstance(value, str | int) and not isinstance(value, bool):
            told[name] = one_line(value, 200) if isinstance(value, str) else value
    more = {"WWW-Authenticate": 'Bearer realm="LabVirt"'} if status == HTTPStatus.UNAUTHORIZED else {}
    return Response(as_json(told), status, {**headers, **more}, content_type=MEDIA_TYPE)


def as_problem(code: str, status: int, sentence: str, hint: str) -> dict[str, object]:
    """Its members."""
    return {
        "type": TYPE + code,
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": sentence,
        "code": code,
        "hint": hint,
    }
