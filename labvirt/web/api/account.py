# SPDX-License-Identifier: MIT
"""/account: one's own password, phone and browsers. For a signed-in browser only: a program has no account."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.domain.person import SignIn
from labvirt.usecases import account, sign_in
from labvirt.usecases.account import AccountView
from labvirt.usecases.ports import Ports
from labvirt.web.api.model import Answered, Secret, Shape, Told
from labvirt.web.api.operation import Noun
from labvirt.web.api.people import SIGN_IN, PasswordNew, PersonTold, SignInTold

noun = Noun("account", "One's own password, phone and browsers.")


class AccountTold(Answered):
    """`person` null: the administrator of the shell, who has no account. `pending`: a key waits for the first code of a phone."""

    person: PersonTold | None
    sign_ins: list[SignInTold]
    pending: bool
    recovery_left: int


class PhoneKey(Answered):
    """What a phone is shown, once: the key, and the address that is drawn as a QR code."""

    key: str
    address: str


class Recovery(Answered):
    """Codes for the day the phone is lost, told this once."""

    recovery: list[str]


class Confirmation(Told):
    """One's own password; for the administrator of the shell a new code of `labvirt code`."""

    password: Secret


class PhoneCode(Told):
    """What the phone shows now."""

    code: Annotated[str, Field(max_length=16, json_schema_extra={"writeOnly": True})]


ACCOUNT = Shape(
    AccountTold,
    lambda ports, each: {
        "person": shapes.person(each.person) if each.person else None,
        "sign_ins": [shapes.sign_in(one) for one in each.sign_ins],
        "pending": each.pending,
        "recovery_left": each.recovery_left,
    },
)
PHONE = Shape(PhoneKey, lambda ports, each: {"key": each[0], "address": each[1]})
RECOVERY = Shape(Recovery, lambda ports, codes: {"recovery": list(codes)})


@noun.get("/account", ACCOUNT, tagged=False)
def show(ports: Ports) -> AccountView:
    """One's own account, and where one is signed in."""
    return account.view(ports)


@noun.post("/account/confirm", SIGN_IN)
def confirm(ports: Ports, told: Confirmation) -> SignIn:
    """Give one's password: for ten minutes this sign-in may change people, passwords and tokens."""
    return sign_in.confirm(ports, told.password)


@noun.put("/account/password", None)
def set_password(ports: Ports, told: PasswordNew) -> None:
    """Change one's own password; one's other sign-ins end."""
    account.change_password(ports, told.password)


@noun.post("/account/phone", PHONE, secret=True)
def begin_phone(ports: Ports) -> tuple[str, str]:
    """Begin with a phone: its key, which is told this once. It is asked for when its first code has come."""
    account.begin_phone(ports)
    return account.phone_key(ports)


@noun.post("/account/phone/finish", RECOVERY, secret=True)
def finish_phone(ports: Ports, told: PhoneCode) -> tuple[str, ...]:
    """The phone is asked for from now on. Answers the recovery codes, which are told this once."""
    return account.finish_phone(ports, told.code)


@noun.delete("/account/phone")
def forget_phone(ports: Ports) -> None:
    """The password alone is asked for."""
    account.forget_phone(ports)
