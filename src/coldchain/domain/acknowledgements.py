"""Somebody took note of a finding: who, with which comment, and of which of its entries (telemetry §4).

An acknowledgement bears on no verdict. It is of the finding as somebody saw it: what escalated since is to be
acknowledged again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

ORDER = "finding-acknowledgement"
MAX_COMMENT = 2_000
Standing = Literal["", "acknowledged", "acknowledged before it escalated"]
RENEWING = ("raised", "escalated")
"""Events after which a finding is to be acknowledged, again where it was before."""


_FINDING = re.compile(r"[0-9a-f]{32}", re.ASCII)


class AckError(ValueError):
    """An acknowledgement that says nothing or is malformed; the text names the field."""


class Ack(NamedTuple):
    finding: str
    n: int
    """Counts the finding's acknowledgements from 1."""
    by: str
    role: str
    name_sealed: str
    """Digest of the person's name; "" where none was given."""
    comment: str
    seen: int
    """Ledger index of the finding's entry they had before them."""


def key_of(finding: str, n: int) -> str:
    return f"ack/{finding}/{n}"


def read_comment(text: object) -> str:
    """Without blanks around it. Raises AckError."""
    comment = text.strip() if isinstance(text, str) else ""
    if not comment or len(comment) > MAX_COMMENT or not _storable(comment):
        raise AckError(f"comment: expected 1 to {MAX_COMMENT} characters that say what was found or done")
    return comment


def read_ack(body: Mapping[str, Any], key: str, by: str) -> Ack:
    """The acknowledgement an `order` entry states. Raises AckError where it lacks something or contradicts its key."""
    texts = {name: body.get(name) for name in ("finding", "role", "comment")}
    numbers = {name: body.get(name) for name in ("n", "seen")}
    name = body.get("name_sealed", "")
    if not all(isinstance(text, str) for text in (*texts.values(), name)):
        raise AckError("expected finding, role, comment and name_sealed as texts")
    if not all(type(number) is int and 0 <= number < 2**31 for number in numbers.values()):
        raise AckError("expected n and seen as whole numbers")
    found = Ack(
        finding=str(texts["finding"]),
        n=int(numbers["n"] or 0),
        by=by,
        role=str(texts["role"]),
        name_sealed=str(name),
        comment=read_comment(texts["comment"]),
        seen=int(numbers["seen"] or 0),
    )
    if not _FINDING.fullmatch(found.finding) or key != key_of(found.finding, found.n):
        raise AckError(f"{key} is not the key of acknowledgement {found.n} of finding {found.finding!r}")
    if not _storable(found.role) or not re.fullmatch(r"([0-9a-f]{64})?", found.name_sealed, re.ASCII):
        raise AckError(f"role {found.role!r}, name_sealed {found.name_sealed!r}: expected a word and a digest")
    return found


def _storable(text: str) -> bool:
    """No database takes NUL, and no encoding half a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def standing(life: Iterable[tuple[str, int]], seen: Iterable[int]) -> Standing:
    """Whether a finding is acknowledged as it is now. life: (event, entry) of everything published of it; seen: the
    entries that its acknowledgements are of."""
    newest = max(seen, default=-1)
    if newest < 0:
        return ""
    renewed = max((entry for event, entry in life if event in RENEWING), default=-1)
    return "acknowledged" if newest >= renewed else "acknowledged before it escalated"
