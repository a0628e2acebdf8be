# SPDX-License-Identifier: MIT
"""A refusal for people: a page with the sentence and what to do next, or JSON for who prefers that."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, render_template, request

from labvirt.errors import LabVirtError
from labvirt.web.api.problem import is_of_the_api, problem
from labvirt.web.terminal.render import as_json
from labvirt.web.ui import once_more


def refusal(error: LabVirtError, status: int, headers: Mapping[str, str]) -> Response:
    """The error as the asker likes to read it (Accept); for clients of the API always as a problem. Needs a request."""
    if is_of_the_api(request.path):
        return problem(error, status, headers)
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        told: dict[str, object] = {"error": {"code": error.code, "sentence": error.sentence, "hint": error.hint}}
        return Response(as_json(told), status, headers, mimetype="application/json")
    if once_more.is_asked(error):
        return once_more.page(error)
    page = render_template("refusal.html", status=status, sentence=error.sentence, hint=error.hint)
    return Response(page, status, headers, mimetype="text/html")
