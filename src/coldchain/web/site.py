"""What all pages share: the frame around them, signing in and out, files, and errors told to a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from coldchain.db.queries_api import NotKnown, count_open_findings, ledger_state
from coldchain.services.access import SESSION_LIFE_S, Visitor
from coldchain.services.app_ports import AppPorts
from coldchain.web.render import Renderer

SESSION_COOKIE = "coldchain_session"
_MACHINES = ("/v1/", "/log/", "/static/", "/healthz", "/metrics", "/openapi.json")


class Check(NamedTuple):
    """What the commands of a "check it yourself" block are made of."""

    base: str
    about: str
    file: str
    vkey: str


def dossier_name(about: str) -> str:
    """A file name for the dossier about something."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in about)[:100] + ".jsonl"


class Site:
    """The frame of one app's pages."""

    def __init__(self, ports: AppPorts, problems: Mapping[str, int]) -> None:
        """problems: status by slug; each is a page under /problems/."""
        self.ports = ports
        self.problems = problems
        self.renderer = Renderer()

    def page(self, request: Request, template: str, status: int = 200, /, **context: Any) -> HTMLResponse:
        """A page for somebody who is signed in; it states the ledger size it was made from."""
        with self.ports.engine.connect() as connection:
            open_findings = count_open_findings(connection)
        state = ledger_state(self.ports.engine, self.ports.store, self.ports.log)
        frame = {
            "signed_in": True,
            "visitor": request.state.visitor,
            "as_of": state,
            "open_findings": open_findings,
        }
        return self.renderer.page(request, template, {**frame, **context}, status)

    def wanted(self, request: Request) -> bool:
        """Whether a person asks: a browser, at an address that is not a machine's."""
        html = "text/html" in request.headers.get("accept", "")
        return html and not request.url.path.startswith(_MACHINES)

    def problem(
        self, request: Request, slug: str, status: int, detail: str = "", headers: Mapping[str, str] | None = None
    ) -> HTMLResponse:
        """The error as a page; reads no database, for that may be what failed."""
        template = "sign_in.html" if slug == "unauthorised" else "problem.html"
        shown = detail if slug != "unauthorised" or request.url.path == "/login" else ""
        signed_in = self.ports.access.knows(request.cookies.get(SESSION_COOKIE))
        context = {"slug": slug, "status": status, "detail": shown, "signed_in": signed_in}
        return self.renderer.page(request, template, context, status, headers)

    def check(self, request: Request, about: str) -> Check:
        """How to check what a page says without this server."""
        return Check(str(request.base_url).rstrip("/"), about, dossier_name(about), self.ports.vkey)

    def visitor(self, request: Request) -> Visitor:
        """A dependency that lets only a live session pass, and tells whose it is; the frame of the page does too."""
        found = self.ports.access.visitor(request.cookies.get(SESSION_COOKIE))
        request.state.visitor = found
        return found


def router(site: Site) -> APIRouter:
    """Signing in and out, /static and /problems: the pages that need no session."""
    routes = APIRouter(include_in_schema=False)
    access = site.ports.access

    @routes.get("/login")
    def login(request: Request, code: str = "") -> Response:
        """With a good code: a session. Without one: how to get a link."""
        if not code:
            return site.renderer.page(request, "sign_in.html", {"detail": ""})
        secret = access.redeem(code, request.client.host if request.client else "")
        response = site.renderer.page(request, "signed_in.html", {})
        response.set_cookie(
            SESSION_COOKIE,
            secret,
            max_age=SESSION_LIFE_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    @routes.post("/logout", dependencies=[Depends(site.visitor)])
    def logout(request: Request) -> Response:
        access.end_session(request.cookies[SESSION_COOKIE])
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return response

    @routes.get("/static/{name}")
    def static(name: str) -> Response:
        response = site.renderer.assets.response(name)
        if response is None:
            raise NotKnown(f"no file {name!r}")
        return response

    @routes.get("/problems/{slug}")
    def problem(request: Request, slug: str) -> Response:
        """What a problem document's `type` means."""
        if slug not in site.problems:
            raise NotKnown(f"no kind of problem is called {slug!r}")
        context = {"slug": slug, "status": site.problems[slug], "detail": ""}
        return site.renderer.page(request, "problem.html", context)

    return routes
