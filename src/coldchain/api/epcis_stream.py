"""What a named query finds from now on, as server-sent events: for receivers that no POST can reach.

The standard's stream is a WebSocket; server-sent events say the same over plain HTTP, pass proxies, and resume by
Last-Event-ID.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from coldchain.api.epcis_headers import SPOKEN
from coldchain.api.problems import NotReady
from coldchain.db.queries_epcis import newest_seq, seq_before
from coldchain.projections.epcis_answers import look_beyond
from coldchain.services.app_ports import AppPorts
from coldchain.services.epcis_fields import time_us
from coldchain.services.epcis_query import QueryError
from coldchain.services.epcis_schedule import Schedule, parse_schedule
from coldchain.services.epcis_subscriptions import Look, NamedQuery, when

_SCHEDULE = ("second", "minute", "hour", "dayOfMonth", "month", "dayOfWeek")
CONTROLS = frozenset({*_SCHEDULE, "stream", "reportIfEmpty", "initialRecordTime"})
MAX_STREAMS = 50
PAUSE_S = 0.5
KEEP_ALIVE_S = 15.0
"""Longest silence: proxies cut what says nothing."""

_streams: set[object] = set()
"""Open ones of this process; only the event loop touches it."""


def stream(ports: AppPorts, request: Request, query: NamedQuery) -> StreamingResponse:
    """Raises SubscriptionRefused, QueryError for controls that mean nothing, NotReady where too many listen."""
    schedule, is_stream = when(_controls(request))
    if len(_streams) >= MAX_STREAMS:
        raise NotReady(f"{MAX_STREAMS} streams are open, which is as many as may be")
    cursor = _first(ports, request)
    told = _tell(ports, query, cursor, None if is_stream else parse_schedule(schedule), _flag(request))
    return StreamingResponse(told, 200, {**SPOKEN, "cache-control": "no-store"}, "text/event-stream")


def _controls(request: Request) -> dict[str, Any]:
    said = {name: request.query_params[name] for name in _SCHEDULE if name in request.query_params}
    wanted = request.query_params.get("stream", "false")
    if wanted not in ("true", "false"):
        raise QueryError(f"parameter stream: expected true, found {wanted!r}")
    return ({"schedule": said} if said else {}) | {"stream": wanted == "true"}


def _flag(request: Request) -> bool:
    return request.query_params.get("reportIfEmpty") == "true"


def _first(ports: AppPorts, request: Request) -> int:
    """The position to go on from: the last one told before, a time, or now."""
    last = request.headers.get("last-event-id", "")
    if last.isascii() and last.isdecimal() and len(last) < 19:
        return int(last)
    initial = request.query_params.get("initialRecordTime")
    with ports.engine.connect() as connection:
        if initial is None:
            return newest_seq(connection)
        if (at_us := time_us(initial)) is None:
            raise QueryError(
                f"parameter initialRecordTime: expected a time such as 2026-03-02T08:00:00Z, found {initial!r}"
            )
        return seq_before(connection, at_us)


async def _tell(
    ports: AppPorts, query: NamedQuery, cursor: int, schedule: Schedule | None, if_empty: bool
) -> AsyncIterator[bytes]:
    """Ends when the receiver leaves. Holds no connection to the database while it waits."""
    me = object()
    _streams.add(me)
    try:
        yield b": listening\n\n"
        due_us = 0 if schedule is None else schedule.next_us(ports.epcis.clock())
        silent_s = 0.0
        while True:
            now_us = ports.epcis.clock()
            if now_us >= due_us:
                look = await run_in_threadpool(look_beyond, ports.engine, ports.store, ports.epcis.clock, query, cursor)
                cursor = look.cursor
                if look.count or (if_empty and schedule is not None):
                    yield _message(look)
                    silent_s = 0.0
                if not look.is_all:
                    continue
                due_us = 0 if schedule is None else schedule.next_us(now_us)
            await asyncio.sleep(PAUSE_S)
            silent_s += PAUSE_S
            if silent_s >= KEEP_ALIVE_S:
                yield b": nothing yet\n\n"
                silent_s = 0.0
    finally:
        _streams.discard(me)


def _message(look: Look) -> bytes:
    data = json.dumps(look.document, ensure_ascii=False, separators=(",", ":"))
    return f"id: {look.cursor}\nevent: epcis\ndata: {data}\n\n".encode()
