# SPDX-License-Identifier: MIT
"""The first steps of a new site, each shown with whether it is done: who you are, the host, a lab, an image, a profile, a terminal. A form
that is refused comes back as it was sent, with the reason at its field. One may leave and come back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.job import JobKind
from labvirt.domain.lab import DhcpMode
from labvirt.domain.names import check_name
from labvirt.domain.person import SHELL
from labvirt.domain.profile import Bus, Mode, Profile, Protocol, Slot, SlotKind
from labvirt.domain.reach import SITE
from labvirt.domain.right import Right
from labvirt.errors import AlreadyExists, EngineAway, InvalidInput, LabVirtError, NotAllowed
from labvirt.usecases import catalogue, enrol, examination, imports, jobs, labs, people, profiles, rights, terminals
from labvirt.web.errors import status_of
from labvirt.web.ui import layout
from labvirt.web.ui import profile_form as form
from labvirt.web.ui.amounts import moment
from labvirt.web.ui.images import gib_of
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.language import marked
from labvirt.web.ui.looking import Looking
from labvirt.web.ui.retold import reason_words, retold

LONGEST = 64
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "lab": {"name": "lab-a", "network": "10.77.0.0/24", "dhcp": str(DhcpMode.OWN)},
    "image": {"name": "", "gib": "40"},
    "profile": {"name": "desktop", "image": "", "memory_mib": "4096", "cpus": "2", "protocol": str(Protocol.SPICE), "mode": ""},
}
"""Step -> what stands in its form at first."""
DHCP = {
    DhcpMode.OWN: (
        marked("LabVirt"),
        marked("It gives the addresses and tells PCs how to boot; right for a network that the lab has for itself."),
    ),
    DhcpMode.PROXY: (
        marked("The campus, and LabVirt beside it"),
        marked("The campus server gives the addresses, LabVirt only tells PCs how to boot; no boot options go into the campus server."),
    ),
    DhcpMode.NONE: (
        marked("The campus alone"),
        marked("The campus server gives the addresses and tells PCs how to boot, with settings that LabVirt writes for it."),
    ),
}
MODES = {
    Mode.SNAPSHOT: marked("For terminals: every start is fresh, what was written is forgotten."),
    Mode.ADMINISTRATIVE: marked("To install and update the image, in admin sessions."),
}
STEPS_OF_THEIR_OWN = frozenset({"no-lab", "no-image", "no-profile", "no-terminal"})
"""What the doctor misses and the other steps of this page make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A form that came back. `field` is empty when it is no field's fault."""

    step: str
    field: str
    words: str
    sent: Mapping[str, str]


def blueprint(looking_: Looking) -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("welcome", __name__, url_prefix="/welcome")

    @pages.get("")
    def page() -> str:
        return _page(looking_)

    @pages.post("/doctor")
    def doctor() -> AnyResponse:
        """What it finds is kept, and shown wherever this was asked."""
        try:
            examination.examine(g.ports)
        except EngineAway as error:
            layout.refused(error)
        return redirect(layout.back(url_for("welcome.page", _anchor="host")), 303)

    @pages.post("/lab")
    def lab() -> AnyResponse:
        _must()
        sent = _sent("lab")
        try:
            if sent["dhcp"] not in tuple(DhcpMode):
                raise InvalidInput("dhcp", f"must be one of {', '.join(DhcpMode)}")
            check_name(sent["name"], "name")
            network, dhcp = labs.parse_network(sent["network"]), DhcpMode(sent["dhcp"])
            made = labs.add(g.ports, name=sent["name"], network=network, dhcp=dhcp, mac_prefix=g.ports.limits.mac_prefix)
        except LabVirtError as error:
            return _again(looking_, "lab", error, sent)
        layout.told(_("The lab %(name)s is there, with room for %(seats)d seats.") % {"name": made.name, "seats": made.max_instances})
        return redirect(url_for("welcome.page", _anchor="lab"), 303)

    @pages.post("/image")
    def image() -> AnyResponse:
        _must()
        sent = _sent("image")
        try:
            imports.blank(g.ports, check_name(sent["name"], "name"), gib=gib_of(sent["gib"]), by=layout.name_of_caller())
        except LabVirtError as error:
            return _again(looking_, "image", error, sent)
        layout.told(_("The empty disk %s is being made.") % sent["name"])
        return redirect(url_for("welcome.page", _anchor="image"), 303)

    @pages.post("/profile")
    def profile() -> AnyResponse:
        _must()
        sent = _sent("profile")
        try:
            made = profiles.add(g.ports, _profile(sent))
        except LabVirtError as error:
            return _again(looking_, "profile", error, sent)
        layout.told(_("The profile %s is there.") % made.name)
        return redirect(url_for("welcome.page", _anchor="profile"), 303)

    return pages


def _page(seen: Looking, *, refused: Refused | None = None) -> str:
    _must()
    engine, looked = seen.overview().engine, examination.last(g.ports)
    images = [each.image for each in catalogue.everything(g.ports) if each.image.binned_at is None]
    made, known = labs.everything(g.ports), profiles.everything(g.ports)
    strange = () if engine is None else engine.findings if looked is None else (*engine.findings, *looked.findings)
    forms = {step: dict(values) for step, values in DEFAULTS.items()}
    forms["lab"] |= {"name": "", "network": ""} if made else {}
    forms["profile"] |= {"name": ""} if known else {}
    first = next((each for each in images if each.published), images[0] if images else None)
    if first is not None:
        forms["profile"] |= {"image": first.name, "mode": str(Mode.SNAPSHOT if first.published else Mode.ADMINISTRATIVE)}
    if refused is not None:
        forms[refused.step] = dict(refused.sent)
    return render_template(
        "welcome.html",
        done={
            "person": g.ports.caller.name != SHELL or any(each.administers for each in people.everything(g.ports)),
            "host": engine is not None and not any(each.severity == "error" for each in strange),
            "lab": bool(made),
            "image": any(each.published for each in images),
            "profile": any(each.mode is Mode.SNAPSHOT and each.active for each in known),
            "terminal": bool(terminals.everything(g.ports)),
        },
        shell=g.ports.caller.name == SHELL,
        engine=engine,
        looked=looked,
        examined=None if looked is None else [each for each in looked.findings if each.code not in STEPS_OF_THEIR_OWN],
        moment=moment,
        labs=made,
        images=images,
        making=[each for each in jobs.everything(g.ports, unended=True) if each.kind in (JobKind.IMPORT, JobKind.BLANK)],
        profiles=known,
        waiting=len(enrol.strangers(g.ports)),
        forms=forms,
        refused=refused,
        dhcp=DHCP,
        modes=MODES,
        protocols=tuple(Protocol),
        uploads=g.ports.uploads is not None,
    )


def _must() -> None:
    """The steps are of who administers the site, also those which others may do elsewhere (a profile of their own lab)."""
    rights.must(g.ports, Right.SITE, SITE, "set up the site")


def _again(seen: Looking, step: str, error: LabVirtError, sent: Mapping[str, str]) -> Response:
    """The page with this form as it was sent. Raises NotAllowed again: that is no field's fault."""
    if isinstance(error, NotAllowed):
        raise error
    field = _field(error, DEFAULTS[step])
    words = reason_words(error) if field and isinstance(error, InvalidInput) else retold(error.sentence)
    told = Refused(step=step, field=field, words=f"{words[:1].upper()}{words[1:]} {retold(error.hint)}".strip(), sent=sent)
    return Response(_page(seen, refused=told), status_of(error), mimetype="text/html")


def _field(error: LabVirtError, fields: Collection[str]) -> str:
    """Whose fault it is, of these."""
    if isinstance(error, AlreadyExists):
        return "network" if "network" in error.noun else "name"
    named = error.field.partition(".")[0] if isinstance(error, InvalidInput) else ""
    named = {"size": "gib", "disks": "image", "labs": "name"}.get(named, named)
    return named if named in fields else ""


def _sent(step: str) -> dict[str, str]:
    return {field: request.form.get(field, "").strip()[:LONGEST] for field in DEFAULTS[step]}


def _profile(sent: Mapping[str, str]) -> Profile:
    """A profile with one disk and, of all else, what the form of profiles begins with. Raises InvalidInput."""
    values = {**form.shown(form.NO_PROFILE), **{field: sent[field] for field in ("memory_mib", "cpus", "protocol", "mode")}}
    check_name(sent["name"], "name")
    if not sent["image"]:
        raise InvalidInput("image", "must be chosen")
    slots = (Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image=check_name(sent["image"], "image")),)
    return replace(form.NO_PROFILE, name=sent["name"], **{**form.parsed(values), "slots": slots})
