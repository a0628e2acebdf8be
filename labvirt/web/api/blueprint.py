# SPDX-License-Identifier: MIT
"""All nouns of the API as routes of Flask, with the document and its page. Who may pass is the guard's word, as for every route."""

from __future__ import annotations

import json
import secrets
from functools import cache

from flask import Blueprint, Response, request

from labvirt import __version__
from labvirt.web.api import (
    account,
    classes,
    grants,
    groups,
    guests,
    images,
    jobs,
    labs,
    people,
    pools,
    power,
    profiles,
    reading,
    rescue,
    sessions,
    settings,
    site,
    strangers,
    templates,
    terminals,
    tokens,
    versions,
)
from labvirt.web.api.answering import JSON, Answering
from labvirt.web.api.document import document
from labvirt.web.api.operation import PREFIX

NOUNS = (
    *(labs.noun, terminals.noun, strangers.noun, classes.noun, profiles.noun, images.noun, versions.noun, sessions.noun, guests.noun),
    *(templates.noun, pools.noun, power.noun, settings.noun, jobs.noun, rescue.noun, rescue.garbage_noun, site.hosts_noun, site.noun),
    *(people.noun, groups.noun, grants.noun, people.sign_ins_noun, tokens.noun, account.noun),
)


def blueprint() -> Blueprint:
    """Everything below /api/v1."""
    routes = Blueprint("api", __name__)
    operations = {each.id: each for noun in NOUNS for each in noun.operations}
    answering = Answering(operations, process=secrets.token_hex(8))
    for each in operations.values():
        routes.add_url_rule(each.rule, each.id, answering.view(each), methods=[each.method])

    @routes.get(f"{PREFIX}/openapi.json")
    def written() -> Response:
        """The document."""
        response = Response(document_text(), content_type=JSON, headers={"Cache-Control": "private, no-cache"})
        response.add_etag()
        response.make_conditional(request)
        return response

    @routes.get(f"{PREFIX}/docs")
    def docs() -> str:
        """A page that shows the document, without anything from elsewhere."""
        return reading.page(document_text())

    routes.add_app_template_filter(reading.kind, "kind")
    routes.add_app_template_filter(lambda answer: reading.followed(answer, document_text()), "followed")
    return routes


@cache
def document_text() -> str:
    """The document as JSON. It takes two seconds to write, so it is written when somebody first asks."""
    return json.dumps(document(NOUNS, __version__), ensure_ascii=False, separators=(",", ":"))
