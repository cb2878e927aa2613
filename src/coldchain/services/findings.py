"""Taking note of a finding: a command, checked against who may give it, then recorded (design §2.5)."""

from __future__ import annotations

from typing import NamedTuple

from coldchain.domain.acknowledgements import ORDER, AckError, key_of, read_comment
from coldchain.domain.findings import WITHDRAWN
from coldchain.services.chores import canonical
from coldchain.services.identity import CommandRefused
from coldchain.services.principals import Principal
from coldchain_ledger.log import Draft

MAX_NAME = 100


class Acknowledged(NamedTuple):
    """What somebody says of a finding."""

    finding: str
    comment: str
    name: str = ""
    """Of the person, for whoever reads it; the ledger holds a digest."""
    seen: int | None = None
    """The finding's entry they had before them; None: its newest."""


class Told(NamedTuple):
    """A finding as it was published last."""

    subject: str
    state: str
    entries: tuple[int, ...]
    """Of everything published of it, oldest first."""


def acknowledgement(principal: Principal, said: Acknowledged, told: Told, n: int, name_sealed: str) -> Draft:
    """The `order` entry. The principal may see the finding: that was checked where it was looked up. n: how many-th on
    this finding. Raises CommandRefused for one that says nothing or is of nothing."""
    principal.require("claim")
    if told.state == WITHDRAWN:
        raise CommandRefused(f"finding {said.finding} is withdrawn: there is nothing to acknowledge")
    seen = told.entries[-1] if said.seen is None else said.seen
    if seen not in told.entries:
        raise CommandRefused(f"entry {seen} is none of finding {said.finding}: expected one of {list(told.entries)}")
    body = {
        "v": 1,
        "order": ORDER,
        "finding": said.finding,
        "n": n,
        "seen": seen,
        "comment": checked_comment(said.comment),
        "by": principal.org,
        "role": principal.role,
        **({"name_sealed": name_sealed} if name_sealed else {}),
    }
    return Draft(
        kind="order",
        by=principal.org,
        type="application/json",
        key=key_of(said.finding, n),
        grade="declared",
        subjects=(told.subject,),
        payload=canonical(body),
    )


def checked_comment(text: object) -> str:
    """Raises CommandRefused."""
    try:
        return read_comment(text)
    except AckError as error:
        raise CommandRefused(str(error)) from error


def checked_name(text: str) -> str:
    """Without blanks around it; "" for none. Raises CommandRefused."""
    name = text.strip()
    if len(name) > MAX_NAME or not name.isprintable():
        raise CommandRefused(f"name: expected at most {MAX_NAME} printable characters")
    return name
