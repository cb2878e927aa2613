"""Every error this server answers, as RFC 9457 problem details; each `type` is a page under /problems/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from coldchain.api.epcis_errors import CaptureTooLarge, NotAcceptable, UnsupportedMediaType, UrlTooLong
from coldchain.db.queries_api import BadQuery, NotKnown
from coldchain.db.queries_epcis import QueryTooLarge
from coldchain.domain.identifiers import IdentifierError
from coldchain.services.access import AccessDenied, TooManyAttempts
from coldchain.services.epcis_capture import InvalidDocument
from coldchain.services.epcis_query import QueryError, QueryTooComplex
from coldchain.services.epcis_subscriptions import NameTaken, SubscriptionRefused
from coldchain.services.identity import CommandRefused
from coldchain.services.principals import Forbidden
from coldchain_ledger.errors import StoreError

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 1_000
"""Told of one request."""


class NotReady(Exception):
    """A part of the server does not work; the text names it and says why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of error: the last part of its `type`, its status and its title."""

    slug: str
    status: int
    title: str
    epcis: str = ""
    """What EPCIS 2.0 §12.7 calls it, told beside `type` below /epcis/v2."""


PROBLEMS = {
    problem.slug: problem
    for problem in (
        Problem("bad-request", 400, "The request could not be read"),
        Problem("unauthorised", 401, "A credential is needed", "SecurityException"),
        Problem("forbidden", 403, "This credential does not reach so far", "SecurityException"),
        Problem("not-found", 404, "There is nothing here", "NoSuchNameException"),
        Problem("method-not-allowed", 405, "This address does not take that method"),
        Problem("refused", 409, "The command was refused"),
        Problem("too-large", 413, "The request body is too large", "CaptureLimitExceededException"),
        Problem("malformed", 422, "A parameter is malformed", "ValidationException"),
        Problem("too-many-attempts", 429, "Too many wrong credentials"),
        Problem("invalid-document", 400, "Not what EPCIS 2.0 says", "ValidationException"),
        Problem("query-parameter", 400, "A query parameter means nothing", "QueryParameterException"),
        Problem("subscription", 400, "Nobody can be told in this way", "SubscriptionControlsException"),
        Problem("not-acceptable", 406, "This is not spoken here", "NotAcceptableException"),
        Problem("exists", 409, "There is one of that name", "ResourceAlreadyExistsException"),
        Problem("too-many-events", 413, "The document has too many events", "CaptureLimitExceededException"),
        Problem("query-too-large", 413, "More events match than the query takes", "QueryTooLargeException"),
        Problem("query-too-complex", 413, "The query asks for too much at once", "QueryTooComplexException"),
        Problem("url-too-long", 414, "The address is too long", "URITooLongException"),
        Problem("unsupported-media-type", 415, "The body is of another type", "UnsupportedMediaTypeException"),
        Problem("internal", 500, "The server failed", "ImplementationException"),
        Problem("unavailable", 503, "The server cannot answer this now", "ImplementationException"),
    )
}

_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (NotKnown, "not-found"),
    (BadQuery, "malformed"),
    (IdentifierError, "malformed"),
    (RequestValidationError, "malformed"),
    (AccessDenied, "unauthorised"),
    (Forbidden, "forbidden"),
    (CommandRefused, "refused"),
    (TooManyAttempts, "too-many-attempts"),
    (InvalidDocument, "invalid-document"),
    (QueryError, "query-parameter"),
    (SubscriptionRefused, "subscription"),
    (NotAcceptable, "not-acceptable"),
    (NameTaken, "exists"),
    (CaptureTooLarge, "too-many-events"),
    (QueryTooLarge, "query-too-large"),
    (QueryTooComplex, "query-too-complex"),
    (UrlTooLong, "url-too-long"),
    (UnsupportedMediaType, "unsupported-media-type"),
    (NotReady, "unavailable"),
    (StoreError, "unavailable"),
    (OperationalError, "unavailable"),
    (InterfaceError, "unavailable"),
    (PoolTimeout, "unavailable"),
)
HANDLED: tuple[type[Exception], ...] = (HTTPException, *(kind for kind, _ in _KINDS))
_OF_STATUS = {problem.status: problem.slug for problem in reversed(PROBLEMS.values())}
"""The general one of each status, which stands before the particular ones."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One error on its way out."""

    problem: Problem
    detail: str
    headers: Mapping[str, str]
    errors: Sequence[Mapping[str, str]] = ()
    """What is wrong with which parameter, or at which JSON pointer of the body."""


def failure_of(error: Exception) -> Failure:
    """The answer to any exception. What is not in the table is ours, and its text stays inside."""
    if isinstance(error, HTTPException):
        problem = PROBLEMS[_OF_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "bad-request")]
        return Failure(problem, str(error.detail), error.headers or {})
    slug = next((slug for kind, slug in _KINDS if isinstance(error, kind)), "internal")
    problem = PROBLEMS[slug]
    if isinstance(error, RequestValidationError):
        errors = [_parameter_error(item) for item in error.errors()]
        return Failure(problem, "; ".join(f"{item['where']}: {item['what']}" for item in errors), {}, errors)
    if slug == "internal" or (slug == "unavailable" and not isinstance(error, NotReady)):
        return Failure(problem, "The cause stands in the server's log.", {})
    if isinstance(error, InvalidDocument):
        faults = [{"where": pointer, "what": text} for pointer, text in error.faults[:MAX_ERRORS]]
        return Failure(problem, str(error), {}, faults)
    return Failure(problem, str(error), _headers(error))


def problem_response(failure: Failure, path: str) -> JSONResponse:
    """The problem document (RFC 9457 §3); `type` and `instance` are relative to the server it came from."""
    problem = failure.problem
    body: dict[str, Any] = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": failure.detail,
        "instance": quote(path, safe="/:@"),
    }
    if problem.epcis and path.startswith("/epcis/"):
        body["exception"] = f"epcisException:{problem.epcis}"
    if failure.errors:
        body["errors"] = list(failure.errors)
    return JSONResponse(body, problem.status, failure.headers, MEDIA_TYPE)


def _headers(error: Exception) -> Mapping[str, str]:
    if isinstance(error, CaptureTooLarge):
        return error.headers
    if isinstance(error, AccessDenied):
        return {"www-authenticate": "Bearer"}
    if isinstance(error, TooManyAttempts):
        return {"retry-after": str(error.retry_after_s)}
    return {}


def _parameter_error(item: Mapping[str, Any]) -> dict[str, str]:
    place, *rest = item["loc"]
    return {"where": " ".join([str(place), ".".join(map(str, rest))]).strip(), "what": str(item["msg"])}
