"""Named queries, and who is told of what they find (EPCIS 2.0 §8.2.5, §12.6.3).

A subscription is told of each event once and in the order of recording, for its cursor moves only when the receiver
said 2xx: an answer that got lost is the one case in which the same events are told again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Protocol

from coldchain.services.access import AccessDenied
from coldchain.services.epcis_conditions import Query
from coldchain.services.epcis_fields import time_us
from coldchain.services.epcis_query import QueryError, parse_query
from coldchain.services.epcis_schedule import ScheduleError, parse_schedule
from coldchain.services.ports import Clock
from coldchain.services.principals import Forbidden, Principal
from coldchain.services.signed_posts import SECOND_US, NotDelivered, Post, server_of, signature_header
from coldchain.services.telling import Tellers

MAX_QUERIES = 500
MAX_SUBSCRIPTIONS = 500
"""Of an organisation, each."""
AT_ONCE = 100
"""Events told in one message."""
SIGNATURE = "GS1-Signature"
_NAME = re.compile(r"[A-Za-z0-9._~-]{1,100}", re.ASCII)
_MEMBERS = frozenset({"dest", "signatureToken", "secret", "stream", "schedule", "reportIfEmpty", "initialRecordTime"})
_MAX_PAUSE_S = 3_600
NEVER_US = 2**62
_LOOKS = 50
"""Of one round."""


class NameTaken(Exception):
    """There is a query of that name already, or there are too many."""


class SubscriptionRefused(Exception):
    """A destination or a schedule by which nobody can be told; the text says why."""


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A query kept under a name by an organisation, over what that organisation may see."""

    org: str
    name: str
    body: Mapping[str, Any]
    sees_all: bool
    created_us: int

    @property
    def query(self) -> Query:
        query = parse_query(self.body)
        return query if self.sees_all else replace(query, by=self.org)

    def require(self, asking: Principal) -> None:
        """Raises Forbidden where the query shows more than this one of its organisation may see."""
        if self.sees_all and not asking.sees_all:
            raise Forbidden(f"the query {self.name!r} speaks of everybody's goods, which {asking.role} may not ask for")


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told of what a named query finds, and when."""

    id: str
    org: str
    query: str
    dest: str
    secret: str
    stream: bool
    schedule: Mapping[str, Any]
    report_if_empty: bool
    initial_us: int
    created_us: int
    notified_us: int | None
    cursor: int
    """Position of the last event told, or looked at and found not to match."""
    due_us: int
    failures: int = 0
    fault: str = ""
    token: str = ""
    """Id of the token by which it was made; "" for the operator's."""

    @property
    def is_stopped(self) -> bool:
        """It tells nobody any more: whoever made it may not ask so any more."""
        return self.due_us >= NEVER_US

    def next_due_us(self, now_us: int) -> int:
        return now_us if self.stream else parse_schedule(self.schedule).next_us(now_us)


class Subscriptions(Protocol):
    def due(self, now_us: int, newest: int) -> list[tuple[Subscription, NamedQuery]]:
        """Those to be looked at now, the longest waiting first; a stream only where newest lies beyond its cursor."""
        ...

    def advance(self, subscription: Subscription) -> None:
        """Cursor, times and faults as given are durable when it returns; one deleted meanwhile stays deleted."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to tell: an EPCISQueryDocument, how many events are in it, and where the next look begins."""

    document: Mapping[str, Any]
    count: int
    cursor: int
    is_all: bool


Find = Callable[[NamedQuery, int, str], Look]
"""(query, cursor, subscription id) -> what matches beyond the cursor, at most AT_ONCE events."""


Maker = Callable[[str, str], Principal]
"""(organisation, token id) -> what that token may do by now. Raises AccessDenied."""


def lost(one: Subscription, query: NamedQuery, maker: Maker) -> str:
    """Why the subscription may tell nobody any more: its maker may not ask any more what it asks; "" while it may."""
    try:
        now = maker(one.org, one.token)
        now.require("read")
        query.require(now)
    except (AccessDenied, Forbidden) as error:
        return f"stopped: {error}"
    return ""


class Delivery:
    """Tells subscribers. A crash between a receiver's 2xx and `advance` tells the same events again."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        find: Find,
        newest: Callable[[], int],
        post: Post,
        clock: Clock,
        maker: Maker,
    ) -> None:
        self._subscriptions = subscriptions
        self._find = find
        self._newest = newest
        self._post = post
        self._clock = clock
        self._maker = maker
        self._tellers = Tellers("telling")

    def step(self) -> bool:
        """Of those due some are looked for, and told side by side; True where there may be more to do at once."""
        more = self._tellers.heard()
        due = self._subscriptions.due(self._clock(), self._newest())
        idle = (pair for pair in due if self._tellers.can_tell(pair[0].id, server_of(pair[0].dest)))
        for subscription, query in islice(idle, _LOOKS):
            more |= self._look(subscription, query)
        self._tellers.wait_a_little()
        return self._tellers.heard() | more

    def finish(self, patience_s: float | None = None) -> bool:
        """What is being told is told or refused, and noted; True where a receiver has it. What takes longer than
        patience_s is left: the next process tells it again."""
        return self._tellers.finish(patience_s)

    def _look(self, subscription: Subscription, query: NamedQuery) -> bool:
        """What was found is being told. True where nothing was, so far, and the next look may find more."""
        now_us = self._clock()
        if fault := lost(subscription, query, self._maker):
            self._subscriptions.advance(replace(subscription, due_us=NEVER_US, fault=fault))
            return False
        try:
            look = self._find(query, subscription.cursor, subscription.id)
        except QueryError as error:  # a query kept by a version that knew more parameters
            self._subscriptions.advance(_failed(subscription, now_us, str(error)))
            return False
        due_us = subscription.next_due_us(now_us) if look.is_all else now_us
        after = replace(subscription, cursor=look.cursor, due_us=due_us, failures=0, fault="")
        if look.count or (subscription.report_if_empty and not subscription.stream):
            body = json.dumps(look.document, ensure_ascii=False, separators=(",", ":")).encode()
            telling = partial(self._tell, subscription, replace(after, notified_us=now_us), body, now_us)
            self._tellers.tell(subscription.id, server_of(subscription.dest), telling)
            return False
        self._subscriptions.advance(after)
        return not look.is_all

    def _tell(self, before: Subscription, after: Subscription, body: bytes, now_us: int) -> bool:
        try:
            self._post(before.dest, body, signed_headers(before.secret, body, now_us))
        except NotDelivered as error:
            self._subscriptions.advance(_failed(before, now_us, str(error)))
            return False
        self._subscriptions.advance(after)
        return True


def _failed(subscription: Subscription, now_us: int, fault: str) -> Subscription:
    pause_s = min(2**subscription.failures, _MAX_PAUSE_S)
    failures = min(subscription.failures + 1, 30)
    return replace(subscription, failures=failures, fault=fault, due_us=now_us + pause_s * SECOND_US)


def signed_headers(secret: str, body: bytes, now_us: int) -> dict[str, str]:
    """Signed with the subscriber's own secret. Without one there is no signature."""
    headers = {"content-type": "application/json", "gs1-epcis-version": "2.0.0", "gs1-cbv-version": "2.0.0"}
    if secret:
        headers[SIGNATURE] = signature_header(secret, body, now_us)
    return headers


def named_query(org: str, sees_all: bool, stated: Any, prefixes: Mapping[str, str], now_us: int) -> NamedQuery:
    """What is to be kept. Raises SubscriptionRefused for a malformed one, and what `parse_query` does."""
    if not isinstance(stated, dict) or stated.keys() != {"name", "query"} or not isinstance(stated["query"], dict):
        raise SubscriptionRefused('expected {"name": …, "query": {…}}')
    name = stated["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SubscriptionRefused(f"name: expected 1 to 100 of A-Z a-z 0-9 . _ ~ -, found {name!r}")
    body = {**stated["query"]}
    if prefixes:
        body["@context"] = [body.get("@context", {}), dict(prefixes)]
    parse_query(body)
    return NamedQuery(org, name, body, sees_all, now_us)


def subscription(
    query: NamedQuery,
    stated: Any,
    new_id: str,
    now_us: int,
    newest: int,
    before: Callable[[int], int],
    maker: Principal,
) -> Subscription:
    """What is to be kept. newest: the last position; before: the last one of a time. Raises SubscriptionRefused, and
    Forbidden for a query that shows more than its maker may see."""
    query.require(maker)
    if not isinstance(stated, dict):
        raise SubscriptionRefused('expected {"dest": …, "stream": true} or a schedule in its place')
    for name in stated:
        if name not in _MEMBERS:
            raise SubscriptionRefused(f"{name}: expected {', '.join(sorted(_MEMBERS))}")
    schedule, stream = when(stated)
    initial_us = _initial(stated, now_us)
    made = Subscription(
        id=new_id,
        org=query.org,
        query=query.name,
        dest=_text(stated, "dest"),
        secret=_text(stated, "signatureToken", _text(stated, "secret", "")),
        stream=stream,
        schedule=schedule,
        report_if_empty=_flag(stated, "reportIfEmpty"),
        initial_us=initial_us,
        created_us=now_us,
        notified_us=None,
        cursor=newest if initial_us >= now_us else before(initial_us),
        due_us=now_us,
        token=maker.token,
    )
    return replace(made, due_us=made.next_due_us(now_us))


def when(stated: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """(schedule, whether at once). Raises SubscriptionRefused unless it is one of the two."""
    stream, schedule = _flag(stated, "stream"), stated.get("schedule")
    if stream == (schedule is not None):
        raise SubscriptionRefused('expected either "stream": true or a schedule')
    if stream:
        return {}, True
    if not isinstance(schedule, dict):
        raise SubscriptionRefused("schedule: expected an object")
    try:
        parse_schedule(schedule)
    except ScheduleError as error:
        raise SubscriptionRefused(str(error)) from error
    return {name: str(value) for name, value in schedule.items()}, False


def _initial(stated: Mapping[str, Any], now_us: int) -> int:
    text = stated.get("initialRecordTime")
    if text is None:
        return now_us
    found = time_us(text) if isinstance(text, str) else None
    if found is None:
        raise SubscriptionRefused(f"initialRecordTime: expected a time such as 2026-03-02T08:00:00Z, found {text!r}")
    return found


def _text(stated: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = stated.get(name, default)
    if not isinstance(value, str) or len(value) > 2_000 or not value.isprintable():
        raise SubscriptionRefused(f"{name}: expected a text of at most 2,000 printable characters")
    return value


def _flag(stated: Mapping[str, Any], name: str) -> bool:
    value = stated.get(name, False)
    if not isinstance(value, bool):
        raise SubscriptionRefused(f"{name}: expected true or false, found {value!r}")
    return value
