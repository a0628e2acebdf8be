# SPDX-License-Identifier: MIT
"""All checks in the order in which a person mends things."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labvirt.contracts.database import Database
from labvirt.contracts.host import Machine
from labvirt.contracts.hypervisor import Hypervisor
from labvirt.contracts.images import ImageStore
from labvirt.doctor import machine as machine_checks
from labvirt.doctor import programs, site
from labvirt.doctor import storage as storage_checks
from labvirt.domain.findings import Finding, Severity
from labvirt.errors import LabVirtError


def run(
    *,
    hypervisor: str,
    state: Path,
    folders: storage_checks.DiskFolders,
    machine: Machine,
    driver: Callable[[], Hypervisor],
    database: Callable[[], Database],
    store: Callable[[], ImageStore],
) -> tuple[Finding, ...]:
    """Every finding, good ones too. Changes nothing; a check that cannot be made is itself a finding. Drivers are
    made only when asked for."""
    findings = [
        *programs.programs(hypervisor),
        *machine_checks.rights(hypervisor),
        *machine_checks.capacity(machine),
        *accelerator(driver),
        *storage_checks.fuse(),
        *site.state_folder(state, hypervisor),
    ]
    if state.is_dir():
        findings += storage_checks.storage(folders, machine)
    if (state / "labvirt.db").exists():
        try:
            findings += site.contents(database(), store())
        except LabVirtError as error:
            findings.append(Finding(code=error.code, severity=Severity.ERROR, sentence=error.sentence, fix=error.hint))
    elif state.is_dir():
        findings.append(
            Finding(
                code="database",
                severity=Severity.ERROR,
                sentence="The state folder holds no database.",
                fix=f"labvirt init --state {state}",
            )
        )
    return tuple(findings)


def accelerator(driver: Callable[[], Hypervisor]) -> tuple[Finding, ...]:
    """How guests would run, probed by use."""
    try:
        info = driver().capabilities()
    except LabVirtError as error:
        return (Finding(code="hypervisor", severity=Severity.ERROR, sentence=error.sentence, fix=error.hint),)
    sentence = f"{info.driver} {info.version} runs guests by {info.accelerator}."
    if info.notice:
        return (Finding(code="accelerator", severity=Severity.WARNING, sentence=f"{sentence} {info.notice}"),)
    return (Finding(code="accelerator", severity=Severity.OK, sentence=sentence),)


def worst(findings: tuple[Finding, ...]) -> Severity:
    """ERROR if any is, else WARNING if any is, else OK."""
    order = (Severity.OK, Severity.WARNING, Severity.ERROR)
    return max((finding.severity for finding in findings), key=order.index, default=Severity.OK)
