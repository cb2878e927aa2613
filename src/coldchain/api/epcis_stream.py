"""What a named query finds from now on, told over an open connection: for receivers that no POST can reach.

The standard's stream is a WebSocket (EPCIS 2.0 §12.6.3). Server-sent events say the same over plain HTTP, pass proxies,
and resume by Last-Event-ID. Either ends when whoever opened it may not ask any more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocket

from coldchain.api.access import may_still_ask
from coldchain.api.epcis_headers import SPOKEN
from coldchain.api.problems import NotReady
from coldchain.db.queries_epcis import newest_seq, seq_before
from coldchain.projections.epcis_answers import look_beyond
from coldchain.services.app_ports import AppPorts
from coldchain.services.epcis_fields import time_us
from coldchain.services.epcis_query import QueryError
from coldchain.services.epcis_schedule import Schedule, parse_schedule
from coldchain.services.epcis_subscriptions import Look, NamedQuery, when
from coldchain.services.principals import Principal

_SCHEDULE = ("second", "minute", "hour", "dayOfMonth", "month", "dayOfWeek")
CONTROLS = frozenset({*_SCHEDULE, "stream", "reportIfEmpty", "initialRecordTime"})
MAX_STREAMS = 50
PAUSE_S = 0.5
KEEP_ALIVE_S = 15.0
"""Longest silence: proxies cut what says nothing."""

_streams: set[object] = set()
"""Open ones of this process; only the event loop touches it."""


Telling = Callable[[], AsyncGenerator[Look | None]]


def stream(ports: AppPorts, asked: HTTPConnection, query: NamedQuery, principal: Principal) -> StreamingResponse:
    """As server-sent events. Raises what `prepared` does."""
    told = prepared(ports, asked, query, principal)
    return StreamingResponse(_events(told), 200, {**SPOKEN, "cache-control": "no-store"}, "text/event-stream")


async def _events(told: Telling) -> AsyncIterator[bytes]:
    yield b": listening\n\n"
    async with aclosing(told()) as looks:
        async for look in looks:
            yield b": nothing yet\n\n" if look is None else _message(look)


def _message(look: Look) -> bytes:
    return f"id: {look.cursor}\nevent: epcis\ndata: {_text(look)}\n\n".encode()


async def converse(websocket: WebSocket, told: Telling) -> None:
    """As messages of a WebSocket, one EPCISQueryDocument each, until either side leaves; 1008: its token opens nothing
    any more. What the receiver says is not listened to."""
    await websocket.accept(headers=[(name.encode(), value.encode()) for name, value in SPOKEN.items()])
    tasks = {asyncio.ensure_future(_send(websocket, told)), asyncio.ensure_future(_until_gone(websocket))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(websocket: WebSocket, told: Telling) -> None:
    async with aclosing(told()) as looks:
        async for look in looks:
            if look is not None:
                await websocket.send_text(_text(look))
    await websocket.close(1008, "the token by which it was opened opens nothing any more")


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        continue


def prepared(ports: AppPorts, asked: HTTPConnection, query: NamedQuery, principal: Principal) -> Telling:
    """What is to be told: what the query finds of what this principal may see. Raises SubscriptionRefused, QueryError
    for controls that mean nothing, NotReady where too many listen."""
    schedule, is_stream = when(_controls(asked))
    if len(_streams) >= MAX_STREAMS:
        raise NotReady(f"{MAX_STREAMS} streams are open, which is as many as may be")
    cursor = _first(ports, asked)
    mine = replace(query, sees_all=query.sees_all and principal.sees_all)
    plan = None if is_stream else parse_schedule(schedule)
    if_empty = asked.query_params.get("reportIfEmpty") == "true" and plan is not None
    return lambda: _tell(ports, mine, principal, cursor, plan, if_empty)


def _controls(asked: HTTPConnection) -> dict[str, Any]:
    said = {name: asked.query_params[name] for name in _SCHEDULE if name in asked.query_params}
    wanted = asked.query_params.get("stream", "false")
    if wanted not in ("true", "false"):
        raise QueryError(f"parameter stream: expected true, found {wanted!r}")
    return ({"schedule": said} if said else {}) | {"stream": wanted == "true"}


def _first(ports: AppPorts, asked: HTTPConnection) -> int:
    """The position to go on from: the last one told before, a time, or now."""
    last = asked.headers.get("last-event-id", "")
    if last.isascii() and last.isdecimal() and len(last) < 19:
        return int(last)
    initial = asked.query_params.get("initialRecordTime")
    with ports.engine.connect() as connection:
        if initial is None:
            return newest_seq(connection)
        if (at_us := time_us(initial)) is None:
            raise QueryError(
                f"parameter initialRecordTime: expected a time such as 2026-03-02T08:00:00Z, found {initial!r}"
            )
        return seq_before(connection, at_us)


async def _tell(
    ports: AppPorts, query: NamedQuery, principal: Principal, cursor: int, schedule: Schedule | None, if_empty: bool
) -> AsyncGenerator[Look | None]:
    """What there is to tell; None where there was nothing for long. Ends when the principal may not ask any more. Holds
    no connection to the database while it waits."""
    me = object()
    _streams.add(me)
    try:
        due_us = 0 if schedule is None else schedule.next_us(ports.epcis.clock())
        silent_s = 0.0
        while await run_in_threadpool(may_still_ask, ports.access, principal):
            now_us = ports.epcis.clock()
            if now_us >= due_us:
                look = await run_in_threadpool(look_beyond, ports.engine, ports.store, ports.epcis.clock, query, cursor)
                cursor = look.cursor
                if look.count or if_empty:
                    yield look
                    silent_s = 0.0
                if not look.is_all:
                    continue
                due_us = 0 if schedule is None else schedule.next_us(now_us)
            await asyncio.sleep(PAUSE_S)
            silent_s += PAUSE_S
            if silent_s >= KEEP_ALIVE_S:
                yield None
                silent_s = 0.0
    finally:
        _streams.discard(me)


def _text(look: Look) -> str:
    return json.dumps(look.document, ensure_ascii=False, separators=(",", ":"))
