# SPDX-License-Identifier: MIT
"""Whatever somebody sends, right or wrong: no mistake of ours, and no answer that the document does not tell.

A few hundred requests, always the same; LABVIRT_FUZZ=10000 (make fuzz) sends so many others.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import Failure, FailureGroup, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from labvirt.usecases import profiles
from labvirt.web.api.blueprint import NOUNS, document_text

from .conftest import ROOT, Api

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]
ASKED = int(os.environ.get("LABVIRT_FUZZ", "0"))
"""So many requests in all; 0: the few of every test run."""
KNOWN = {
    "lab": "lab-a", "terminal": "lab-a-t01", "terminal_class": "spice", "profile": "desktop", "image": "tiny", "guest": "lab-a-01",
    "host": "here", "number": 1, "other": "desktop", "key": "language",
}  # fmt: skip
OPERATIONS = [each.id for noun in NOUNS for each in noun.operations]


@pytest.fixture(scope="module")
def schema(shared: Api) -> Any:
    told = json.loads(document_text())
    told["paths"] = {path: methods for path, methods in told["paths"].items() if path.startswith(ROOT)}
    found = schemathesis.openapi.from_dict(told)
    found.app = shared.app
    return found


@pytest.fixture(scope="module")
def answers() -> Iterator[Counter[int]]:
    """How often each status was answered."""
    counted: Counter[int] = Counter()
    yield counted
    print(f"\n{counted.total()} requests: {dict(sorted(counted.items()))}")


def bombard(schema: Any, shared: Api, answers: Counter[int], id: str, times: int) -> None:
    """So many requests to one operation, half of them wrong, half of them about things that exist."""
    operation = schema.find_operation_by_id(id)
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    cookie = shared.client.get_cookie("labvirt_sign_in")
    assert cookie is not None

    @seed(ASKED)
    @settings(max_examples=times, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data(), right=st.booleans(), known=st.booleans())
    def send(data: Any, right: bool, known: bool) -> None:
        case = data.draw(good if right else wrong)
        if known:  # more of the code is reached
            case.path_parameters = {name: KNOWN.get(name, value) for name, value in (case.path_parameters or {}).items()}
        response = case.call(cookies={"labvirt_sign_in": cookie.value})
        answers[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    send()


@pytest.mark.timeout(3600 if ASKED else 240)
@pytest.mark.parametrize("id", OPERATIONS)
def test_nothing_that_is_sent_is_a_mistake_of_ours(schema: Any, shared: Api, answers: Counter[int], id: str) -> None:
    bombard(schema, shared, answers, id, max(1, ASKED // len(OPERATIONS)) if ASKED else 3)


def _broken(*args: object) -> None:
    raise ValueError("a mistake")


@pytest.mark.parametrize("planted", [_broken, lambda *args: (SimpleNamespace(name="x"),)])
def test_a_mistake_is_noticed(schema: Any, shared: Api, monkeypatch: pytest.MonkeyPatch, planted: Any) -> None:
    monkeypatch.setattr(profiles, "everything", planted)
    with pytest.raises((FailureGroup, Failure)):
        bombard(schema, shared, Counter(), "profiles_list", 20)
