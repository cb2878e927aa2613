"""`/v1/telemetry`: payloads of gateways and vendor platforms, in batches, for the past as for now."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from coldchain.api.access import anybody
from coldchain.api.epcis_capture import raw_body
from coldchain.db.queries_api import BadQuery
from coldchain.services.app_ports import AppPorts
from coldchain.services.messages import Reply
from coldchain.services.principals import Principal

LINES = "application/x-ndjson"
MAX_LINES = 1_000
_TAKES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            LINES: {"schema": {"type": "string"}},
            "application/json": {"schema": {}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class Outcome(BaseModel):
    """What came of one payload; `index` of its entry, the same for the same payload again."""

    status: Literal["recorded", "refused"]
    index: int | None
    reason: str


class Outcomes(BaseModel):
    gateway: str
    recorded: int
    refused: int
    items: list[Outcome]
    """In the order of the payloads."""


def router(ports: AppPorts) -> APIRouter:
    """The one route by which unsigned telemetry comes in."""
    routes = APIRouter(prefix="/v1", tags=["telemetry"])

    @routes.post("/telemetry", openapi_extra=_TAKES)
    def take_telemetry(
        request: Request,
        gateway: Annotated[str, Query(description="Whose payload it is.", max_length=64)],
        topic: Annotated[
            str, Query(description="Where it was published, of a format that needs it.", max_length=300)
        ] = "",
        principal: Principal = Depends(anybody(ports.access, "capture")),
        data: bytes = Depends(raw_body),
    ) -> Outcomes:
        """Record one payload, or one in each line of `application/x-ndjson`, 1,000 at most and 48 KiB each, byte for
        byte. What is refused does not keep the others out."""
        content_type = request.headers.get("content-type", "")
        lines = content_type.partition(";")[0].strip().lower() == LINES
        payloads = [line for line in data.split(b"\n") if line.strip()] if lines else [data]
        if not 0 < len(payloads) <= MAX_LINES:
            raise BadQuery(f"expected 1 to {MAX_LINES} payloads, found {len(payloads)}")
        replies = ports.take_telemetry(principal, gateway, payloads, content_type, topic)
        items = [_outcome(reply) for reply in replies]
        recorded = sum(item.status == "recorded" for item in items)
        return Outcomes(gateway=gateway, recorded=recorded, refused=len(items) - recorded, items=items)

    return routes


def _outcome(reply: Reply) -> Outcome:
    status: Literal["recorded", "refused"] = "recorded" if reply.kind == "ack" else "refused"
    return Outcome(status=status, index=reply.index, reason=reply.reason)
