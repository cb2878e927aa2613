"""Channels, changes to be told and messages, in the side tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from coldchain.db.bulk import put_rows
from coldchain.db.engine import writing
from coldchain.db.queries_api import NotKnown
from coldchain.db.queries_events import chunks
from coldchain.db.tables.notices import notice_channel, notice_cursor, notice_message, notice_outbox
from coldchain.domain.notices import CRITICAL, Selection, Waiting
from coldchain.services.identity import CommandRefused
from coldchain.services.notices import Channel, Message, Queued
from coldchain_ledger.errors import StoreError

KEEP_US = 30 * 86_400_000_000
"""What was told is forgotten so long afterwards; what failed is kept as long as its channel."""
AT_ONCE = 5_000
"""Changes of a channel looked at in one round: what is critical among them, however many others wait."""
_message, _outbox = notice_message.c, notice_outbox.c


class Account(NamedTuple):
    """What became of what a channel was to be told."""

    waiting: int
    """Changes in no message yet."""
    sending: int
    """Messages not taken yet."""
    failed: Sequence[Row[Any]]
    """Messages given up, the newest first."""
    sent: int
    last_sent_us: int | None
    fault: str
    """Of the newest message that is still tried; "" where none was refused."""


class SqlNotices:
    """`services.notices.Notices`."""

    def __init__(self, engine: Engine, log: int = 1) -> None:
        self._engine = engine
        self._log = log

    # Channels

    def add(self, channel: Channel) -> None:
        """Raises CommandRefused where there is one of that name."""
        with writing(self._engine) as connection:
            if connection.scalar(select(notice_channel.c.name).where(notice_channel.c.name == channel.name)):
                raise CommandRefused(f"there is a channel {channel.name!r}: coldchain notify remove {channel.name}")
            connection.execute(insert(notice_channel).values(_row(channel)))

    def remove(self, name: str) -> int:
        """How many changes it had still to be told. Raises NotKnown."""
        with writing(self._engine) as connection:
            account = _account(connection, name)
            untold = account.waiting + sum(int(row.changes) for row in account.failed) + _count_unsent(connection, name)
            if connection.execute(delete(notice_channel).where(notice_channel.c.name == name)).rowcount == 0:
                raise NotKnown(f"no channel {name!r}")
        return untold

    def channel(self, name: str) -> Channel:
        """Raises NotKnown."""
        found = next((one for one in self.channels() if one.name == name), None)
        if found is None:
            raise NotKnown(f"no channel {name!r}")
        return found

    def channels(self) -> Sequence[Channel]:
        with self._engine.connect() as connection:
            return [_channel(row) for row in connection.execute(select(notice_channel).order_by(notice_channel.c.name))]

    def account(self, name: str) -> Account:
        with self._engine.connect() as connection:
            return _account(connection, name)

    # Following

    def cursor(self) -> int:
        with self._engine.connect() as connection:
            return self._cursor(connection) or 0

    def _cursor(self, connection: Connection) -> int | None:
        return connection.scalar(select(notice_cursor.c.next_index).where(notice_cursor.c.log == self._log))

    def queue(self, before: int, after: int, rows: Sequence[Queued]) -> None:
        """Raises StoreError where another process moved the cursor: it queued the rows."""
        with writing(self._engine) as connection:
            known = self._cursor(connection)
            if (known or 0) != before:
                raise StoreError(f"notices were queued up to entry {known}, not {before}: another process moved on")
            names = set(connection.scalars(select(notice_channel.c.name)))
            put_rows(
                connection,
                notice_outbox,
                [_outbox_row(row) for row in rows if row.channel in names],
                "ON CONFLICT DO NOTHING",
            )
            values = {"log": self._log, "next_index": after}
            if known is None:
                connection.execute(insert(notice_cursor).values(values))
            else:
                connection.execute(update(notice_cursor).where(notice_cursor.c.log == self._log).values(values))

    # Messages

    def waiting(self, channel: str) -> Sequence[tuple[Waiting, str]]:
        mine = select(notice_outbox).where(_outbox.channel == channel, _outbox.message.is_(None))
        query = mine.order_by((_outbox.severity == CRITICAL).desc(), _outbox.entry).limit(AT_ONCE)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            (Waiting(row.finding, row.n, row.entry, row.place, row.severity, row.queued_us), row.item) for row in rows
        ]

    def made_since(self, channel: str, since_us: int) -> int:
        query = select(func.count()).where(_message.channel == channel, _message.created_us > since_us)
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def put(self, messages: Sequence[tuple[Message, Sequence[Waiting]]]) -> None:
        with writing(self._engine) as connection:
            names = set(connection.scalars(select(notice_channel.c.name)))
            for message, told in messages:
                if message.channel not in names:
                    continue
                connection.execute(insert(notice_message).values(_message_row(message)))
                mine = _outbox.channel == message.channel
                for part in chunks((one.finding, one.n) for one in told):
                    for finding, n in part:
                        same = (_outbox.finding == finding) & (_outbox.n == n)
                        connection.execute(update(notice_outbox).where(mine, same).values(message=message.id))
            self._forget(connection, max(message.created_us for message, _ in messages) - KEEP_US)

    def _forget(self, connection: Connection, before_us: int) -> None:
        old = select(_message.id).where(_message.state == "sent", _message.sent_us < before_us)
        connection.execute(delete(notice_outbox).where(_outbox.message.in_(old)))
        connection.execute(delete(notice_message).where(_message.state == "sent", _message.sent_us < before_us))

    def due(self, now_us: int) -> Sequence[tuple[Channel, Message]]:
        query = select(_message.channel, _message.id).where(_message.state == "waiting", _message.due_us <= now_us)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(_message.due_us, _message.created_us, _message.id)).all()
            first = {row.channel: row.id for row in reversed(rows)}
            bodies = select(notice_message).where(_message.id.in_(first.values()))
            messages = [_told(row) for row in connection.execute(bodies)] if first else []
        known = {channel.name: channel for channel in self.channels()} if first else {}
        return [(known[message.channel], message) for message in messages if message.channel in known]

    def sent(self, message: str, now_us: int) -> None:
        self._note(message, state="sent", sent_us=now_us, fault="")

    def not_sent(self, message: Message, due_us: int | None, fault: str) -> None:
        state = {"state": "failed"} if due_us is None else {"due_us": due_us}
        self._note(message.id, **state, failures=message.failures + 1, fault=fault)

    def retry(self, name: str, messages: Sequence[str]) -> tuple[int, int]:
        """Of a channel these messages, or all that are given up or wait for their next try, are due as when they
        were made: how many, and how many changes they tell. Raises NotKnown."""
        self.channel(name)
        unsent = (_message.channel == name) & (_message.state != "sent")
        with writing(self._engine) as connection:
            rows = connection.execute(select(_message.id, _message.changes).where(unsent)).all()
            changes = {row.id: row.changes for row in rows}
            for one in messages:
                if one not in changes:
                    raise NotKnown(f"channel {name!r} has no message {one!r} that is given up or waits")
            wanted = list(dict.fromkeys(messages)) or list(changes)
            for part in chunks(wanted):
                again = update(notice_message).where(unsent, _message.id.in_(part))
                connection.execute(again.values(state="waiting", due_us=_message.created_us, failures=0))
        return len(wanted), sum(changes[one] for one in wanted)

    def _note(self, message: str, **values: Any) -> None:
        with writing(self._engine) as connection:
            connection.execute(update(notice_message).where(_message.id == message).values(values))


def _account(connection: Connection, name: str) -> Account:
    mine = select(notice_message).where(_message.channel == name)
    failed = connection.execute(mine.where(_message.state == "failed").order_by(_message.created_us.desc())).all()
    trying = connection.execute(mine.where(_message.state == "waiting").order_by(_message.created_us.desc())).all()
    untold = select(func.count()).where(_outbox.channel == name, _outbox.message.is_(None))
    sent = select(func.count(), func.max(_message.sent_us)).where(_message.channel == name, _message.state == "sent")
    count, last_us = connection.execute(sent).one()
    return Account(
        waiting=connection.scalar(untold) or 0,
        sending=len(trying),
        failed=failed,
        sent=count,
        last_sent_us=last_us,
        fault=next((row.fault for row in trying if row.fault), ""),
    )


def _count_unsent(connection: Connection, name: str) -> int:
    mine = (_message.channel == name) & (_message.state == "waiting")
    return int(connection.scalar(select(func.sum(_message.changes)).where(mine)) or 0)


def _row(channel: Channel) -> dict[str, Any]:
    said = {one.name: getattr(channel, one.name) for one in fields(channel) if one.name != "wanted"}
    return said | {"selection": json.dumps(channel.wanted._asdict(), ensure_ascii=False)}


def _channel(row: Row[Any]) -> Channel:
    said = {one.name: getattr(row, one.name) for one in fields(Channel) if one.name != "wanted"}
    stated: dict[str, Any] = json.loads(row.selection)
    wanted = Selection(**stated)._replace(rules=tuple(stated["rules"]), events=tuple(stated["events"]))
    return Channel(**said, wanted=wanted)


def _outbox_row(row: Queued) -> tuple[Any, ...]:
    one = row.waiting
    return row.channel, one.finding, one.n, one.entry, one.group, one.severity, one.since_us, row.item, None


def _message_row(message: Message) -> dict[str, Any]:
    said = {one.name: getattr(message, one.name) for one in fields(message)}
    return said | {"state": "waiting", "due_us": message.created_us, "fault": ""}


def _told(row: Row[Any]) -> Message:
    return Message(**{one.name: getattr(row, one.name) for one in fields(Message)})
