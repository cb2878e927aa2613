"""The OpenAPI document: every route with what it answers, its errors included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from coldchain.api.problems import MEDIA_TYPE, PROBLEMS

_PUBLIC_ERRORS = (404, 422, 500, 503)
_TOKEN_ERRORS = (401, 403, 404, 422, 429, 500, 503)
_EPCIS_ERRORS = (400, 406, 413, 414, 415)
"""Beside them, below /epcis/v2 (EPCIS 2.0 §12.7)."""

_PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem details; `type` is a page of this server.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["where", "what"],
                "properties": {"where": {"type": "string"}, "what": {"type": "string"}},
            },
        },
    },
}


def openapi_document(routes: Sequence[BaseRoute], version: str) -> dict[str, Any]:
    """FastAPI's document with our one error shape in place of its own."""
    document = get_openapi(
        title="Cold-chain traceability",
        version=version,
        description="Devices, findings, units and traces derived from a ledger that anyone can check.",
        routes=routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    for address, path in document["paths"].items():
        for operation in path.values():
            errors = _TOKEN_ERRORS if operation.get("security") else _PUBLIC_ERRORS
            commands = (409,) if "requestBody" in operation else ()
            epcis = _EPCIS_ERRORS if address.startswith("/epcis/") else ()
            statuses = (*errors, *commands, *epcis)
            operation["responses"].update({str(status): _error(status) for status in statuses})
    return document


def _error(status: int) -> dict[str, Any]:
    titles = [problem.title for problem in PROBLEMS.values() if problem.status == status]
    return {
        "description": titles[0],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
