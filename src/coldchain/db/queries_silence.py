"""Whether anybody is expected to speak."""

from __future__ import annotations

from sqlalchemy import Connection, select

from coldchain.db.tables.telemetry import channel


def probe_expected(connection: Connection, since_us: int) -> bool:
    """Whether a probe whose newest reading is not older than `since_us` was not found silent yet."""
    query = select(channel.c.channel).where(channel.c.lost == 0, channel.c.seen_us >= since_us).limit(1)
    return connection.scalar(query) is not None
