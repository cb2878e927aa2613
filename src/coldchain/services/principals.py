"""Who asks over HTTP, and the bearer tokens that say so (design §6)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from coldchain.domain.exceptions import AUTHORITIES
from coldchain.domain.parties import ROLES, Directory
from coldchain.services.chores import DAY_US
from coldchain.services.identity import CommandRefused

SCOPES = ("read", "capture", "claim")
"""read: ask what is concluded. capture: record events. claim: file exception claims, and rule on what concerns one."""
OPERATOR = "operator"
SEE_ALL = AUTHORITIES | {OPERATOR, "auditor"}
"""Roles that may read about everybody's goods; every other sees what others named it in."""
MAX_DAYS = 3_650
_READERS = frozenset({"auditor"})


class Forbidden(Exception):
    """A good credential that does not reach so far; the text says what it lacks."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a request comes from. What it records is `by` its organisation; it decides in its role, and no request
    body says otherwise."""

    org: str
    role: str
    scopes: frozenset[str]
    name: str
    """Of the token, for logs and lists."""
    token: str = ""
    """Its id; "" for the operator's."""

    @property
    def is_operator(self) -> bool:
        return self.role == OPERATOR

    @property
    def sees_all(self) -> bool:
        """Whether everybody's goods may be shown to it; else only those `queries_parties.sees` names."""
        return self.role in SEE_ALL

    def require(self, scope: str) -> None:
        """Raises Forbidden without that scope."""
        if scope not in self.scopes:
            raise Forbidden(f"token {self.name!r} of {self.org} lacks the scope {scope!r}")


def operator_principal(org: str) -> Principal:
    """Who holds D/secrets/operator.token; org: the log's origin."""
    return Principal(org, OPERATOR, frozenset(SCOPES), OPERATOR)


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: never the token itself."""

    id: str
    digest: bytes
    """SHA-256 of the whole token."""
    org: str
    role: str
    scopes: tuple[str, ...]
    name: str
    created_us: int
    expires_us: int | None = None
    revoked_us: int | None = None

    @property
    def principal(self) -> Principal:
        return Principal(self.org, self.role, frozenset(self.scopes), self.name, self.id)

    def is_good(self, presented: str, now_us: int) -> bool:
        """Whether it is this token and in force; takes the same time for every wrong one."""
        return hmac.compare_digest(secret_digest(presented), self.digest) and self.in_force(now_us)

    def in_force(self, now_us: int) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_us is None and (self.expires_us is None or now_us < self.expires_us)


class Tokens(Protocol):
    """Where tokens are kept."""

    def find(self, token_id: str) -> Token | None: ...

    def holds_role(self, org: str, role: str, now_us: int) -> bool:
        """Whether the organisation is registered in that role, or not at all."""
        ...


def secret_digest(secret: str) -> bytes:
    """SHA-256, for any text a header or an address may carry."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def issue_token(
    directory: Directory, org: str, role: str, scopes: Sequence[str], name: str, days: int | None, now_us: int
) -> tuple[str, Token]:
    """A new token, to be shown once, and what is kept of it.

    Without scopes it gets those of its role. Raises CommandRefused unless the organisation is registered in that role.
    """
    if role not in ROLES or role == OPERATOR:
        raise CommandRefused(f"role {role!r}: expected one of {', '.join(one for one in ROLES if one != OPERATOR)}")
    registered = directory.latest("org", org)
    if registered is None:
        raise CommandRefused(
            f"organisation {org!r} is not registered: coldchain party org add --id {org} --role {role}"
        )
    if role not in registered.stated["roles"]:
        raise CommandRefused(f"{org} is registered as {', '.join(registered.stated['roles'])}, not as {role}")
    for scope in scopes:
        if scope not in SCOPES:
            raise CommandRefused(f"scope {scope!r}: expected {', '.join(SCOPES)}")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise CommandRefused(f"days: expected 1 to {MAX_DAYS}, found {days}")
    token_id = secrets.token_hex(6)
    token = f"{token_id}.{secrets.token_urlsafe(32)}"
    expires_us = None if days is None else now_us + days * DAY_US
    granted = tuple(scope for scope in SCOPES if scope in (scopes or _usual(role)))
    return token, Token(token_id, secret_digest(token), org, role, granted, name or org, now_us, expires_us)


def _usual(role: str) -> Iterable[str]:
    return ("read",) if role in _READERS else SCOPES
