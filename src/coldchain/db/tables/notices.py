"""Who is told of findings, what they are still to be told, and what became of it. Side tables."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from coldchain.db.tables import metadata

_CHANNEL = "notice_channel.name"


notice_channel = Table(
    "notice_channel",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("dest", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("selection", Text, nullable=False),
    Column("quiet", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("per_hour", Integer, nullable=False),
    Column("window_s", Integer, nullable=False),
    Column("language", Text, nullable=False),
    Column("since_entry", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)
"""kind: webhook, email. selection: JSON (`coldchain.domain.notices.Selection`). since_entry: nothing before that entry
of the ledger is told."""

notice_cursor = Table(
    "notice_cursor",
    metadata,
    Column("log", BigInteger, primary_key=True, autoincrement=False),
    Column("next_index", BigInteger, nullable=False),
)
"""Findings published before that entry are in `notice_outbox` where a channel is to be told of them: written in the
transaction that writes those rows."""

notice_outbox = Table(
    "notice_outbox",
    metadata,
    Column("channel", Text, ForeignKey(_CHANNEL, ondelete="CASCADE"), primary_key=True),
    Column("finding", Text, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("entry", BigInteger, nullable=False),
    Column("place", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("queued_us", BigInteger, nullable=False),
    Column("item", Text, nullable=False),
    Column("message", Text),
    Index("ix_notice_outbox_message", "message", "channel"),
)
"""One row for each change and channel, once. message: the one that tells it, NULL until there is one. place: what is
told together. item: JSON."""

notice_message = Table(
    "notice_message",
    metadata,
    Column("id", Text, primary_key=True),
    Column("channel", Text, ForeignKey(_CHANNEL, ondelete="CASCADE"), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("sent_us", BigInteger),
    Column("fault", Text, nullable=False),
    Index("ix_notice_message_channel", "channel", "created_us"),
    Index("ix_notice_message_state", "state", "due_us"),
)
"""What is sent, made once and sent as it is until somebody takes it. state: waiting, sent, failed. id: the key by which
a receiver knows a message that came twice. body: JSON."""
