# SPDX-License-Identifier: MIT
"""What can be done to profiles, images, drafts and jobs: each deed as a page and as a program sends it, with the right that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.draft import DraftState
from labvirt.domain.right import Right

from .asked import FORMS
from .conftest import Site

Before = Callable[[Site, UnitOfWork, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """`{lab}` and `{number}` are the lab's that it is about. `before` makes it possible. `otherwise`: the code with which it is refused to
    who may, because of what else is there. `new`: what it makes is not there yet, so nobody can be told that it is not."""

    name: str
    right: Right
    page: tuple[str, Mapping[str, str]] | None = None
    api: tuple[str, str, Mapping[str, Any] | None] | None = None
    before: Before | None = None
    otherwise: str = ""
    new: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class _Binned:
    """The image (or a version of it) lies in the recycle bin. Written as rows: a use case bins no image that a profile uses."""

    number: int | None = None

    def __call__(self, site: Site, work: UnitOfWork, lab: str) -> None:
        now = site.ports.clock.now()
        if self.number is None:
            work.images.update(replace(work.images.one(f"{lab}-disk"), binned_at=now))
        else:
            work.images.update_version(replace(work.images.version(f"{lab}-disk", self.number), binned_at=now))


def _no_draft(site: Site, work: UnitOfWork, lab: str) -> None:
    work.drafts.remove(f"{lab}-disk.d1")


def _discarded(site: Site, work: UnitOfWork, lab: str) -> None:
    found = work.drafts.one(f"{lab}-disk.d1")
    work.drafts.update(replace(found, state=DraftState.DISCARDED))


def _opened(site: Site, work: UnitOfWork, lab: str) -> None:
    work.drafts.update(replace(work.drafts.one(f"{lab}-disk.d1"), state=DraftState.OPEN))


def _checked(site: Site, work: UnitOfWork, lab: str) -> None:
    work.profiles.update(replace(work.profiles.one(f"{lab}-desk"), checks=("test_it.py",)))


def _do(noun: str, **told: str) -> tuple[str, Mapping[str, str]]:
    return f"/{noun}/do", told


_DESK, _DISK, _DRAFT = "profiles/{lab}-desk", "images/{lab}-disk", "drafts/{lab}-disk.d1"
_SESSION = "/sessions/{lab}-disk.d1"
_ELSEWHERE = {"lab-a": "lab-b", "lab-b": "lab-a"}
_MADE = {"memory_mib": 64, "labs": ["{lab}"], "slots": [{"kind": "disk", "bus": "virtio", "image": "{lab}-disk"}]}

DEEDS = (
    Deed(
        name="a profile is made",
        right=Right.DESIGN,
        page=("/profiles/+new", FORMS["profiles.add"]),
        api=("POST", "/profiles", {"name": "{lab}-new", **_MADE}),
        new=True,
    ),
    Deed(
        name="a profile is changed",
        right=Right.DESIGN,
        page=(f"/{_DESK}/edit", FORMS["profiles.change"]),
        api=("PATCH", f"/{_DESK}", {"note": "changed"}),
    ),
    Deed(
        name="a profile is copied",
        right=Right.DESIGN,
        page=_do(_DESK, do="clone", new_name="{lab}-copy"),
        api=("POST", f"/{_DESK}/clone", {"name": "{lab}-copy"}),
    ),
    Deed(
        name="a profile is removed",
        right=Right.DESIGN,
        page=_do(_DESK, do="remove"),
        api=("DELETE", f"/{_DESK}", None),
        before=_no_draft,
    ),
    Deed(name="a check is given", right=Right.DESIGN, api=("PUT", f"/{_DESK}/checks/test_it.py", {"text": "def test_it(): pass\n"})),
    Deed(name="a check is taken away", right=Right.DESIGN, api=("DELETE", f"/{_DESK}/checks/test_it.py", None), before=_checked),
    Deed(name="an image is noted", right=Right.STORE, api=("PATCH", f"/{_DISK}", {"note": "seen"})),
    Deed(name="a version is noted", right=Right.STORE, api=("PATCH", f"/{_DISK}/versions/1", {"note": "seen"})),
    Deed(
        name="an image is undone",
        right=Right.UPDATE,
        page=_do(_DISK, do="undo"),
        api=("POST", f"/{_DISK}/rollback", None),
    ),
    Deed(
        name="a version is published",
        right=Right.UPDATE,
        page=_do(_DISK, do="publish-this", number="1", override="seen"),
        api=("POST", f"/{_DISK}/versions/1/publish", {"override": "seen"}),
    ),
    Deed(
        name="a version is tried",
        right=Right.UPDATE,
        page=_do(_DISK, do="try-this", number="2"),
        api=("POST", f"/{_DISK}/versions/2/test", {}),
    ),
    Deed(
        name="a version is flattened",
        right=Right.STORE,
        page=_do(_DISK, do="flatten-this", number="2"),
        api=("POST", f"/{_DISK}/versions/2/flatten", None),
    ),
    Deed(
        name="an image is binned",
        right=Right.STORE,
        page=_do(_DISK, do="bin"),
        api=("DELETE", f"/{_DISK}", None),
        otherwise="in-use",
    ),
    Deed(
        name="an image is restored",
        right=Right.STORE,
        page=_do(_DISK, do="restore"),
        api=("POST", f"/{_DISK}/restore", None),
        before=_Binned(),
    ),
    Deed(
        name="a version is binned",
        right=Right.STORE,
        page=_do(_DISK, do="bin-version", number="1"),
        api=("DELETE", f"/{_DISK}/versions/1", None),
    ),
    Deed(
        name="a version is restored",
        right=Right.STORE,
        page=_do(_DISK, do="restore-version", number="1"),
        api=("POST", f"/{_DISK}/versions/1/restore", None),
        before=_Binned(1),
    ),
    Deed(
        name="a session is opened",
        right=Right.UPDATE,
        page=("/drafts", {"profile": "{lab}-desk", "lab": "{lab}"}),
        api=("POST", "/sessions", {"profile": "{lab}-desk", "lab": "{lab}"}),
        before=_no_draft,
    ),
    Deed(name="a draft is published", right=Right.UPDATE, page=_do(_DRAFT, do="publish"), api=("POST", f"{_SESSION}/publish", {})),
    Deed(
        name="a draft is kept",
        right=Right.UPDATE,
        page=_do(_DRAFT, do="keep"),
        api=("POST", f"{_SESSION}/keep", None),
        before=_opened,
    ),
    Deed(name="a draft is discarded", right=Right.UPDATE, page=_do(_DRAFT, do="discard"), api=("POST", f"{_SESSION}/discard", None)),
    Deed(
        name="a draft is restored",
        right=Right.UPDATE,
        api=("POST", f"{_SESSION}/restore", None),
        before=_discarded,
        otherwise="conflict",
    ),
    Deed(
        name="a job is cancelled",
        right=Right.UPDATE,
        page=("/jobs/{number}/cancel", {}),
        api=("POST", "/jobs/{number}/cancel", None),
    ),
)
