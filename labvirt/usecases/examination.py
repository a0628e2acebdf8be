# SPDX-License-Identifier: MIT
"""The doctor's round over the host, made when somebody asks for it; what it found last is kept, with when."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from labvirt.domain.findings import Finding, Severity
from labvirt.domain.right import Right
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

FACT = "examination"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What the doctor found, good ones too, and when it looked."""

    at: datetime
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Is there nothing that keeps the host from working?"""
        return not any(each.severity is Severity.ERROR for each in self.findings)


@needs(Right.SITE, site=True)
def last(ports: Ports) -> Examination | None:
    """None: nobody has asked for one yet. It may be old: what was mended since is still in it."""
    with ports.database.read() as work:
        kept = work.facts.get(FACT)
    if kept is None:
        return None
    told = json.loads(kept)
    found = tuple(Finding(**{**each, "severity": Severity(each["severity"])}) for each in told["findings"])
    return Examination(at=datetime.fromisoformat(told["at"]), findings=found)


@needs(Right.SITE, site=True)
def examine(ports: Ports) -> Examination:
    """All checks of the host, made now by the engine (up to two minutes), and kept instead of those before. Raises EngineAway: then the
    last one stays."""
    found = Examination(at=ports.clock.now(), findings=ports.engine.doctor())
    wrong = sum(each.severity is not Severity.OK for each in found.findings)
    with ports.database.write() as work:
        work.facts.put(FACT, json.dumps({"at": found.at.isoformat(), "findings": [asdict(each) for each in found.findings]}))
        ports.note(work, "site", f"the doctor looked at the host: {wrong or 'nothing'} to mend", verb="examine", noun="site")
        work.commit()
    return found
