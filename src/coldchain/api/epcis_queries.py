"""Named queries, their events, and subscriptions to them (EPCIS 2.0 §12.6.3)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.websockets import WebSocket

from coldchain.api.access import anybody, presented
from coldchain.api.epcis_capture import raw_body
from coldchain.api.epcis_events import asked, events_page
from coldchain.api.epcis_headers import answer, check_json, empty, extensions, negotiated, next_link, takes
from coldchain.api.epcis_paging import only_paging
from coldchain.api.epcis_stream import CONTROLS, Telling, converse, prepared, stream
from coldchain.api.problems import failure_of, problem_response
from coldchain.db import epcis_subscriptions as q
from coldchain.db.queries_epcis import newest_seq, seq_before
from coldchain.services.app_ports import AppPorts
from coldchain.services.epcis_fields import PREFIXES
from coldchain.services.epcis_query import QueryError
from coldchain.services.epcis_subscriptions import (
    NamedQuery,
    Subscription,
    SubscriptionRefused,
    lost,
    named_query,
    subscription,
)
from coldchain.services.moments import rfc3339
from coldchain.services.principals import Principal

Name = Annotated[str, Path(max_length=200)]
ONE = "/queries/{name}"
_QUERY = '{"name": …, "query": {…}} with the parameters of SimpleEventQuery'
_SUBSCRIPTION = '{"dest": …, "signatureToken": …} with "stream": true or a schedule; reportIfEmpty, initialRecordTime'


def add_routes(routes: APIRouter, ports: AppPorts) -> None:
    """Each organisation has its own names; a query shows what its maker may see."""
    _add_queries(routes, ports)
    _add_events(routes, ports)
    _add_subscriptions(routes, ports)


def _add_queries(routes: APIRouter, ports: AppPorts) -> None:
    read, kept = anybody(ports.access, "read"), q.SqlSubscriptions(ports.engine)
    negotiation = [Depends(negotiated)]

    @routes.get("/queries", dependencies=negotiation)
    def list_queries(request: Request, principal: Principal = Depends(read)) -> Response:
        """Queries of the asking organisation by name."""
        per_page, token = only_paging(request)
        with ports.engine.connect() as connection:
            found, following = q.all_named(connection, principal.org, token, per_page)
        return answer([_definition(one) for one in found], headers=next_link(request, following))

    @routes.post("/queries", status_code=201, dependencies=negotiation, openapi_extra=takes(_QUERY))
    def make_query(request: Request, principal: Principal = Depends(read), data: bytes = Depends(raw_body)) -> Response:
        """`{"name": …, "query": {…}}` with the parameters of SimpleEventQuery."""
        bound = {prefix: iri for prefix, iri in extensions(request).items() if PREFIXES.get(prefix) != iri}
        made = named_query(principal.org, principal.sees_all, _json(request, data), bound, ports.epcis.clock())
        kept.add_query(made)
        return answer(_definition(made), 201, {"location": f"{routes.prefix}/queries/{made.name}"})

    @routes.get(ONE, dependencies=negotiation)
    def get_query(name: Name, principal: Principal = Depends(read)) -> Response:
        """A query as it was made."""
        with ports.engine.connect() as connection:
            return answer(_definition(q.named(connection, principal.org, name)))

    @routes.delete(ONE, status_code=204, dependencies=negotiation)
    def remove_query(name: Name, principal: Principal = Depends(read)) -> Response:
        """The query is gone, and all subscriptions to it."""
        kept.remove_query(principal.org, name)
        return empty()


def _add_events(routes: APIRouter, ports: AppPorts) -> None:
    read = anybody(ports.access, "read")

    @routes.get(f"{ONE}/events", dependencies=[Depends(negotiated)])
    def list_events(request: Request, name: Name, principal: Principal = Depends(read)) -> Response:
        """What the query finds; with `stream=true` or a schedule, what it will find, as server-sent events."""
        with ports.engine.connect() as connection:
            query = q.named(connection, principal.org, name)
        controls = asked(request)
        if controls:
            _check_controls(controls)
            return stream(ports, request, query, principal)
        return events_page(ports, request, principal, name, query.body, PREFIXES)

    @routes.websocket(f"{ONE}/events")
    async def listen(websocket: WebSocket, name: Name) -> None:
        """The same as a WebSocket (EPCIS 2.0 §12.6.3); refused like any other request where it cannot be."""
        try:
            told = await run_in_threadpool(_asked_to_tell, ports, websocket, name)
        except Exception as error:
            refused = problem_response(failure_of(error), websocket.url.path)
            await websocket.send_denial_response(refused)
            if failure_of(error).problem.status >= 500:
                raise
            return
        await converse(websocket, told)


def _asked_to_tell(ports: AppPorts, websocket: WebSocket, name: str) -> Telling:
    principal = presented(ports.access, websocket, "read")
    _check_controls(asked(websocket))
    with ports.engine.connect() as connection:
        query = q.named(connection, principal.org, name)
    return prepared(ports, websocket, query, principal)


def _check_controls(controls: Mapping[str, Any]) -> None:
    for control in controls:
        if control not in CONTROLS:
            raise QueryError(f"unknown parameter {control}: a named query has its own")


def _add_subscriptions(routes: APIRouter, ports: AppPorts) -> None:
    read, kept = anybody(ports.access, "read"), q.SqlSubscriptions(ports.engine)
    negotiation = [Depends(negotiated)]
    base, standing = f"{ONE}/subscriptions", ports.access.standing

    @routes.get(base, dependencies=negotiation)
    def list_subscriptions(request: Request, name: Name, principal: Principal = Depends(read)) -> Response:
        """Who is told of what the query finds."""
        per_page, token = only_paging(request)
        with ports.engine.connect() as connection:
            query = q.named(connection, principal.org, name)
            found, following = q.all_subscriptions(connection, principal.org, name, token, per_page)
        return answer(
            [_subscription(one, lost(one, query, standing)) for one in found], headers=next_link(request, following)
        )

    @routes.post(base, status_code=201, dependencies=negotiation, openapi_extra=takes(_SUBSCRIPTION))
    def subscribe(
        request: Request, name: Name, principal: Principal = Depends(read), data: bytes = Depends(raw_body)
    ) -> Response:
        """Tell an address, each time by a POST with an EPCISQueryDocument, signed with `signatureToken`."""
        stated = _json(request, data)
        with ports.engine.connect() as connection:
            query = q.named(connection, principal.org, name)
            newest = newest_seq(connection)
            made = subscription(
                query,
                stated,
                secrets.token_hex(16),
                ports.epcis.clock(),
                newest,
                lambda at_us: seq_before(connection, at_us),
                principal,
            )
        ports.epcis.check_destination(made.dest)
        kept.add(made)
        ports.epcis.wake()
        location = f"{routes.prefix}/queries/{name}/subscriptions/{made.id}"
        return answer(_subscription(made, ""), 201, {"location": location})

    @routes.get(f"{base}/{{subscription_id}}", dependencies=negotiation)
    def get_subscription(name: Name, subscription_id: Name, principal: Principal = Depends(read)) -> Response:
        """How a subscription stands, and why nobody could be told if so."""
        with ports.engine.connect() as connection:
            one = q.one_subscription(connection, principal.org, name, subscription_id)
            query = q.named(connection, principal.org, name)
        return answer(_subscription(one, lost(one, query, standing)))

    @routes.delete(f"{base}/{{subscription_id}}", status_code=204, dependencies=negotiation)
    def unsubscribe(name: Name, subscription_id: Name, principal: Principal = Depends(read)) -> Response:
        """Nobody is told any more."""
        kept.remove(principal.org, name, subscription_id)
        return empty()


def _json(request: Request, data: bytes) -> Any:
    check_json(request)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SubscriptionRefused("expected a JSON body") from error


def _definition(query: NamedQuery) -> Mapping[str, Any]:
    return {"name": query.name, "query": query.body}


def _subscription(one: Subscription, stopped: str) -> Mapping[str, Any]:
    """The secret is nobody's any more; `fault` says why the receiver was not reached, or why nobody is told any more,
    and is empty otherwise. stopped: why, where that is so by now."""
    found: dict[str, Any] = {
        "subscriptionID": one.id,
        "queryName": one.query,
        "dest": one.dest,
        "createdAt": rfc3339(one.created_us),
        "initialRecordTime": rfc3339(one.initial_us),
        "minRecordTime": rfc3339(one.notified_us or one.initial_us),
        "reportIfEmpty": one.report_if_empty,
        "state": "stopped" if one.is_stopped or stopped else "active",
        "fault": one.fault if one.is_stopped else stopped or one.fault,
    }
    found |= {"stream": True} if one.stream else {"schedule": one.schedule}
    return found | ({"lastNotifiedAt": rfc3339(one.notified_us)} if one.notified_us is not None else {})
