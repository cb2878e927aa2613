"""The side tables of refused messages: a sample kept to look at, all of them counted (design §4.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, insert, select, update

from coldchain.db.engine import writing
from coldchain.db.tables.ledger import entry_key, recent_key
from coldchain.db.tables.side import reject_tally, rejected
from coldchain.services.admit import Refused
from coldchain.services.chores import DAY_US, HOUR_US, Tally
from coldchain.services.messages import NAME

MAX_TEXT = 1_000
"""Characters kept of a refused message's topic and of what was wrong with it."""


class SqlRejects:
    """Refusals of one log. Kept ones are capped per sender and day and expire, so that a flood fills nothing."""

    def __init__(self, engine: Engine, per_sender: int, days: int, log: int = 1) -> None:
        self._engine = engine
        self._per_sender = per_sender
        self._keep_us = days * DAY_US
        self._log = log

    def keep(self, refused: Sequence[Refused], at_us: int) -> None:
        """Durable when it returns: every message counted, and kept as far as its sender's cap of the day reaches."""
        refused = [replace(one, device=_sender(one.device)) for one in refused]
        digests = [hashlib.sha256(one.inbound.payload).digest() for one in refused]
        with writing(self._engine) as connection:
            _count(connection, refused, digests, at_us)
            room = self._room(connection, {one.device for one in refused}, at_us)
            rows = []
            for one, digest in zip(refused, digests, strict=True):
                room[one.device] -= 1
                if room[one.device] >= 0:
                    rows.append(_row(one, digest, at_us))
            if rows:
                connection.execute(insert(rejected), rows)
            connection.execute(delete(rejected).where(rejected.c.at_us < at_us - self._keep_us))

    def copies(self, key: str) -> int:
        """Differing copies of this message in the ledger: keys `<key>#<16 hex>` (design §4.4)."""
        after, before = f"{key}#", f"{key}$"  # "$" is the next character
        counts = [
            select(func.count()).where(keys.c.log == self._log, keys.c.key > after, keys.c.key < before)
            for keys in (entry_key, recent_key)
        ]
        with self._engine.connect() as connection:
            return sum(connection.scalar(count) or 0 for count in counts)

    def listing(self, limit: int, device: str | None = None) -> dict[str, Any]:
        """The newest kept ones, newest first; `kept` is how many there are in all."""
        query = select(rejected).order_by(rejected.c.id.desc()).limit(limit)
        count = select(func.count()).select_from(rejected)
        if device is not None:
            query, count = query.where(rejected.c.device == device), count.where(rejected.c.device == device)
        with self._engine.connect() as connection:
            return {"items": [_item(row) for row in connection.execute(query)], "kept": connection.scalar(count)}

    def due(self, now_us: int) -> list[Tally]:
        """Tallies of hours that are over, for their `reject` entries."""
        over = reject_tally.c.hour_us <= now_us - HOUR_US
        query = select(reject_tally).where(over).order_by(*reject_tally.primary_key)
        with self._engine.connect() as connection:
            return [Tally(*row) for row in connection.execute(query)]

    def settle(self, tallies: Iterable[Tally]) -> None:
        """Forget tallies whose entries are in the ledger. A crash before it: they are due again, and duplicates."""
        done = [{"s": one.sender, "r": one.reason, "h": one.hour_us} for one in tallies]
        if done:
            with writing(self._engine) as connection:
                connection.execute(delete(reject_tally).where(_is_tally), done)

    def _room(self, connection: Connection, senders: set[str], at_us: int) -> dict[str, int]:
        """How many more of each sender may be kept today."""
        today = and_(rejected.c.device.in_(senders), rejected.c.at_us >= at_us - at_us % DAY_US)
        query = select(rejected.c.device, func.count()).where(today).group_by(rejected.c.device)
        room = dict.fromkeys(senders, self._per_sender)
        for sender, kept in connection.execute(query):
            room[sender] -= kept
        return room


_is_tally = and_(
    reject_tally.c.sender == bindparam("s"),
    reject_tally.c.reason == bindparam("r"),
    reject_tally.c.hour_us == bindparam("h"),
)


def _count(connection: Connection, refused: Sequence[Refused], digests: Sequence[bytes], at_us: int) -> None:
    hour_us = at_us - at_us % HOUR_US
    groups: dict[tuple[str, str], list[bytes]] = {}
    for one, digest in zip(refused, digests, strict=True):
        groups.setdefault((one.device, one.reason), []).append(digest)
    for (sender, reason), group in groups.items():
        key = {"s": sender, "r": reason, "h": hour_us}
        known = connection.execute(select(reject_tally).where(_is_tally), key).one_or_none()
        so_far = Tally(*known) if known else Tally(sender, reason, hour_us, 0, bytes(32))
        chain = reduce(lambda before, digest: hashlib.sha256(before + digest).digest(), group, so_far.digest)
        if known:
            values = {"count": so_far.count + len(group), "digest": chain}
            connection.execute(update(reject_tally).where(_is_tally).values(values), key)
        else:
            connection.execute(insert(reject_tally).values(astuple(replace(so_far, count=len(group), digest=chain))))


def _sender(name: str) -> str:
    """Who may be counted and named in a `reject` entry: what could be a device. All other senders are one, without a
    name, for theirs may be of any length and fit neither an index nor the header of an entry."""
    return name if NAME.fullmatch(name) else ""


def _readable(text: str) -> str:
    """What a person needs of a text that whoever sent the message chose. PostgreSQL keeps no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_TEXT]


def _row(one: Refused, digest: bytes, at_us: int) -> dict[str, Any]:
    return {
        "at_us": at_us,
        "topic": _readable(one.inbound.topic),
        "device": one.device,
        "reason": one.reason,
        "detail": _readable(one.detail),
        "bytes": len(one.inbound.payload),
        "sha256": digest,
        "data": one.inbound.payload,
    }


def _item(row: Any) -> dict[str, Any]:
    at = datetime.fromtimestamp(row.at_us / 1_000_000, UTC).isoformat(timespec="milliseconds")
    return {
        "id": row.id,
        "at": at.replace("+00:00", "Z"),
        "topic": row.topic,
        "device": row.device,
        "reason": row.reason,
        "detail": row.detail,
        "bytes": row.bytes,
        "sha256": row.sha256.hex(),
    }
