"""Telling people and systems of findings: who is told of what, and that each change reaches them once.

A message is made once, kept, and sent as it is, under one id, until its receiver says that it has it. Between that word
and our note of it lies the one moment in which a crash sends it again: by the id the receiver knows that it has it.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from coldchain.domain.findings import EVENTS
from coldchain.domain.notices import (
    NoticeError,
    Selection,
    Waiting,
    compose,
    is_given_up,
    is_quiet,
    next_try_s,
    parse_quiet,
    worst,
)
from coldchain.domain.severity import SEVERITIES
from coldchain.services.identity import CommandRefused
from coldchain.services.moments import rfc3339
from coldchain.services.ports import Clock
from coldchain.services.signed_posts import SECOND_US, NotDelivered, server_of, signature_header
from coldchain.services.telling import Tellers

Kind = Literal["webhook", "email"]
SIGNATURE = "Coldchain-Signature"
IDEMPOTENCY = "Idempotency-Key"
LANGUAGES = ("en", "zh_Hans")
MAX_PER_HOUR = 3_600
MAX_WINDOW_S = 3_600
MAIL_SERVER = "mail"
"""Of every address; no web address has such a name and port."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_ADDRESS = re.compile(r"[!-~]{1,64}@[A-Za-z0-9.-]{1,190}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Channel:
    """Where to tell whom what, and when not."""

    name: str
    kind: Kind
    dest: str
    """An http(s) address, or an e-mail address."""
    wanted: Selection
    since_entry: int
    """Nothing published before that entry of the ledger is told."""
    created_us: int
    secret: str = field(default="", repr=False)
    quiet: str = ""
    """`22:00-06:00` in `zone`; "" for none."""
    zone: str = "UTC"
    per_hour: int = 20
    window_s: int = 60
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to one channel under one id."""

    id: str
    channel: str
    created_us: int
    changes: int
    """How many it tells of."""
    body: str
    """JSON."""
    failures: int = 0


class Queued(NamedTuple):
    """A change that a channel is to be told of."""

    channel: str
    waiting: Waiting
    item: str
    """JSON, one of a message's `items`."""


class Notices(Protocol):
    """Where channels, changes and messages are kept. What a method did is durable when it returns."""

    def channels(self) -> Sequence[Channel]: ...

    def cursor(self) -> int:
        """Findings published before that entry are queued."""
        ...

    def queue(self, before: int, after: int, rows: Sequence[Queued]) -> None:
        """Rows and the cursor's move in one transaction; a row that is there already stays as it is."""
        ...

    def waiting(self, channel: str) -> Sequence[tuple[Waiting, str]]:
        """Its changes that are in no message, with their items: some thousands, first what is critical, then the
        oldest."""
        ...

    def made_since(self, channel: str, since_us: int) -> int:
        """Messages made for the channel after that time."""
        ...

    def put(self, messages: Sequence[tuple[Message, Sequence[Waiting]]]) -> None:
        """Messages, and that they tell these changes, in one transaction. Those of a channel that is gone are not."""
        ...

    def due(self, now_us: int) -> Sequence[tuple[Channel, Message]]:
        """Of each channel the message that is due for the longest."""
        ...

    def sent(self, message: str, now_us: int) -> None: ...

    def not_sent(self, message: Message, due_us: int | None, fault: str) -> None:
        """To be tried again at that time; None: never, it is listed as failed."""
        ...


Look = Callable[[int, Sequence[Channel], int], tuple[int, Sequence[Queued]]]
"""(cursor, channels, now) -> the cursor after the findings looked at, and what is to be told of them."""
Send = Callable[[Channel, Message, int], None]
"""(channel, message, now): the receiver has said that it has it. Raises NotDelivered."""


class Notifier:
    """Follows published findings and tells of them. A crash anywhere loses nothing: before the cursor moved the same
    findings are looked at again, and a message that was made is sent until it is known to have arrived."""

    def __init__(self, kept: Notices, look: Look, send: Send, clock: Clock, origin: str) -> None:
        self._kept = kept
        self._look = look
        self._send = send
        self._clock = clock
        self._origin = origin
        self._tellers = Tellers("notifying")

    def step(self) -> bool:
        """What was published is queued, what is due is put into messages and sent; True where there may be more."""
        channels = self._kept.channels()
        if not channels:
            return False
        followed = self._follow(channels)
        return self._compose(channels) | self._deliver() | followed

    def finish(self, patience_s: float | None = None) -> bool:
        """What is being told is told or refused, and noted; True where a receiver has it. What takes longer than
        patience_s is left: the next process sends it again."""
        return self._tellers.finish(patience_s)

    def _follow(self, channels: Sequence[Channel]) -> bool:
        before = self._kept.cursor()
        after, rows = self._look(before, channels, self._clock())
        if after > before:
            self._kept.queue(before, after, rows)
        return after > before

    def _compose(self, channels: Sequence[Channel]) -> bool:
        now_us = self._clock()
        made: list[tuple[Message, Sequence[Waiting]]] = []
        for channel in channels:
            waiting = self._kept.waiting(channel.name)
            if not waiting:
                continue
            items = {(one.finding, one.n): item for one, item in waiting}
            for together in compose(
                (one for one, _ in waiting),
                now_us,
                window_us=channel.window_s * SECOND_US,
                per_hour=channel.per_hour,
                used=self._kept.made_since(channel.name, now_us - 3_600 * SECOND_US),
                quiet=is_quiet(parse_quiet(channel.quiet), ZoneInfo(channel.zone), now_us),
            ):
                told = [json.loads(items[one.finding, one.n]) for one in together]
                made.append((message(self._origin, channel.name, told, now_us), together))
        if made:
            self._kept.put(made)
        return bool(made)

    def _deliver(self) -> bool:
        told = self._tellers.heard()
        for channel, message in self._kept.due(self._clock()):
            server = server_of(channel.dest) if channel.kind == "webhook" else MAIL_SERVER
            if self._tellers.can_tell(channel.name, server):
                self._tellers.tell(channel.name, server, partial(self._tell, channel, message))
        self._tellers.wait_a_little()
        return self._tellers.heard() | told

    def _tell(self, channel: Channel, message: Message) -> bool:
        try:
            self._send(channel, message, self._clock())
        except NotDelivered as error:
            failures = message.failures + 1
            due_us = self._clock() + next_try_s(failures) * SECOND_US
            self._kept.not_sent(message, None if is_given_up(failures) else due_us, str(error))
            return False
        # A crash here sends the message again, under the same id.
        self._kept.sent(message.id, self._clock())
        return True


def message(origin: str, channel: str, items: Sequence[Mapping[str, Any]], now_us: int) -> Message:
    """Its id names the channel and the changes told: the same for the same ones."""
    keys = [f"{item['id']}/{item['n']}" for item in items]
    digest = hashlib.sha256("\n".join([origin, channel, *keys]).encode()).hexdigest()[:32]
    body = {
        "v": 1,
        "id": digest,
        "origin": origin,
        "channel": channel,
        "created_at": rfc3339(now_us),
        "severity": worst(item["severity"] for item in items),
        "items": list(items),
    }
    return Message(digest, channel, now_us, len(items), json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def trial(origin: str, channel: str, now_us: int) -> Message:
    """A message that tells of nothing, to try a channel by."""
    key = secrets.token_hex(16)
    body = {
        "v": 1,
        "id": key,
        "origin": origin,
        "channel": channel,
        "created_at": rfc3339(now_us),
        "severity": SEVERITIES[0],
        "items": [],
    }
    return Message(key, channel, now_us, 0, json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def signed_headers(channel: Channel, message: Message, now_us: int) -> dict[str, str]:
    """Of a webhook: the signature over the body, and the key by which a message that came twice is known."""
    return {
        "content-type": "application/json",
        IDEMPOTENCY: message.id,
        SIGNATURE: signature_header(channel.secret, message.body.encode(), now_us),
    }


def checked(channel: Channel) -> Channel:
    """The channel itself. Raises CommandRefused naming what none may be; a web address is for the sender to judge."""
    if not _NAME.fullmatch(channel.name):
        raise CommandRefused(f"name: expected 1 to 64 of A-Z a-z 0-9 . _ -, found {channel.name!r}")
    if channel.kind == "email" and not _ADDRESS.fullmatch(channel.dest):
        raise CommandRefused(f"email: expected one address such as shift@example.com, found {channel.dest!r}")
    for event in channel.wanted.events:
        if event not in EVENTS:
            raise CommandRefused(f"event {event!r}: expected one of {', '.join(EVENTS)}")
    if channel.wanted.severity not in SEVERITIES:
        raise CommandRefused(f"severity {channel.wanted.severity!r}: expected one of {', '.join(SEVERITIES)}")
    if not 1 <= channel.per_hour <= MAX_PER_HOUR:
        raise CommandRefused(f"per hour: expected 1 to {MAX_PER_HOUR} messages, found {channel.per_hour}")
    if not 0 <= channel.window_s <= MAX_WINDOW_S:
        raise CommandRefused(f"window: expected 0 to {MAX_WINDOW_S} seconds, found {channel.window_s}")
    if channel.language not in LANGUAGES:
        raise CommandRefused(f"language {channel.language!r}: expected one of {', '.join(LANGUAGES)}")
    try:
        parse_quiet(channel.quiet)
    except NoticeError as error:
        raise CommandRefused(str(error)) from error
    try:
        ZoneInfo(channel.zone)
    except (KeyError, OSError, ValueError) as error:
        raise CommandRefused(f"zone {channel.zone!r}: expected a time zone such as Asia/Shanghai") from error
    return channel
