"""The web server's application: machine routes and pages behind one edge."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

import structlog
from fastapi import Depends, FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coldchain import api, web
from coldchain.api.access import operator_only
from coldchain.api.edge import Edge
from coldchain.api.openapi import openapi_document
from coldchain.api.problems import HANDLED, PROBLEMS, failure_of, problem_response
from coldchain.api.system import PortMetrics, Requests
from coldchain.services.app_ports import AppPorts

USED_ONCE = {"/login"}
"""A link that works once: a mail program that asks what is there must not be the one who used it."""

logger = structlog.get_logger("coldchain.http")


def create_app(ports: AppPorts) -> FastAPI:
    """One app for one data directory; its metrics are its own, so two apps in one process do not mix."""
    registry = CollectorRegistry()
    registry.register(PortMetrics(ports))
    site = web.site(ports, {slug: problem.status for slug, problem in PROBLEMS.items()})

    def answer(request: Request, error: Exception) -> Response:
        """Any exception as a problem document, or as a page where a person asked for one."""
        failure = failure_of(error)
        if failure.problem.status >= 500:
            logger.error("request failed", path=request.url.path, exc_info=error)
        if site.wanted(request):
            return site.problem(request, failure.problem.slug, failure.problem.status, failure.detail, failure.headers)
        return problem_response(failure, request.url.path)

    async def handle(request: Request, error: Exception) -> Response:
        return answer(request, error)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for kind in HANDLED:
        app.add_exception_handler(kind, handle)
    app.add_middleware(Edge, answer=answer, observe=Requests(registry))
    machine_routes = api.routes(ports, registry)
    for router in (*machine_routes, *web.routes(site)):
        app.include_router(router)

    @cache
    def document() -> dict[str, Any]:
        routes = [route for router in machine_routes for route in router.routes]
        return openapi_document(routes, version("coldchain"))

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(operator_only(ports.access))])
    def openapi() -> JSONResponse:
        return JSONResponse(document())

    app.add_middleware(HeadAsGet)
    return app


class HeadAsGet:
    """HEAD is answered wherever GET is, with the same headers and no body. Not where looking uses something up."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"] in USED_ONCE:
            await self.app(scope, receive, send)
            return

        async def headers_alone(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})  # the end: who would stream for ever hears of it

        await self.app({**scope, "method": "GET"}, receive, headers_alone)
