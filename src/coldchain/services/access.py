"""Who may pass over HTTP: programs by a bearer token, people by a one-time link and a session (design §6, §9).

Sessions and codes live in memory, by SHA-256 of their secret: a restart ends them, and neither a look at memory nor the
timing of a dictionary tells a secret.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from coldchain.services.ports import Clock
from coldchain.services.principals import Principal, Token, Tokens, operator_principal, secret_digest

SECOND_US = 1_000_000
CODE_LIFE_S = 15 * 60
SESSION_LIFE_S = 12 * 3600
MAX_CODES = 100
MAX_SESSIONS = 1_000
"""Beyond these the oldest is dropped, so that no caller can fill the memory."""
MAX_FAILURES = 10
FAILURE_WINDOW_S = 60
MAX_ADDRESSES = 10_000
Attempt = Callable[[], None]
"""To be called where what the address presented was wrong."""


class AccessDenied(Exception):
    """No credential, or not one that is good."""


class TooManyAttempts(Exception):
    """This address presented too many wrong credentials; `retry_after_s` says when it may try again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many wrong credentials from this address; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Visitor(NamedTuple):
    """Whoever is signed in to the pages."""

    principal: Principal
    """In whose name and role they read and record."""
    person: str = ""
    """Whom the link was made for; "" where it named nobody."""


class Access:
    """Checks credentials and counts the wrong ones. Safe for any number of threads."""

    def __init__(
        self, operator_token: str, clock: Clock, tokens: Tokens | None = None, operator: str = "operator"
    ) -> None:
        """tokens: of organisations, where there are any. operator: in whose name the operator records."""
        if len(operator_token) < 20:
            raise ValueError(f"operator token has {len(operator_token)} characters, expected at least 20")
        self._token = secret_digest(operator_token)
        self._operator = operator_principal(operator)
        self._tokens = tokens
        self._clock = clock
        self._codes = _Secrets(clock, CODE_LIFE_S, MAX_CODES)
        self._sessions = _Secrets(clock, SESSION_LIFE_S, MAX_SESSIONS)
        self._failures = _Failures(clock)

    def principal(self, presented: str, address: str) -> Principal:
        """Whose token it is. Raises AccessDenied; TooManyAttempts after ten wrong ones in a minute."""
        self._failures.check(address)
        if hmac.compare_digest(secret_digest(presented), self._token):
            return self._operator
        known = self._tokens.find(presented.partition(".")[0]) if self._tokens is not None else None
        if known is None or not known.is_good(presented, self._clock()):
            self._failures.count(address)
            raise AccessDenied("the bearer token is none of this server's, or is expired or revoked")
        return self._in_its_role(known)

    def standing(self, org: str, token: str) -> Principal:
        """What a token of that organisation, by its id ("" for the operator's), may do by now: for what goes on after
        the request that began it. Raises AccessDenied where it opens nothing any more."""
        if not token and org == self._operator.org:
            return self._operator
        known = self._tokens.find(token) if self._tokens is not None and token else None
        if known is None or known.org != org or not known.in_force(self._clock()):
            raise AccessDenied("the token by which it was made is unknown, revoked or expired")
        return self._in_its_role(known)

    def _in_its_role(self, known: Token) -> Principal:
        assert self._tokens is not None
        if not self._tokens.holds_role(known.org, known.role, self._clock()):
            raise AccessDenied(f"{known.org} is not registered as {known.role} any more, for which this token speaks")
        return known.principal

    def attempt(self, address: str) -> Attempt:
        """For other secrets than these, under the same count of wrong ones. Raises TooManyAttempts."""
        self._failures.check(address)
        return lambda: self._failures.count(address)

    def issue_code(self, principal: Principal | None = None, person: str = "") -> str:
        """A new one-time code for `/login?code=…`, good for 15 minutes; the session is that principal's, by default the
        operator's. person: for whom it is, by name."""
        return self._codes.issue(Visitor(principal or self._operator, person))

    def redeem(self, code: str, address: str) -> str:
        """The secret of a new session; the code is spent. Raises AccessDenied, TooManyAttempts."""
        self._failures.check(address)
        visitor = self._codes.spend(code)
        if visitor is None:
            self._failures.count(address)
            raise AccessDenied("this link was used already, is older than 15 minutes or never existed")
        return self._sessions.issue(visitor)

    def knows(self, session: str | None) -> bool:
        """Whether the session is live, as far as memory tells."""
        return session is not None and self._sessions.holder(session) is not None

    def visitor(self, session: str | None) -> Visitor:
        """Whose session it is. Raises AccessDenied where it ended, or the token that made it does not stand any more;
        an expired cookie is no attack and is not counted."""
        found = self._sessions.holder(session) if session is not None else None
        if found is None:
            raise AccessDenied("not signed in, or the session ended")
        return found._replace(principal=self.standing(found.principal.org, found.principal.token))

    def end_session(self, session: str) -> None:
        self._sessions.spend(session)


class _Secrets:
    """Random secrets that expire, each somebody's; kept hashed, oldest first."""

    def __init__(self, clock: Clock, life_s: int, limit: int) -> None:
        self._clock = clock
        self._life_us = life_s * SECOND_US
        self._limit = limit
        self._held: OrderedDict[bytes, tuple[int, Visitor]] = OrderedDict()
        self._lock = threading.Lock()

    def issue(self, visitor: Visitor) -> str:
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._held[secret_digest(secret)] = self._clock() + self._life_us, visitor
            while len(self._held) > self._limit:
                self._held.popitem(last=False)
        return secret

    def holder(self, secret: str) -> Visitor | None:
        with self._lock:
            return self._good(self._held.get(secret_digest(secret)))

    def spend(self, secret: str) -> Visitor | None:
        """Whose it was while it was good; it no longer is. Of two threads with the same secret one is told."""
        with self._lock:
            return self._good(self._held.pop(secret_digest(secret), None))

    def _good(self, held: tuple[int, Visitor] | None) -> Visitor | None:
        return held[1] if held is not None and held[0] > self._clock() else None


class _Failures:
    """Wrong credentials per address within a fixed window; the address longest silent is forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, address: str) -> None:
        with self._lock:
            began_us, count = self._counts.get(address, (0, 0))
            left_us = began_us + FAILURE_WINDOW_S * SECOND_US - self._clock()
        if count >= MAX_FAILURES and left_us > 0:
            raise TooManyAttempts(-(-left_us // SECOND_US))

    def count(self, address: str) -> None:
        with self._lock:
            now = self._clock()
            began_us, count = self._counts.pop(address, (now, 0))
            if now - began_us >= FAILURE_WINDOW_S * SECOND_US:
                began_us, count = now, 0
            self._counts[address] = (began_us, count + 1)
            while len(self._counts) > MAX_ADDRESSES:
                self._counts.popitem(last=False)
