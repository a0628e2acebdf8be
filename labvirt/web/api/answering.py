# SPDX-License-Identifier: MIT
"""One request, from its bytes to its answer: checked against what the operation declares, done, written, with what HTTP knows of sameness
(ETag, If-Match, Idempotency-Key)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from flask import Response, g, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from labvirt.domain.job import Job
from labvirt.domain.names import one_line
from labvirt.errors import Conflict, InvalidInput, LabVirtError, OutcomeUnknown
from labvirt.usecases import repeating
from labvirt.usecases.ports import Ports
from labvirt.usecases.tokens import Minted
from labvirt.web.api.compared import compared
from labvirt.web.api.model import Asked, Told
from labvirt.web.api.operation import PREFIX, Many, Operation
from labvirt.web.api.paging import Paged, page
from labvirt.web.api.problem import ChangedMeanwhile

JSON = "application/json"
KEY = "Idempotency-Key"
LOOK_AGAIN_SECONDS = 1
TOLD_ONCE = "The first request with this key was answered with a secret, which is kept nowhere."
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)


class Answering:
    """Answers for all operations."""

    def __init__(self, operations: Mapping[str, Operation], process: str) -> None:
        self._operations = operations
        self._process = process

    def view(self, operation: Operation) -> Callable[..., Response]:
        """What Flask calls."""

        def answer(**places: str) -> Response:
            ports: Ports = g.ports
            if operation.method == "POST" and KEY in request.headers:
                return self._once(ports, operation, places)
            return self._done(ports, operation, places)

        return answer

    def _done(self, ports: Ports, operation: Operation, places: Mapping[str, str]) -> Response:
        given = _read(operation, places)
        value = operation.run(self._guarded(ports, operation, given), **given)
        response = _written(ports, operation, value, given)
        if operation.tagged:
            response.set_etag(_tag(response))
            response.make_conditional(request)
        return response

    def _guarded(self, ports: Ports, operation: Operation, given: Mapping[str, Any]) -> Ports:
        """The doors for a change under If-Match: compared now, before anything is done, and once more in the transaction of the change,
        which counts. Without If-Match nothing is compared. Raises ChangedMeanwhile."""
        if operation.guarded_by is None or "If-Match" not in request.headers:
            return ports
        looked_at = self._operations[operation.guarded_by]
        where = {name: given[name] for name in looked_at.places}

        def look(through: Ports) -> None:
            now = _written(through, looked_at, looked_at.run(through, **where), where)
            if not request.if_match.contains(_tag(now)):
                raise ChangedMeanwhile

        look(ports)
        return compared(ports, look)

    def _once(self, ports: Ports, operation: Operation, places: Mapping[str, str]) -> Response:
        """The answer of the first request with this key, whether that is this one or not."""
        key = request.headers[KEY]
        if not _KEY.match(key):
            raise InvalidInput(KEY, "must be 1 to 64 letters, digits, '-' and '_'", hint="A new UUID for each thing that you want done.")
        before = repeating.begin(ports, key, mark=_mark(operation), process=self._process)
        if before is not None:
            if operation.secret:
                raise Conflict(TOLD_ONCE, hint="Look whether it is there; if you lost the secret, take it back and use a new key.")
            return Response(before.body, before.status, {**before.headers, "Idempotency-Replayed": "true"}, content_type=JSON)
        try:
            response = self._done(ports, operation, places)
        except OutcomeUnknown:
            raise  # it may have been done: the key stays used
        except (LabVirtError, HTTPException):  # refused: nothing was done, and the next try may do it
            repeating.forget(ports, key)
            raise
        headers = {name: response.headers[name] for name in ("Location", "Retry-After") if name in response.headers}
        body = "" if operation.secret else response.get_data(as_text=True)
        repeating.end(ports, key, status=response.status_code, headers=headers, body=body)
        return response


def _mark(operation: Operation) -> str:
    """What the request is known by when it comes again: everything but its secrets. A hash of a password as quick as this one would be
    guessed back from a copy of the database."""
    body = request.get_data()
    secrets = operation.told.secrets() if operation.told is not None else frozenset()
    if secrets:
        told = _object(body)
        body = json.dumps({name: value for name, value in told.items() if name not in secrets}, sort_keys=True).encode()
    return hashlib.sha256(b"\0".join((request.method.encode(), request.full_path.encode(), body))).hexdigest()


def _object(body: bytes) -> dict[str, Any]:
    """What is no object is refused later, by its model."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _read(operation: Operation, places: Mapping[str, str]) -> dict[str, Any]:
    """What the function is called with. Raises InvalidInput, UnsupportedMediaType."""
    given: dict[str, Any] = {}
    for name, adapter in operation.places.items():
        try:
            given[name] = adapter.validate_python(places[name])
        except ValidationError as error:
            raise _wrong(error, name) from error
    asked = _query(operation.asked)
    if operation.asked.model_fields:
        given["asked"] = asked
    body = request.get_data()
    if operation.told is not None:
        given["told"] = _body(operation.told, body)
    elif body.strip():
        raise InvalidInput("body", "is not taken here", hint="Send this request without one.")
    return given


def _query(model: type[Asked]) -> Asked:
    told: dict[str, str] = {}
    for name, values in request.args.lists():
        if len(values) != 1:
            raise InvalidInput(one_line(name, 40), "is there more than once")
        told[name] = values[0]
    try:
        return model.model_validate(told)
    except ValidationError as error:
        raise _wrong(error) from error


def _body(model: type[Told], body: bytes) -> Told:
    if request.mimetype != JSON and not (not body and not request.mimetype):
        raise UnsupportedMediaType("Send application/json.")
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise _wrong(error) from error


def _wrong(error: ValidationError, where: str = "") -> InvalidInput:
    """The first thing that is wrong."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or where or "body"
    message = "is not known here" if first["type"] == "extra_forbidden" else first["msg"]
    return InvalidInput(one_line(field, 80), one_line(message))


def _written(ports: Ports, operation: Operation, value: Any, given: Mapping[str, Any]) -> Response:
    answers = operation.answers
    if answers is None:
        return Response(status=operation.status)
    if isinstance(answers, str):
        return Response(value, operation.status, content_type=answers)
    if isinstance(answers, Many):
        asked = given.get("asked")
        shown, after = page(answers, value, asked if isinstance(asked, Paged) else Paged())
        return _json({"items": [answers.each.render(ports, each) for each in shown], "next": after}, operation.status)
    response = _json(answers.render(ports, value), operation.status)
    if operation.status is HTTPStatus.ACCEPTED and isinstance(value, Job):
        response.headers["Location"] = f"{PREFIX}/jobs/{value.number}"
        response.headers["Retry-After"] = str(LOOK_AGAIN_SECONDS)
    elif operation.status is HTTPStatus.CREATED:
        response.headers["Location"] = f"{request.path}/{quote(str(value_name(value)), safe='')}"
    return response


def value_name(value: Any) -> str:
    """How a new thing is called in its address."""
    if isinstance(value, Minted):
        return value.token.id
    named = getattr(value, "name", None)
    return str(named if named is not None else value.terminal_class.name)


def _json(told: Any, status: HTTPStatus) -> Response:
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n"
    return Response(text.encode("utf-8", "replace"), status, content_type=JSON)  # a guest's disk may hold names that are no text


def _tag(response: Response) -> str:
    return hashlib.sha256(response.get_data()).hexdigest()[:32]
