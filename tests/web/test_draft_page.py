# SPDX-License-Identifier: MIT
"""The page of an update: it is loaded again when what can be done with it has changed, and only then."""

from __future__ import annotations

import re
from dataclasses import replace

from labvirt.domain.draft import DraftState
from labvirt.usecases import sessions

from .conftest import Site
from .two_labs import furnish


def test_its_buttons_come_when_its_state_changes(site: Site) -> None:
    furnish(site)
    browser = site.browser()
    page = browser.get("/drafts/lab-a-disk.d1").text
    found = re.search(r'hx-get="(/drafts/lab-a-disk\.d1/now\?buttons=[^"]+)"', page)
    assert found is not None
    assert "HX-Refresh" not in browser.get(found[1]).headers  # the control: nothing has changed
    draft = sessions.one(site.ports, "lab-a-disk.d1").draft
    other = DraftState.OPEN if draft.state is not DraftState.OPEN else DraftState.KEPT
    with site.ports.database.write() as work:
        work.drafts.update(replace(draft, state=other))
        work.commit()
    assert browser.get(found[1]).headers["HX-Refresh"] == "true"
