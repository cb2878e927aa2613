"""Clocks of devices that are ahead: windows with readings timed after the record of their message (4.5)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from coldchain.db.bulk import fetch, put_rows, remove_rows
from coldchain.db.tables.telemetry import device_ahead
from coldchain.domain.quality import SKEW, Window
from coldchain.projections.device_state import Device, Heard
from coldchain.projections.quality_rows import Doubt, doubt, replace
from coldchain.projections.transport import LOOSE

Ahead = tuple[Heard, Window]
"""A message, and a window of which it speaks too early."""


def keep_ahead(connection: Connection, found: Iterable[Ahead]) -> None:
    """Every message is kept: whether it counts may change."""
    rows = {
        (message.device.no, window.from_us, message.ref): (
            message.device.no,
            *window,
            message.boot,
            message.seq,
            message.ref,
        )
        for message, window in found
    }
    put_rows(connection, device_ahead, list(rows.values()))


def forget_loose(connection: Connection, known: Device) -> None:
    """What gateways passed on of the device is told anew."""
    remove_rows(connection, device_ahead, [(known.no, LOOSE)], ("device_no =", "boot ="))


def compare_clock(connection: Connection, known: Device, from_us: int, to_us: int) -> set[Doubt]:
    """Windows that touch these times are told of where a message that counts speaks of them too early; rows that went
    or came."""
    query = (
        "SELECT from_us, to_us, boot, seq, entry FROM device_ahead WHERE device_no = ? AND from_us <= ? AND to_us > ?"
    )
    held = {message.ref for message in known.chain.held.values()}
    after = {
        doubt("", SKEW, start_us, end_us)
        for start_us, end_us, boot, seq, entry in fetch(connection, query, known.no, to_us, from_us)
        if (boot, seq) not in known.chain.disputed and entry not in held
    }
    query = (
        "SELECT channel, kind, from_us, to_us, detail FROM quality"
        " WHERE device_no = ? AND channel = '' AND kind = 'skew' AND from_us <= ? AND to_us > ?"
    )
    return replace(
        connection, known.no, {Doubt(*row) for row in fetch(connection, query, known.no, to_us, from_us)}, after
    )
