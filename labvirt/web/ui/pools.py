# SPDX-License-Identifier: MIT
"""The page of a lab's warm pools: how many desktops of each profile wait, who was served from where, and a form for each."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.contracts.engine import PoolStatus
from labvirt.domain.names import check_name
from labvirt.domain.pool import LONGEST_MINUTES, Pool, SpareKind
from labvirt.domain.profile import Profile
from labvirt.errors import InvalidInput
from labvirt.usecases import labs, pools, profiles
from labvirt.web.ui import layout
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.language import marked, ngettext
from labvirt.web.ui.retold import reason_words

KINDS = {
    SpareKind.READY: (marked("runs already"), marked("Has its address and its screen. Costs as much as any running desktop.")),
    SpareKind.PAUSED: (
        marked("loaded, stands still"),
        marked("A clone that goes on in a blink. Costs about 21 MiB of memory."),
    ),
    SpareKind.PRESPAWNED: (
        marked("process only"),
        marked("A clone that loads its state when its seat asks. Costs about 18 MiB of memory."),
    ),
}
"""How far a waiting desktop has come, in words, and what it costs."""
SOURCES = {
    str(SpareKind.READY): KINDS[SpareKind.READY][0],
    str(SpareKind.PAUSED): KINDS[SpareKind.PAUSED][0],
    str(SpareKind.PRESPAWNED): KINDS[SpareKind.PRESPAWNED][0],
    "clone": marked("clone, nothing waited"),
    "boot": marked("booted, nothing waited"),
}
"""From where a start was served."""
COUNTS = ("ready", "paused", "prespawned", "minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A profile that desktops of this lab are made of. `tried`: what somebody sent and `wrong` refused. `now` None: nobody can say."""

    profile: Profile
    pool: Pool
    now: PoolStatus | None
    tried: dict[str, str]
    wrong: InvalidInput | None = None

    @property
    def open(self) -> bool:
        return self.pool.total > 0 or self.wrong is not None or any(self.waiting.values())

    @property
    def waiting(self) -> dict[str, int]:
        return {str(kind): count for kind, count in self.now.waiting} if self.now else {}

    @property
    def served(self) -> dict[str, int]:
        return dict(self.now.served) if self.now else {}

    @property
    def why(self) -> str:
        return reason_words(self.wrong) if self.wrong else ""

    def value(self, name: str) -> str:
        """What stands in the field."""
        return self.tried.get(name, str(getattr(self.pool, name)))


def blueprint() -> Blueprint:
    """Looks, and changes one pool. Behind the guard like all pages."""
    pages = Blueprint("pools", __name__, url_prefix="/labs/<lab>/pools")

    @pages.get("")
    def page(lab: str) -> str:
        return _page(lab)

    @pages.post("")
    def change(lab: str) -> AnyResponse:
        told = request.form
        profile = check_name(told.get("profile", "")[:64], "profile")
        tried = {name: told.get(name, "0")[:9] for name in COUNTS if name in told}
        try:
            if told.get("do") == "remove":
                pools.remove(g.ports, lab, profile)
                layout.told(_said(Pool(lab=lab, profile=profile)))
            else:
                new = pools.put(g.ports, lab, profile, **{name: _whole(name, value) for name, value in tried.items()})
                layout.told(_said(new))
        except InvalidInput as error:
            return Response(_page(lab, profile=profile, tried=tried, wrong=error), 400, mimetype="text/html")
        return redirect(url_for("pools.page", lab=lab), 303)

    def _page(lab: str, *, profile: str = "", tried: dict[str, str] | None = None, wrong: InvalidInput | None = None) -> str:
        found = labs.one(g.ports, lab)
        views = {each.pool.profile: each for each in pools.views(g.ports, lab)}
        rows = []
        for each in profiles.everything(g.ports):
            view = views.get(each.name)
            if view is None and not each.fits(lab):
                continue
            pool, now = (view.pool, view.now) if view else (Pool(lab=lab, profile=each.name), None)
            mine = each.name == profile
            rows.append(Row(profile=each, pool=pool, now=now, tried=tried or {} if mine else {}, wrong=wrong if mine else None))
        return render_template(
            "pools.html",
            lab=found,
            rows=rows,
            waits=sum(each.pool.total for each in rows),
            away=any(view.now is None for view in views.values()),
            kinds=KINDS,
            sources=SOURCES,
            longest=LONGEST_MINUTES,
        )

    return pages


def _said(new: Pool) -> str:
    if not new.total:
        return _("Of %(profile)s none waits any more.") % {"profile": new.profile}
    told = ngettext("Of %(profile)s %(num)d desktop is to wait.", "Of %(profile)s %(num)d desktops are to wait.", new.total)
    return told % {"profile": new.profile, "num": new.total}


def _whole(name: str, text: str) -> int:
    text = text.strip()
    if not text.isascii() or not text.isdigit():
        raise InvalidInput(name, "must be a whole number")
    return int(text)
