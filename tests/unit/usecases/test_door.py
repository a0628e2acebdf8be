# SPDX-License-Identifier: MIT
"""The door: codes, passwords, phones, tokens; who guesses, who is thrown out, and that nobody is kept out by others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from labvirt.domain.caller import Caller, CallerKind, Grant
from labvirt.domain.person import ABSOLUTE, ABSOLUTE_ADMINISTRATOR, CONFIRMED, IDLE, SHELL
from labvirt.domain.right import Right, Role
from labvirt.domain.second_factor import Demand
from labvirt.errors import Conflict, InvalidInput, LabVirtError, MustConfirm, MustEnrol, NotAllowed, NotFound, NotSignedIn, TooManyRequests
from labvirt.usecases import account, attempts, campus, groups, labs, passwords, people, phone, second_factor, setup, sign_in, tokens
from labvirt.usecases.ports import Ports
from labvirt.usecases.sign_in import From, Opened
from tests.unit.usecases.conftest import Site

GOOD = "four words in a row"
ADMINISTRATOR = (Grant(Role.ADMINISTRATOR),)
HERE = From(address="192.0.2.1", agent="Firefox")


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is argon2's own matter."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobodys.cache_clear()


def inside(site: Site, name: str = "anna", *, password: str = GOOD, who: From = HERE) -> tuple[Ports, Opened]:
    opened = sign_in.with_password(site.ports, name, password, who=who)
    caller = sign_in.caller_of(site.ports, opened.token, address=who.address)
    assert caller is not None
    return site.ports.on_behalf_of(caller), opened


def is_in(site: Site, opened: Opened, *, touch: bool = True) -> bool:
    return sign_in.caller_of(site.ports, opened.token, address="192.0.2.1", touch=touch) is not None


def test_the_set_up_code_makes_the_first_administrator_once(empty_site: Site) -> None:
    ports = empty_site.ports
    code = setup.init(ports, host="here", again=True)
    with pytest.raises(InvalidInput, match="must be chosen"):
        sign_in.by_code(ports, code, who=HERE)
    for name, password in (("x y", GOOD), ("shell", GOOD), ("anna", "short"), ("anna", "password1")):
        with pytest.raises(InvalidInput):
            sign_in.first(ports, code, name, password, who=HERE)
    opened = sign_in.first(ports, code, "Anna", GOOD, full_name="Anna Nová", who=HERE)
    assert people.one(ports, "anna").person.administers
    assert is_in(empty_site, opened)
    with pytest.raises(NotAllowed):
        sign_in.first(ports, code, "eve", GOOD, who=HERE)
    with pytest.raises(Conflict):
        setup.init(ports, host="here", again=True)


def test_passwords() -> None:
    for bad in ("", "seven77", "x" * 129, "iloveyou", "ILoveYou", "PASSWORD1", "a\x00bcdefgh", "anna.nova"):
        with pytest.raises(InvalidInput) as told:
            passwords.checked(bad, names=("anna.nova",))
        assert not bad or bad not in str(told.value)
    for good in ("x7q9z2kp", "ž" * 8, "correct horse battery staple", "a" * 64, "b" * 128, "pässwörd mit umlaut", "no digits or capitals"):
        assert passwords.matches(passwords.hashed(passwords.checked(good)), good)
    kept = passwords.hashed(GOOD)
    assert kept.startswith("$argon2id$")
    assert kept != passwords.hashed(GOOD)
    assert not passwords.matches(kept, GOOD + " ")
    assert not passwords.matches("", GOOD)
    assert not passwords.matches("", "nobody's password, never kept")
    assert len(passwords._common()) == 3000


def test_the_real_parameters_are_at_least_what_owasp_asks() -> None:
    real = PasswordHasher()
    assert (real.memory_cost, real.time_cost) >= (19 * 1024, 2)


def test_one_sentence_for_every_reason(empty_site: Site) -> None:
    ports = empty_site.ports
    people.add(ports, "anna", password=GOOD, grants=ADMINISTRATOR)
    people.add(ports, "gone", password=GOOD)
    people.change(ports, "gone", active=False)
    people.add(ports, "campus")
    told = set()
    for number, (name, password) in enumerate(
        (("anna", "wrong password"), ("nobody-here", GOOD), ("gone", GOOD), ("campus", ""), ("", ""))
    ):
        with pytest.raises(NotSignedIn) as error:
            sign_in.with_password(ports, name, password, who=replace(HERE, address=f"192.0.2.{number}"))
        told.add((error.value.sentence, error.value.hint))
    assert len(told) == 1
    assert sign_in.with_password(ports, " Anna ", GOOD, who=HERE).sign_in.whole


def test_unknown_names_cost_the_same_work(empty_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    people.add(empty_site.ports, "anna", password=GOOD)
    worked: list[str] = []
    real = passwords.HASHER

    class Counting:
        def verify(self, kept: str, password: str) -> bool:
            worked.append(kept.split("$")[3])
            return real.verify(kept, password)

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    monkeypatch.setattr(passwords, "HASHER", Counting())
    for name in ("anna", "unknown"):
        with pytest.raises(NotSignedIn):
            sign_in.with_password(empty_site.ports, name, "wrong password", who=HERE)
    assert len(worked) == 2
    assert len(set(worked)) == 1


def test_guessing_is_slowed_and_keeps_nobody_out(empty_site: Site) -> None:
    ports = empty_site.ports
    people.add(ports, "anna", password=GOOD)

    def guess(source: str, name: str = "anna") -> type[LabVirtError] | None:
        try:
            sign_in.with_password(ports, name, "wrong password", who=From(address=source))
        except LabVirtError as error:
            return type(error)
        return None

    assert [guess("198.51.100.1") for _ in range(attempts.NAME_TRIES + 1)] == [NotSignedIn] * attempts.NAME_TRIES + [TooManyRequests]
    other = [guess("198.51.100.2", f"name{n}") for n in range(attempts.TRIES + 1)]
    assert other == [NotSignedIn] * attempts.TRIES + [TooManyRequests]
    for number in range(10, 10 + attempts.ATTACKED):
        guess(f"198.51.100.{number}")
    calm = [guess("198.51.100.99") for _ in range(attempts.CALM_TRIES + 1)]
    assert calm == [NotSignedIn] * attempts.CALM_TRIES + [TooManyRequests]
    v6 = [guess(f"2001:db8::{n}") for n in range(attempts.CALM_TRIES + 1)]
    assert v6[-1] is TooManyRequests
    with pytest.raises(TooManyRequests):
        sign_in.with_password(ports, "anna", GOOD, who=From(address="198.51.100.1"))
    assert sign_in.with_password(ports, "anna", GOOD, who=From(address="203.0.113.5")).sign_in.whole  # Anna herself, from her own place
    empty_site.clock.go(attempts.TRIES_SECONDS + 1)
    assert sign_in.with_password(ports, "anna", GOOD, who=From(address="198.51.100.1")).sign_in.whole


@pytest.mark.parametrize("grants, absolute", [(ADMINISTRATOR, ABSOLUTE_ADMINISTRATOR), ((Grant(Role.TEACHER),), ABSOLUTE)])
def test_a_sign_in_ends_by_itself(empty_site: Site, grants: tuple[Grant, ...], absolute: timedelta) -> None:
    people.add(empty_site.ports, "anna", password=GOOD, grants=grants)
    _, idle = inside(empty_site)
    empty_site.clock.go((IDLE - timedelta(seconds=1)).total_seconds())
    assert is_in(empty_site, idle, touch=False)
    empty_site.clock.go(1)
    assert not is_in(empty_site, idle)
    _, busy = inside(empty_site)
    for _ in range(int(absolute / timedelta(minutes=20)) - 1):
        empty_site.clock.go(20 * 60)
        assert is_in(empty_site, busy)
    empty_site.clock.go(20 * 60)
    assert not is_in(empty_site, busy)


def test_what_an_administrator_does_counts_at_once(empty_site: Site) -> None:
    ports = empty_site.ports
    people.add(ports, "boss", password=GOOD, grants=ADMINISTRATOR)
    people.add(ports, "anna", password=GOOD, grants=(Grant(Role.TEACHER),))
    anna, opened = inside(empty_site)
    assert anna.caller.may(Right.OPERATE, "lab-a")
    people.change(ports, "anna", grants=())
    after = sign_in.caller_of(ports, opened.token, address="")
    assert after is not None
    assert not after.may(Right.OPERATE, "lab-a")
    groups.add(ports, "teachers", grants=(Grant(Role.TEACHER),))
    people.change(ports, "anna", groups=("teachers",))
    after = sign_in.caller_of(ports, opened.token, address="")
    assert after is not None
    assert after.may(Right.OPERATE, "lab-a")
    people.change(ports, "anna", active=False)
    assert not is_in(empty_site, opened)
    people.change(ports, "anna", active=True)
    assert not is_in(empty_site, opened)
    _, again = inside(empty_site)
    people.set_password(ports, "anna", "another four words")
    assert not is_in(empty_site, again)
    _, third = inside(empty_site, password="another four words")
    people.remove(ports, "anna")
    assert not is_in(empty_site, third)


def test_a_token_is_new_at_each_sign_in_and_kept_as_a_hash(empty_site: Site) -> None:
    people.add(empty_site.ports, "anna", password=GOOD)
    _, first = inside(empty_site)
    _, second = inside(empty_site, who=replace(HERE, token=first.token))
    assert first.token != second.token
    assert len(second.token) * 6 >= 128
    assert not is_in(empty_site, first)
    assert is_in(empty_site, second)
    empty_site.ports.database.close()
    kept = b"".join(each.read_bytes() for each in empty_site.root.glob("labvirt.db*"))
    assert second.token.encode() not in kept
    assert GOOD.encode() not in kept
    assert sign_in.hash_of(second.token).encode() in kept


def test_sign_ins_are_ended_by_their_owner_and_by_who_looks_after_the_site(empty_site: Site) -> None:
    ports = empty_site.ports
    people.add(ports, "anna", password=GOOD)
    people.add(ports, "eve", password=GOOD)
    people.add(ports, "boss", password=GOOD, grants=ADMINISTRATOR)
    anna, one = inside(empty_site)
    _, two = inside(empty_site)
    eve, _ = inside(empty_site, "eve")
    boss, _ = inside(empty_site, "boss")
    with pytest.raises(NotFound):
        sign_in.end(eve, one.sign_in.id)
    assert is_in(empty_site, one)
    sign_in.end(anna, one.sign_in.id)
    assert not is_in(empty_site, one)
    sign_in.end(boss, two.sign_in.id)
    assert not is_in(empty_site, two)
    _, three = inside(empty_site)
    sign_in.leave(ports, three.token)
    assert not is_in(empty_site, three)


def test_roles_and_passwords_want_the_password_again(empty_site: Site) -> None:
    ports = empty_site.ports
    people.add(ports, "boss", password=GOOD, grants=ADMINISTRATOR)
    boss, _ = inside(empty_site, "boss")
    people.add(boss, "new", password=GOOD)
    empty_site.clock.go(CONFIRMED.total_seconds() + 1)
    for act in (
        lambda: people.add(boss, "other", password=GOOD),
        lambda: people.change(boss, "new", grants=ADMINISTRATOR),
        lambda: people.remove(boss, "new"),
        lambda: people.set_password(boss, "new", GOOD),
        lambda: people.forget_phone(boss, "new"),
        lambda: groups.add(boss, "g"),
        lambda: account.change_password(boss, "another four words"),
        lambda: account.begin_phone(boss),
        lambda: tokens.add(boss, "t"),
    ):
        with pytest.raises(MustConfirm):
            act()
    with pytest.raises(NotAllowed):
        sign_in.confirm(boss, "wrong password")
    sign_in.confirm(boss, GOOD)
    people.change(boss, "new", grants=(Grant(Role.VIEWER),))
    minted = tokens.add(boss, "t")
    program = tokens.caller_of(ports, minted.secret, address="")
    assert program is not None
    with pytest.raises(NotAllowed):
        people.change(ports.on_behalf_of(program), "new", grants=ADMINISTRATOR)


def test_the_last_administrator_stays(empty_site: Site) -> None:
    ports = empty_site.ports
    groups.add(ports, "bosses", grants=ADMINISTRATOR)
    people.add(ports, "boss", password=GOOD, grants=ADMINISTRATOR)
    for act in (
        lambda: people.remove(ports, "boss"),
        lambda: people.change(ports, "boss", active=False),
        lambda: people.change(ports, "boss", grants=(Grant(Role.LAB_MANAGER),)),
    ):
        with pytest.raises(Conflict, match="last administrator"):
            act()
    people.add(ports, "second", password=GOOD, groups=("bosses",))
    people.change(ports, "boss", active=False)
    for act in (lambda: groups.remove(ports, "bosses"), lambda: groups.change(ports, "bosses", grants=())):
        with pytest.raises(Conflict, match="last administrator"):
            act()
    assert people.one(ports, "second").person.administers


def test_the_phone(empty_site: Site) -> None:
    ports, clock = empty_site.ports, empty_site.clock
    people.add(ports, "anna", password=GOOD)
    anna, _ = inside(empty_site)
    _, elsewhere = inside(empty_site)
    account.begin_phone(anna)
    key, address = account.phone_key(anna)
    assert key in address
    with pytest.raises(InvalidInput):
        account.finish_phone(anna, "000000" if code(key, empty_site) != "000000" else "111111")
    spare = account.finish_phone(anna, code(key, empty_site))
    assert len(set(spare)) == phone.RECOVERY_CODES
    assert not is_in(empty_site, elsewhere)
    with pytest.raises(Conflict):
        account.phone_key(anna)

    def half(source: str = "192.0.2.1") -> From:
        opened = sign_in.with_password(ports, "anna", GOOD, who=From(address=source))
        assert not opened.sign_in.whole
        assert not is_in(empty_site, opened)
        return From(address=source, token=opened.token)

    who = half()
    with pytest.raises(NotAllowed):
        sign_in.with_phone(ports, code(key, empty_site), who=who)  # used already, to set it up
    clock.go(30)
    now = code(key, empty_site)
    opened = sign_in.with_phone(ports, now, who=who)
    assert is_in(empty_site, opened)
    with pytest.raises(NotAllowed, match="used already"):
        sign_in.with_phone(ports, now, who=half("192.0.2.2"))
    clock.go(30)
    assert sign_in.with_phone(ports, code(key, empty_site), who=half("192.0.2.3")).sign_in.whole
    assert sign_in.with_phone(ports, spare[0].lower(), who=half("192.0.2.4")).sign_in.whole
    with pytest.raises(NotAllowed):
        sign_in.with_phone(ports, spare[0], who=half("192.0.2.5"))
    late = half("192.0.2.6")
    clock.go(301)
    with pytest.raises(NotSignedIn, match="too long"):
        sign_in.with_phone(ports, code(key, empty_site), who=late)
    with pytest.raises(NotSignedIn):
        sign_in.with_phone(ports, code(key, empty_site), who=From(address="192.0.2.7", token=""))
    people.forget_phone(ports, "anna")
    assert sign_in.with_password(ports, "anna", GOOD, who=From(address="192.0.2.8")).sign_in.whole


def code(key: str, site: Site) -> str:
    return phone.code_at(key, int(site.clock.now().timestamp()) // phone.STEP_SECONDS)


@pytest.mark.parametrize(
    "seconds, told",
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"), (2000000000, "69279037")],
)
def test_codes_are_those_of_rfc_6238(seconds: int, told: str) -> None:
    """Appendix B, SHA-1; ours are the last six of their eight digits."""
    key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # '12345678901234567890'
    assert phone.code_at(key, seconds // 30) == told[2:]


def test_tokens(empty_site: Site) -> None:
    ports, clock = empty_site.ports, empty_site.clock
    people.add(ports, "anna", password=GOOD, grants=(Grant(Role.TEACHER),))
    people.add(ports, "eve", password=GOOD, grants=(Grant(Role.LAB_MANAGER),))
    anna, _ = inside(empty_site)
    eve, _ = inside(empty_site, "eve")
    minted = tokens.add(anna, "script", rights={Right.OPERATE, Right.SITE}, days=2)
    assert minted.secret not in repr(minted)
    program = tokens.caller_of(ports, minted.secret, address="192.0.2.1")
    assert program is not None
    assert program.kind is CallerKind.TOKEN
    assert program.may(Right.OPERATE, "lab-a")
    assert program.may(Right.LOOK, "lab-a")
    assert not program.may(Right.UPDATE, "lab-a")  # Anna may, her program was not told so
    assert not program.may(Right.SITE, None)  # her program was told so, but Anna may not
    for wrong in ("", "lvt_", minted.secret[:-1], minted.secret.upper(), minted.secret + "x"):
        assert tokens.caller_of(ports, wrong, address="") is None
    with pytest.raises(NotFound):
        tokens.remove(eve, minted.token.id)
    with pytest.raises(NotFound):
        tokens.everything(eve, "anna")
    with pytest.raises(NotFound):
        tokens.add(eve, "mine", person="anna")
    assert tokens.everything(eve) == ()
    assert [each.name for each in tokens.everything(anna)] == ["script"]
    people.change(ports, "anna", active=False)
    assert tokens.caller_of(ports, minted.secret, address="") is None
    people.change(ports, "anna", active=True)
    assert tokens.caller_of(ports, minted.secret, address="") is not None
    clock.go(2 * 24 * 3600)
    assert tokens.caller_of(ports, minted.secret, address="") is None
    tokens.remove(ports, minted.token.id)
    assert tokens.everything(ports) == ()
    with pytest.raises(NotAllowed):
        account.view(ports.on_behalf_of(program))


def test_who_must_have_a_second_factor_can_only_set_one_up(empty_site: Site) -> None:
    """From the moment on in which it is asked; and with the phone everything is there again. Nobody else is kept from anything."""
    ports, clock = empty_site.ports, empty_site.clock
    people.add(ports, "anna", password=GOOD, grants=ADMINISTRATOR)
    people.add(ports, "eve", password=GOOD, grants=(Grant(Role.TEACHER),))
    secret = tokens.add(ports, "script", person="anna").secret
    anna, _ = inside(empty_site)
    assert labs.everything(anna) == ()  # nothing is asked yet
    with pytest.raises(Conflict, match="no second factor yourself"):
        second_factor.require(anna, Demand.ADMINISTRATORS)
    second_factor.require(ports, Demand.ADMINISTRATORS)
    assert second_factor.show(ports).lacking == ("anna",)

    anna, opened = inside(empty_site)
    assert (anna.caller.owes_factor, anna.caller.grants) == (True, ())
    refused: tuple[Callable[[], object], ...] = (
        lambda: labs.everything(anna),
        lambda: people.everything(anna),
        lambda: second_factor.require(anna, Demand.OFF),
        lambda: people.forget_phone(anna, "eve"),
        lambda: tokens.add(anna, "mine"),
        lambda: tokens.everything(anna),
        lambda: account.change_password(anna, GOOD + "r"),
        lambda: account.forget_phone(anna),
        lambda: sign_in.end(anna, opened.sign_in.id),
    )
    for act in refused:
        with pytest.raises(MustEnrol):
            act()
    eve, _ = inside(empty_site, "eve")
    vouched = campus.caller_of(ports, "anna", address="")
    program = tokens.caller_of(ports, secret, address="")
    shell = sign_in.caller_of(ports, sign_in.by_code(ports, setup.sign_in_code(ports), who=HERE).token, address="")
    assert vouched is not None
    assert program is not None
    assert shell is not None
    for other in (eve.caller, vouched, program, shell):
        labs.everything(ports.on_behalf_of(other))

    account.begin_phone(anna)
    key, _ = account.phone_key(anna)
    account.finish_phone(anna, phone.code_at(key, int(clock.now().timestamp()) // 30))
    again = sign_in.caller_of(ports, opened.token, address="")  # the same sign-in: the phone was shown in it
    assert again is not None
    anna = ports.on_behalf_of(again)
    assert not again.owes_factor
    assert labs.everything(anna) == ()
    assert tokens.add(anna, "mine").token.name == "mine"
    assert second_factor.require(anna, Demand.EVERYBODY).lacking == ("eve",)
    eve, _ = inside(empty_site, "eve")
    with pytest.raises(MustEnrol):
        labs.everything(eve)


def test_the_command_line_opens_a_site_that_locked_itself_out(empty_site: Site) -> None:
    ports = empty_site.ports
    people.add(ports, "anna", password=GOOD, grants=ADMINISTRATOR)
    second_factor.require(ports, Demand.EVERYBODY)
    with pytest.raises(MustEnrol):
        people.everything(inside(empty_site)[0])
    second_factor.require(ports, Demand.OFF)
    assert [each.name for each in people.everything(inside(empty_site)[0])] == ["anna"]


def test_a_token_is_taken_back_with_all_that_it_made(empty_site: Site) -> None:
    """And no other: those that its person made in a browser, and those of others, go on."""
    ports, clock = empty_site.ports, empty_site.clock
    people.add(ports, "anna", password=GOOD, grants=(Grant(Role.ADMINISTRATOR),))
    rights = {Right.SITE, Right.PEOPLE}

    def of(secret: str) -> Ports:
        caller = tokens.caller_of(ports, secret, address="192.0.2.1")
        assert caller is not None
        return ports.on_behalf_of(caller)

    first, other = (tokens.add(ports, name, person="anna", rights=rights, days=30) for name in ("first", "other"))
    child = tokens.add(of(first.secret), "child", rights=rights, days=60)
    grandchild = tokens.add(of(child.secret), "grandchild", rights=rights)
    brother = tokens.add(of(first.secret), "brother", days=3)
    assert (child.token.made_by, grandchild.token.made_by, first.token.made_by) == (first.token.id, child.token.id, None)
    assert child.token.expires_at == grandchild.token.expires_at == first.token.expires_at  # it never outlives who made it

    def good() -> set[str]:
        made = {"first": first, "other": other, "child": child, "grandchild": grandchild, "brother": brother}
        return {name for name, each in made.items() if tokens.caller_of(ports, each.secret, address="") is not None}

    assert good() == {"first", "other", "child", "grandchild", "brother"}
    assert [each.name for each in tokens.remove(ports, child.token.id)] == ["child", "grandchild"]
    assert good() == {"first", "other", "brother"}  # who made it, and what else that made, goes on
    assert {each.name for each in tokens.remove(of(first.secret), first.token.id)} == {"first", "brother"}  # by itself
    assert good() == {"other"}
    with ports.database.read() as work:
        told = [each.what for each in work.audit.last(20, "anna")]
    assert any("token grandchild taken back with child" in each for each in told)
    assert any("token brother taken back with first" in each for each in told)
    clock.go(30 * 24 * 3600)
    assert good() == set()


def test_the_campus_vouches(empty_site: Site) -> None:
    ports = empty_site.ports
    groups.add(ports, "students", grants=(Grant(Role.VIEWER),))
    first = campus.caller_of(ports, "Jana@uni.example", address="")
    assert first is not None
    assert first.person == "jana@uni.example"
    assert first.grants == ()
    second = campus.caller_of(ports, "karel", address="", group="students")
    assert second is not None
    assert second.may(Right.LOOK, "lab-a")
    again = campus.caller_of(ports, "jana@uni.example", address="", group="students")
    assert again is not None
    assert again.grants == ()  # the group is for who is new
    for nobody in ("", SHELL, "a b", "../x", "x" * 100):
        assert campus.caller_of(ports, nobody, address="") is None
    people.change(ports, "karel", active=False)
    assert campus.caller_of(ports, "karel", address="") is None
    with pytest.raises(NotSignedIn):
        sign_in.with_password(ports, "jana@uni.example", "", who=HERE)


def test_only_people_have_accounts(empty_site: Site) -> None:
    ports = empty_site.ports
    shell = sign_in.by_code(ports, setup.sign_in_code(ports), who=HERE)
    caller = sign_in.caller_of(ports, shell.token, address="")
    assert caller is not None
    assert (caller.name, caller.may(Right.SITE, None)) == (SHELL, True)
    inside_shell = ports.on_behalf_of(caller)
    assert account.view(inside_shell).person is None
    with pytest.raises(Conflict):
        account.change_password(inside_shell, GOOD)
    nobody = ports.on_behalf_of(Caller(kind=CallerKind.TERMINAL, name="nobody"))
    for act in (lambda: account.view(nobody), lambda: tokens.everything(nobody), lambda: sign_in.confirm(nobody, "x")):
        with pytest.raises(NotAllowed):
            act()
