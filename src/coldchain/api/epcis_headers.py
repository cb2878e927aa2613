"""Which EPCIS is spoken: versions, formats and limits in headers, on every answer and asked for by OPTIONS (EPCIS 2.0
§12.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import Request
from starlette.responses import Response

from coldchain.api.epcis_errors import NotAcceptable, UnsupportedMediaType, UrlTooLong
from coldchain.services.epcis_capture import MAX_BYTES, MAX_EVENTS
from coldchain.services.epcis_fields import PREFIXES

VERSION = "2.0.0"
"""Of EPCIS and of the CBV."""
MAX_URL = 16 * 1024
JSON = "application/json"
_JSON_TYPES = (JSON, "application/ld+json")
_ACCEPTED = frozenset({*_JSON_TYPES, "application/problem+json", "application/*", "*/*"})
_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}", re.ASCII)
_LINKS = "Always_GS1_Digital_Link"
_FORMATS = ("No_Preference", "Never_Translates", _LINKS)
"""Of GS1-EPC-Format. Back to EPC URNs there is no way: a Digital Link does not tell how long the company prefix is."""


def takes(what: str) -> dict[str, Any]:
    """How the OpenAPI document tells of a body that the route reads itself."""
    schema = {"type": "object", "description": what}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


SPOKEN = {"gs1-epcis-version": VERSION, "gs1-cbv-version": VERSION}
LIMITS = {
    "gs1-epcis-capture-limit": str(MAX_EVENTS),
    "gs1-epcis-capture-file-size-limit": str(MAX_BYTES),
}
_DISCOVERY = {
    **SPOKEN,
    "gs1-epcis-min": VERSION,
    "gs1-epcis-max": VERSION,
    "gs1-cbv-min": VERSION,
    "gs1-cbv-max": VERSION,
    "gs1-epc-format": "Never_Translates",
    "gs1-extensions": f"coldchain={PREFIXES['coldchain']}",
    "gs1-vendor-version": f"coldchain {version('coldchain')}",
}


def negotiated(request: Request) -> None:
    """Raises NotAcceptable unless EPCIS 2.0 and CBV 2.0 in JSON will do; UrlTooLong."""
    if len(request.scope["query_string"]) > MAX_URL:
        raise UrlTooLong(f"an address may have {MAX_URL} bytes of query; POST a longer one to /epcis/v2/queries")
    accepts_json(request)
    for family in ("EPCIS", "CBV"):
        spoken = _version(VERSION)
        stated = {word: _stated(request, f"GS1-{family}-{word}") for word in ("Version", "Min", "Max")}
        if (stated["Version"] or spoken)[:2] != spoken[:2]:
            raise _not_spoken(request, f"GS1-{family}-Version")
        if (stated["Min"] or spoken) > spoken:
            raise _not_spoken(request, f"GS1-{family}-Min")
        if (stated["Max"] or spoken) < spoken[: len(stated["Max"] or spoken)]:
            raise _not_spoken(request, f"GS1-{family}-Max")
    if request.headers.get("GS1-EPC-Format", _FORMATS[0]) not in _FORMATS:
        raise NotAcceptable(f"header GS1-EPC-Format: expected {', '.join(_FORMATS)}")


def wants_links(request: Request) -> bool:
    """Whether identifiers are wanted as GS1 Digital Links, however their senders wrote them."""
    return request.headers.get("GS1-EPC-Format") == _LINKS


def accepts_json(request: Request, *more: str) -> None:
    """Raises NotAcceptable where the request takes neither JSON nor one of `more`."""
    accepted = {part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "*/*").split(",")}
    if accepted.isdisjoint(_ACCEPTED | set(more)):
        raise NotAcceptable("header Accept: EPCIS is answered as application/json or application/ld+json")


def check_json(request: Request) -> None:
    """Raises UnsupportedMediaType unless the body says that it is JSON."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in _JSON_TYPES:
        raise UnsupportedMediaType(f"expected {' or '.join(_JSON_TYPES)}, found {given or 'no content type'!r}")


def extensions(request: Request) -> dict[str, str]:
    """Prefixes bound for this request: `GS1-Extensions: ex=http://ns.example.com/, …`, beside the standard's."""
    found = dict(PREFIXES)
    for pair in request.headers.get("GS1-Extensions", "").split(","):
        prefix, equals, namespace = pair.strip().partition("=")
        if equals:
            found[prefix.strip()] = namespace.strip()
    return found


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer with the headers every answer has."""
    return Response(msgspec.json.encode(data), status, {**SPOKEN, **(headers or {})}, JSON)


def empty(status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    return Response(None, status, {**SPOKEN, **(headers or {})})


def discovery(methods: Sequence[str], more: Mapping[str, str]) -> Callable[[], Response]:
    """An endpoint for OPTIONS."""

    def discover() -> Response:
        """Methods of this resource, versions spoken and limits."""
        return Response(None, 204, {**_DISCOVERY, **more, "allow": ", ".join(["OPTIONS", *methods])})

    return discover


def next_link(request: Request, token: str | None) -> dict[str, str]:
    """The header that leads to the page after this one; none on the last. The address is relative to the server."""
    if token is None:
        return {}
    url = request.url.include_query_params(nextPageToken=token)
    return {"link": f'<{url.path}?{url.query}>; rel="next"'}


def _stated(request: Request, name: str) -> tuple[int, ...] | None:
    text = request.headers.get(name)
    if text is None:
        return None
    if not _VERSION.fullmatch(text.strip()):
        raise NotAcceptable(f"header {name}: expected a version such as {VERSION}, found {text!r}")
    return _version(text.strip())


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _not_spoken(request: Request, name: str) -> NotAcceptable:
    return NotAcceptable(f"header {name}: {request.headers[name]} is not spoken here, {VERSION} is")
