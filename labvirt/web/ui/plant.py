# SPDX-License-Identifier: MIT
"""The self-portrait: hosts, bridges, labs, images and seats of this site as one picture with numbers, to be printed."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, g, render_template

from labvirt.usecases import catalogue, hosts, profiles
from labvirt.web.ui import seats
from labvirt.web.ui.amounts import moment
from labvirt.web.ui.language import ngettext
from labvirt.web.ui.looking import Looking

ROW, TOP, BOX = 92, 70, 66
HOST_X, LAB_X, PROFILE_X, IMAGE_X, WIDTH = 20, 260, 560, 830, 1080


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A thing of the plant, its words, and where it is drawn."""

    key: str
    x: int
    y: int
    width: int
    title: str
    lines: tuple[str, ...]
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """From one box's right edge to another's left one."""

    x1: int
    y1: int
    x2: int
    y2: int


def blueprint(looking: Looking) -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("plant", __name__, url_prefix="/plant")

    @pages.get("")
    def page() -> str:
        overview = looking.overview()
        parts = [seats.lab_part(lab, overview.at, engine=overview.engine is not None, cards=False) for lab in overview.labs]
        everything = profiles.everything(g.ports)
        images = [each for each in catalogue.everything(g.ports) if each.image.binned_at is None]
        boxes: dict[str, Box] = {}
        lines: list[Line] = []
        for place, host in enumerate(hosts.everything(g.ports)):
            told = (overview.engine.driver, overview.engine.accelerator) if overview.engine else ("?",)
            _put(boxes, "host", host.name, HOST_X, 190, place, host.name, (" · ".join(told),))
        for place, (lab, view) in enumerate(zip(parts, overview.labs, strict=True)):
            used = sum(number for tone, number, _words in lab.counts if tone in ("used", "good"))
            told = (lab.network, f"{used} / {lab.size}")
            _put(boxes, "lab", lab.name, LAB_X, 230, place, lab.name, told, "bad" if any(t == "bad" for t, _n, _w in lab.counts) else "")
            lines += [_line(box, boxes[f"lab {lab.name}"]) for key, box in list(boxes.items()) if key.startswith("host ")]
            for profile in everything:
                if profile.fits(view.lab.name) and f"profile {profile.name}" not in boxes:
                    place_of = sum(key.startswith("profile ") for key in boxes)
                    _put(
                        boxes,
                        "profile",
                        profile.name,
                        PROFILE_X,
                        200,
                        place_of,
                        profile.name,
                        (f"{profile.memory_mib} MiB × {profile.cpus}", str(profile.protocol)),
                    )
                if profile.fits(view.lab.name):
                    lines.append(_line(boxes[f"lab {lab.name}"], boxes[f"profile {profile.name}"]))
        for place, image in enumerate(images):
            version = f"v{image.image.published}" if image.image.published else "–"
            _put(
                boxes,
                "image",
                image.image.name,
                IMAGE_X,
                220,
                place,
                image.image.name,
                (version, ngettext("%d version", "%d versions", len(image.versions)) % len(image.versions)),
            )
            lines += [
                _line(boxes[f"profile {name}"], boxes[f"image {image.image.name}"]) for name in image.profiles if f"profile {name}" in boxes
            ]
        height = max([box.y for box in boxes.values()], default=TOP) + BOX + 30
        totals = {
            "labs": len(parts),
            "seats": sum(lab.size for lab in parts),
            "used": sum(n for lab in parts for tone, n, _w in lab.counts if tone == "used"),
            "running": sum(n for lab in parts for tone, n, _w in lab.counts if tone in ("used", "good")),
        }
        heads = {"host": HOST_X, "lab": LAB_X, "profile": PROFILE_X, "image": IMAGE_X}
        at = moment(overview.at)
        return render_template(
            "plant.html",
            boxes=list(boxes.values()),
            lines=lines,
            width=WIDTH,
            height=height,
            box=BOX,
            heads=heads,
            totals=totals,
            at=at,
            labs=parts,
        )

    return pages


def _put(
    boxes: dict[str, Box], kind: str, name: str, x: int, width: int, place: int, title: str, told: tuple[str, ...], tone: str = ""
) -> None:
    boxes[f"{kind} {name}"] = Box(key=kind, x=x, y=TOP + place * ROW, width=width, title=title, lines=told, tone=tone)


def _line(left: Box, right: Box) -> Line:
    return Line(x1=left.x + left.width, y1=left.y + BOX // 2, x2=right.x, y2=right.y + BOX // 2)
