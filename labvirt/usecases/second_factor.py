# SPDX-License-Identifier: MIT
"""A second factor that certain people must have (OWASP ASVS 5.0, 6.3.3). Who must and has none may only set one up (`sign_in.caller_of`,
`rights.own`), from the moment on in which it is asked of them.

It is about signing in with a password of ours. Not asked: whom the campus vouches for (its sign-on has factors of its own), programs (a
token is no password: random, bounded in days and rights, and taken back by itself), and who came with the shell's code, which is the way
back into a site that has locked itself out.
"""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.caller import CallerKind
from labvirt.domain.person import Person
from labvirt.domain.right import Right
from labvirt.domain.second_factor import Demand
from labvirt.errors import Conflict
from labvirt.usecases import people
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

FACT = "second-factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """What is asked, and who signs in with a password alone now: names of administrators of the site, and of all others."""

    demand: Demand
    administrators: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def lacking(self) -> tuple[str, ...]:
        """Those of them who must set one up before anything else."""
        asked = {Demand.OFF: (), Demand.ADMINISTRATORS: self.administrators, Demand.EVERYBODY: (*self.administrators, *self.others)}
        return tuple(sorted(asked[self.demand]))


@needs(Right.SITE, site=True)
def show(ports: Ports) -> SecondFactor:
    """Changes nothing."""
    with ports.database.read() as work:
        return _view(work)


@needs(Right.SITE, site=True)
def require(ports: Ports, demand: Demand) -> SecondFactor:
    """This is asked from now on, also of who is signed in. Raises MustConfirm, Conflict (who asks it has none, and would shut themselves
    out)."""
    people.confirmed(ports)
    with ports.database.write() as work:
        me = work.people.get(ports.caller.person) if ports.caller.kind is CallerKind.PERSON and not ports.caller.is_vouched_for else None
        if me is not None and owes(work, me, demand):
            raise Conflict("You have no second factor yourself.", hint="Set up a phone on the page of your account first.")
        before = demanded(work)
        work.facts.put(FACT, str(demand))
        ports.note(
            work,
            "site",
            f"a second factor is asked of: {'nobody' if demand is Demand.OFF else demand}",
            verb="change",
            noun="site",
            before={FACT: str(before)},
            after={FACT: str(demand)},
        )
        view = _view(work)
        work.commit()
    return view


def demanded(work: UnitOfWork) -> Demand:
    """Of whom it is asked now."""
    return Demand(work.facts.get(FACT) or Demand.OFF)


def owes(work: UnitOfWork, person: Person, demand: Demand | None = None) -> bool:
    """Must this person set one up before anything else? `demand` None: by what is asked now."""
    return not person.totp and (demanded(work) if demand is None else demand).asks(person)


def _view(work: UnitOfWork) -> SecondFactor:
    alone = [each for each in work.people.list() if each.active and each.has_password and not each.totp]
    return SecondFactor(
        demand=demanded(work),
        administrators=tuple(each.name for each in alone if each.administers),
        others=tuple(each.name for each in alone if not each.administers),
    )
