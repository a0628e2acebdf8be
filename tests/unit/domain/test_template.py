# SPDX-License-Identifier: MIT
"""Names of templates, and when one cannot serve any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from labvirt.domain.image import DiskChoice
from labvirt.domain.template import Ground, MadeFrom, Template, TemplateName, stale_because
from labvirt.errors import InvalidInput

MADE = MadeFrom(
    disks=(DiskChoice(place=0, image="debian", version=12),),
    machine="a" * 64,
    ground=Ground(hypervisor="qemu 7.2.22", accelerator="kvm", processor="Xeon, Linux 6.1"),
)
TEMPLATE = Template(name=TemplateName("desktop", 3), made_from=MADE, made_at=datetime(2026, 11, 28, tzinfo=UTC))


@pytest.mark.parametrize("text", ["", "desktop", "desktop.g3", "desktop.t0", "desktop.t03", "Desktop.t1", ".stage", "../a.t1", "a.t1\n"])
def test_a_name_is_one_or_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="template"):
        TemplateName.parse(text)
    assert str(TemplateName.parse("desktop.t3")) == str(TemplateName("desktop", 3)) == "desktop.t3"


@pytest.mark.parametrize(
    "changed, why",
    [
        ({"disks": (DiskChoice(place=0, image="debian", version=13),)}, "made of debian:12, and debian:13 is wanted"),
        ({"disks": ()}, "no disk is wanted"),
        ({"machine": "b" * 64}, "the machine of its profile has changed"),
        ({"ground": replace(MADE.ground, hypervisor="qemu 10.0.2")}, "made by qemu 7.2.22, and this host has qemu 10.0.2"),
        ({"ground": replace(MADE.ground, accelerator="tcg")}, "made with kvm, and guests run with tcg now"),
        ({"ground": replace(MADE.ground, processor="Xeon, Linux 6.12")}, "another processor"),
    ],
)
def test_a_template_is_stale_when_anything_that_counts_has_changed(changed: dict[str, object], why: str) -> None:
    assert stale_because(TEMPLATE, MADE) == ""
    wanted = replace(MADE, **changed)  # type: ignore[arg-type]
    assert why in stale_because(TEMPLATE, wanted)
