"""The public page behind a one-time link: one question on a phone, answered once. Programs get and send JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from coldchain.services.links import Answer, AnswerError, Link, read_answer
from coldchain.web.site import Site

MAX_FIELDS = 20


async def _body(request: Request) -> bytes:
    """As it came; the edge limits its size."""
    return await request.body()


def router(site: Site) -> APIRouter:
    """`/answer/<secret>`: looking at it spends nothing, for messengers look at links before people do."""
    routes = APIRouter(include_in_schema=False)
    links = site.ports.links

    @routes.get("/answer/{secret}")
    def question(request: Request, secret: str) -> Response:
        link = links.open(secret, _address(request))
        return _page(site, request, "answer.html", {**_told(link), "fault": ""})

    @routes.post("/answer/{secret}")
    def answer(request: Request, secret: str, body: bytes = Depends(_body)) -> Response:
        link = links.open(secret, _address(request))
        try:
            stated = read_stated(request.headers.get("content-type", ""), body)
        except AnswerError as error:
            return _page(site, request, "answer.html", {**_told(link), "fault": error.field}, 422, str(error))
        outcome = links.answer(secret, _address(request), stated)
        return _page(site, request, "answered.html", {"entry": outcome.index}, 201)

    return routes


def _told(link: Link) -> dict[str, Any]:
    """Who asks, and what; the rest of the question is for the entry."""
    return {"org": link.org, "question": {k: v for k, v in link.question.items() if k not in ("event", "sealed")}}


def read_stated(content_type: str, body: bytes) -> Answer:
    """A form's fields or a JSON object. Raises AnswerError."""
    try:
        if content_type.partition(";")[0].strip() == "application/json":
            stated = json.loads(body)
        else:
            stated = dict(parse_qsl(body.decode(), max_num_fields=MAX_FIELDS))
    except (ValueError, RecursionError) as error:
        raise AnswerError("body", "a form or a JSON object") from error
    if not isinstance(stated, dict):
        raise AnswerError("body", "a form or a JSON object")
    return read_answer(stated)


def _page(
    site: Site, request: Request, template: str, context: Mapping[str, Any], status: int = 200, error: str = ""
) -> Response:
    if site.wanted(request):
        return site.renderer.page(request, template, context, status)
    return JSONResponse({**context, **({"error": error} if error else {})}, status)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
