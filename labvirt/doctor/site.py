# SPDX-License-Identifier: MIT
"""The state folder and what people have put into it so far."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from labvirt.contracts.database import Database
from labvirt.contracts.images import ImageStore
from labvirt.domain.findings import Finding, Severity
from labvirt.errors import LabVirtError


def state_folder(state: Path, hypervisor: str) -> tuple[Finding, ...]:
    """It exists, nobody else can list it, and libvirt's guests (which get no bind mounts) can pass through to their own files."""
    if not state.is_dir():
        return (
            Finding(
                code="state",
                severity=Severity.ERROR,
                subject=str(state),
                sentence="There is no state folder.",
                fix=f"labvirt init --state {state}",
            ),
        )
    mode = stat.S_IMODE(state.stat().st_mode)
    forbidden = 0o066 if hypervisor == "libvirt" else 0o077
    if mode & forbidden:
        return (
            Finding(
                code="state-open",
                severity=Severity.ERROR,
                subject=str(state),
                sentence=f"Others may look into the state folder (mode {mode:o}).",
                fix=f"chmod {'711' if hypervisor == 'libvirt' else '700'} {state}",
            ),
        )
    closed = [str(folder) for folder in (state, *state.parents) if not folder.stat().st_mode & stat.S_IXOTH]
    if hypervisor == "libvirt" and closed:
        return (
            Finding(
                code="state-closed",
                severity=Severity.ERROR,
                subject=str(state),
                sentence=f"Guests of libvirt run as users of their own and cannot pass through {', '.join(closed)}.",
                fix=f"chmod o+x {' '.join(closed)}",
            ),
        )
    return (Finding(code="state", severity=Severity.OK, subject=str(state), sentence="The state folder is there and private."),)


def contents(database: Database, store: ImageStore) -> tuple[Finding, ...]:
    """The first things a site needs, in order, and whether every version's file is what it should be."""
    try:
        with database.read() as work:
            labs, profiles, terminals, images = work.labs.list(), work.profiles.list(), work.terminals.list(), work.images.list()
            versions = {image.name: work.images.versions(image.name) for image in images}
            published = [each for image in images for each in versions[image.name] if each.number == image.published]
            others = [
                each for image in images for each in versions[image.name] if each.number != image.published and each.binned_at is None
            ]
    except LabVirtError as error:
        return (Finding(code="database", severity=Severity.ERROR, sentence=error.sentence, fix=error.hint),)
    findings = [finding for version in published if (finding := store.check(version))]
    # Nobody starts from these: what is wrong with them keeps nobody from working. After a restore they may all be missing.
    findings += [replace(finding, severity=Severity.WARNING) for version in others if (finding := store.check(version))]
    for have, code, sentence, fix in (
        (
            published,
            "no-image",
            "No image has a published version.",
            "labvirt image build tiny, or labvirt image import NAME FILE --format qcow2",
        ),
        (labs, "no-lab", "There is no lab.", "labvirt lab add lab-a --network 10.77.0.0/24"),
        (profiles, "no-profile", "There is no profile.", "labvirt profile add NAME --memory 2048 --disk IMAGE:virtio"),
        (terminals, "no-terminal", "No terminal is adopted.", "labvirt terminal inbox, then labvirt terminal adopt CODE --lab LAB"),
    ):
        if not have:
            findings.append(Finding(code=code, severity=Severity.WARNING, sentence=sentence, fix=fix))
    if not findings:
        sentence = f"{len(labs)} labs, {len(terminals)} terminals, {len(profiles)} profiles, {len(published)} published images."
        findings.append(Finding(code="contents", severity=Severity.OK, sentence=sentence))
    return tuple(findings)
