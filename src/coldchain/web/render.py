"""Templates, the words they use, and the files beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from coldchain.web.formats import celsius, iso, page_of, quoted, utc
from coldchain.web.i18n import COOKIE, LANGUAGES, Words, language_of, load_words
from coldchain.web.status import look_of

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "txt": "text/plain"}
_YEAR_S = 31_536_000


class Assets:
    """The files under /static, read once. Their addresses change with their content, so they may be kept for ever."""

    def __init__(self) -> None:
        folder = resources.files("coldchain.web") / "static"
        self._files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

    def url(self, name: str) -> str:
        return f"/static/{name}?v={hashlib.sha256(self._files[name]).hexdigest()[:8]}"

    def response(self, name: str) -> Response | None:
        data = self._files.get(name)
        if data is None:
            return None
        kind = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        return Response(data, 200, {"cache-control": f"public, max-age={_YEAR_S}, immutable"}, f"{kind}; charset=utf-8")


class Renderer:
    """Turns a template and what it needs into a page in the reader's language."""

    def __init__(self) -> None:
        self.assets = Assets()
        self.words = load_words()
        self._templates = Environment(
            loader=PackageLoader("coldchain.web"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            utc=utc,
            iso=iso,
            celsius=celsius,
            page=page_of,
            next_url=next_url,
            until_url=until_url,
            quoted=quoted,
        )
        self._templates.globals.update(asset=self.assets.url, look_of=look_of)

    def page(
        self, request: Request, template: str, context: Mapping[str, Any], status: int = 200, headers: Any = None
    ) -> HTMLResponse:
        """The page. A language chosen by `?lang=` is remembered."""
        words = self.words[language_of(request)]
        shared = {
            "t": words,
            "request": request,
            "section": "/" + request.url.path.split("/")[1],
            "other_language": _other_language(request, words, self.words),
            "signed_in": False,
            "visitor": None,
            "open_findings": 0,
            "as_of": None,
            "kept": "",
        }
        text = self._templates.get_template(template).render({**shared, **context})
        response = HTMLResponse(text, status, headers)
        if request.query_params.get("lang") == words.language:
            response.set_cookie(COOKIE, words.language, max_age=_YEAR_S, httponly=True, samesite="lax")
        return response


def next_url(cursor: str, request: Request) -> str:
    """The same list from the cursor on."""
    return _with(request, cursor=cursor)


def until_url(until_us: int, request: Request) -> str:
    """This page with a chart that ends there."""
    return _with(request, until=str(until_us))


def _with(request: Request, **parameters: str) -> str:
    """This page with other parameters; a one-time code is spent and not repeated."""
    kept = {name: value for name, value in request.query_params.items() if name != "code"}
    return "?" + urlencode({**kept, **parameters})


def _other_language(request: Request, words: Words, catalogues: Mapping[str, Words]) -> dict[str, str]:
    other = next(language for language in LANGUAGES if language != words.language)
    return {
        "url": _with(request, lang=other),
        "tag": catalogues[other].tag,
        "name": catalogues[other]("language.name"),
    }
