"""`/v1/findings`: what was published, and taking note of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from coldchain.api import answers
from coldchain.api import schemas as s
from coldchain.api.access import anybody
from coldchain.api.findings_stream import stream
from coldchain.api.queries import FindingQuery, FindingStreamQuery, Name
from coldchain.db import queries_api as q
from coldchain.db.queries_findings import life_of, named_in
from coldchain.db.queries_parties import visible_findings
from coldchain.domain.acknowledgements import MAX_COMMENT
from coldchain.services.app_ports import AppPorts
from coldchain.services.findings import MAX_NAME, Acknowledged
from coldchain.services.principals import Principal


class AcknowledgementOrder(BaseModel):
    """Taking note of a finding."""

    model_config = ConfigDict(extra="forbid")

    comment: Annotated[str, Field(min_length=1, max_length=MAX_COMMENT, description="what was found or done")]
    name: Annotated[str, Field(max_length=MAX_NAME, description="of the person; sealed, the ledger has a digest")] = ""
    seen: Annotated[
        int | None, Field(ge=0, le=2**53, description="`index` of the entry they had before them; default: the newest")
    ] = None


class AcknowledgementRecorded(s.Answer):
    index: int
    status: str


def router(ports: AppPorts) -> APIRouter:
    """Each party's own findings, everybody's for whoever may see those."""
    routes = APIRouter(prefix="/v1")
    read, claim = anybody(ports.access, "read"), anybody(ports.access, "claim")

    @routes.get("/findings", tags=["findings"])
    def list_findings(
        query: Annotated[FindingQuery, Query()], principal: Principal = Depends(read)
    ) -> s.Page[s.Finding]:
        """Published findings, the newest first; of a party's token those about goods that others handed to it or took
        from it, which began before these ceased to be its concern, and about its own places."""
        with ports.engine.connect() as connection:
            rows, following = q.findings(connection, wanted(query, principal), query.cursor, query.limit)
        return s.Page(items=[answers.finding(row) for row in rows], next=following)

    @routes.get("/findings/stream", include_in_schema=False)
    def stream_findings(
        request: Request, query: Annotated[FindingStreamQuery, Query()], principal: Principal = Depends(read)
    ) -> StreamingResponse:
        """Every entry published from now on, or after `Last-Event-ID`, as it is published (docs/findings.md)."""
        only = visible_to(principal)
        chosen = q.FindingFilter(False, None, query.subject, None, None, query.rule, query.severity, only)
        return stream(ports, request, chosen, principal)

    @routes.get("/findings/{finding}", tags=["findings"])
    def get_finding(finding: Annotated[Name, Path()], principal: Principal = Depends(read)) -> s.FindingDetail:
        """The newest entry of a finding, what it rests on and whom it affects, everything published of it before, and
        who acknowledged it."""
        with ports.engine.connect() as connection:
            life = life_of(connection, finding, visible_to(principal))
        return answers.finding_detail(life, named_in(ports.store, life.newest.entry), ports.unseal)

    @routes.post("/findings/{finding}/acknowledgement", tags=["findings"], status_code=201)
    def acknowledge(
        finding: Annotated[Name, Path()], order: AcknowledgementOrder, principal: Principal = Depends(claim)
    ) -> AcknowledgementRecorded:
        """Take note of a finding, with a comment, in the token's name and role. It bears on no verdict; what escalates
        afterwards is to be acknowledged again."""
        said = Acknowledged(finding, order.comment, order.name, order.seen)
        outcome = ports.acknowledge(principal, said)
        return AcknowledgementRecorded(index=outcome.index, status=outcome.status)

    return routes


def wanted(query: FindingQuery, principal: Principal) -> q.FindingFilter:
    return q.FindingFilter(
        current=query.status != "all",
        is_open={"open": True, "settled": False}.get(query.status),
        subject=query.subject,
        state=query.state,
        verdict=query.verdict,
        rule=query.rule,
        severity=query.severity,
        only=visible_to(principal),
    )


def visible_to(principal: Principal) -> q.Only | None:
    """Which findings it may see; None for all."""
    return None if principal.sees_all else visible_findings(principal.org)
