"""What is published of findings from now on, as server-sent events: for receivers that no POST can reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from sqlalchemy import Row, func, select
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from coldchain.api import answers
from coldchain.api.access import may_still_ask
from coldchain.api.epcis_stream import KEEP_ALIVE_S, MAX_STREAMS, PAUSE_S
from coldchain.api.problems import NotReady
from coldchain.db import queries_api as q
from coldchain.db.tables.events import finding
from coldchain.services.app_ports import AppPorts
from coldchain.services.principals import Principal

AT_ONCE = 100

_streams: set[object] = set()
"""Open ones of this process; only the event loop touches it."""


def stream(ports: AppPorts, request: Request, wanted: q.FindingFilter, principal: Principal) -> StreamingResponse:
    """Every entry that fits, each with its ledger index as `id`. Raises NotReady where too many listen."""
    if len(_streams) >= MAX_STREAMS:
        raise NotReady(f"{MAX_STREAMS} streams are open, which is as many as may be")
    told = _tell(ports, wanted, principal, _first(ports, request))
    return StreamingResponse(told, 200, {"cache-control": "no-store"}, "text/event-stream")


def _first(ports: AppPorts, request: Request) -> int:
    """The entry to go on after: the last one told before, or the newest."""
    last = request.headers.get("last-event-id", "")
    if last.isascii() and last.isdecimal() and len(last) < 19:
        return int(last)
    with ports.engine.connect() as connection:
        newest = connection.scalar(select(func.max(finding.c.entry)))
    return -1 if newest is None else int(newest)


async def _tell(ports: AppPorts, wanted: q.FindingFilter, principal: Principal, after: int) -> AsyncIterator[bytes]:
    """Ends when the receiver leaves, or may not ask any more. Holds no connection to the database while it waits."""
    me = object()
    _streams.add(me)
    try:
        yield b": listening\n\n"
        silent_s = 0.0
        while await run_in_threadpool(may_still_ask, ports.access, principal):
            told = await run_in_threadpool(_look, ports, wanted, after)
            for row in told.rows:
                silent_s = 0.0
                yield _event(row)
            after = told.upto
            if not told.is_all:
                continue
            await asyncio.sleep(PAUSE_S)
            silent_s += PAUSE_S
            if silent_s >= KEEP_ALIVE_S:
                yield b": nothing yet\n\n"
                silent_s = 0.0
    finally:
        _streams.discard(me)


def _look(ports: AppPorts, wanted: q.FindingFilter, after: int) -> q.Told:
    with ports.engine.connect() as connection:
        return q.findings_after(connection, wanted, after, AT_ONCE)


def _event(row: Row[Any]) -> bytes:
    data = answers.finding(row).model_dump_json(by_alias=True)
    return f"id: {row.entry}\nevent: finding\ndata: {data}\n\n".encode()
