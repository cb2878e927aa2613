"""A report as a file, from the page of what it is about."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from coldchain.db.queries_api import BadQuery, NotKnown
from coldchain.services.access import Visitor
from coldchain.web.i18n import language_of
from coldchain.web.past import Past, past
from coldchain.web.site import Site

TYPES = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
}
MAX_FIELDS = 5


def router(site: Site) -> APIRouter:
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(site.visitor)])

    @routes.post("/report")
    def issue(request: Request, body: bytes = Depends(_body), visitor: Visitor = Depends(site.visitor)) -> Response:
        """In the name of whoever is signed in and the page's language; that it was issued is recorded. The session's
        cookie comes from our own pages alone (SameSite=Strict), so nobody else's form can do this."""
        about, form, of = _asked(body)
        document = site.ports.report(visitor.principal, about, (None, of.at_us), (), of.as_of)
        if document is None:
            raise NotKnown(f"no report about {about!r}: nothing was measured where it was")
        language = "zh" if language_of(request).startswith("zh") else "en"
        data, entry = site.ports.issue_report(visitor.principal, document, form, language)
        headers = {"Content-Disposition": f'attachment; filename="report-{entry}.{form}"'}
        return Response(data, media_type=TYPES[form], headers=headers)

    return routes


async def _body(request: Request) -> bytes:
    """As it came; the edge limits its size."""
    return await request.body()


def _asked(body: bytes) -> tuple[str, str, Past]:
    """What the report is about, its form, and the past that the page told of. Raises BadQuery for what no form of ours
    sends."""
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise BadQuery(f"form: {error}") from error
    about, form = fields.get("about", ""), fields.get("format", "")
    if not about or form not in TYPES:
        raise BadQuery(f"form: expected about, and a format of {', '.join(TYPES)}, found {form!r}")
    return about, form, past(fields.get("at", ""), fields.get("as_of", ""))
