"""`/v1/parties`, claims and decisions: who is who, and what parties state and rule in their own name."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from coldchain.api.access import anybody
from coldchain.api.queries import Name, Paging
from coldchain.api.schemas import Page
from coldchain.db import queries_parties as q
from coldchain.services.app_ports import AppPorts
from coldchain.services.links import MAX_HOURS
from coldchain.services.moments import rfc3339
from coldchain.services.principals import Principal

Kind = Literal["orgs", "sites", "vehicles", "rooms", "mounts", "fittings", "agents"]


class Party(BaseModel):
    """One version of one registration."""

    id: str
    n: int
    valid_from: str
    stated: dict[str, Any]
    """The order as recorded in the ledger."""
    entry: int


class PartyDetail(Party):
    versions: list[Party]
    """Every one, oldest first."""


class Recorded(BaseModel):
    index: int
    status: str
    """`added`, or `duplicate` where the ledger had it."""


class LinkOrder(BaseModel):
    """A question to somebody who has no token."""

    model_config = ConfigDict(extra="forbid")

    about: Annotated[Name, Field(description="a handover (`handover` of a unit's handovers) or a finding")]
    hours: Annotated[float | None, Field(gt=0, le=MAX_HOURS, description="default: as long as parties have")] = None
    org: Annotated[Name | None, Field(description="in whose name the operator asks; of others the token says it")] = (
        None
    )


class SealOrder(BaseModel):
    """A name or a plate that an event is to hold as a digest."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["person", "plate"]
    value: Name


class Sealed(BaseModel):
    digest: str
    """SHA-256 of a random salt and the value, hex; the value is kept apart and may be erased."""


class OneTimeLink(BaseModel):
    path: str
    expires_at: str


Paper = Annotated[dict[str, Any], Body(description="As `coldchain import` takes it; `by` and `role` are the token's.")]


def router(ports: AppPorts) -> APIRouter:
    """Every route about parties, and those by which they file papers."""
    routes = APIRouter(prefix="/v1")
    _add_parties(routes, ports)
    _add_papers(routes, ports)
    return routes


def _add_parties(routes: APIRouter, ports: AppPorts) -> None:
    guards = [Depends(anybody(ports.access, "read"))]

    @routes.get("/parties/{kind}", tags=["parties"], dependencies=guards)
    def list_parties(kind: Kind, query: Annotated[Paging, Query()]) -> Page[Party]:
        """The newest version of everything registered of one kind, by id."""
        with ports.engine.connect() as connection:
            rows, following = q.parties(connection, kind.removesuffix("s"), query.cursor, query.limit)
        return Page(items=[Party(**_party(row)) for row in rows], next=following)

    @routes.get("/parties/{kind}/{party:path}", tags=["parties"], dependencies=guards)
    def get_party(kind: Kind, party: Annotated[Name, Path()]) -> PartyDetail:
        """One registration with all its versions."""
        with ports.engine.connect() as connection:
            rows = q.party_versions(connection, kind.removesuffix("s"), party)
        return PartyDetail(**_party(rows[-1]), versions=[Party(**_party(row)) for row in rows])


def _party(row: q.PartyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "n": row.n,
        "valid_from": rfc3339(row.from_us),
        "stated": row.stated,
        "entry": row.entry,
    }


def _add_papers(routes: APIRouter, ports: AppPorts) -> None:
    claimant = anybody(ports.access, "claim")
    captor = anybody(ports.access, "capture")

    @routes.post("/claims", tags=["papers"], status_code=201)
    def file_claim(paper: Paper, principal: Principal = Depends(claimant)) -> Recorded:
        """Claim that what happened to goods was a lawful exception (E1–E11)."""
        return _filed(ports, principal, {**paper, "doc": "exception-claim"}, "order")

    @routes.post("/decisions", tags=["papers"], status_code=201)
    def file_decision(paper: Paper, principal: Principal = Depends(claimant)) -> Recorded:
        """Rule on a claim, or on an event of an unentitled party. An authority's ruling needs a token in that role."""
        return _filed(ports, principal, paper, "doc")

    @routes.post("/sealed", tags=["papers"], status_code=201, dependencies=[Depends(captor)])
    def seal_value(order: SealOrder) -> Sealed:
        """Keep a driver's name or a plate out of the ledger: events hold the digest, e.g. as `coldchain:driver`."""
        return Sealed(digest=ports.seal(order.kind, order.value))

    @routes.post("/answer-links", tags=["papers"], status_code=201)
    def make_answer_link(order: LinkOrder, principal: Principal = Depends(claimant)) -> OneTimeLink:
        """A link by which a driver or a non-member answers once what arrived, or what he knows of a finding."""
        if principal.is_operator and order.org is not None:
            principal = replace(principal, org=order.org)
        path, link = ports.links.issue(principal, order.about, order.hours)
        return OneTimeLink(path=path, expires_at=rfc3339(link.expires_us))


def _filed(ports: AppPorts, principal: Principal, paper: dict[str, Any], not_this: str) -> Recorded:
    outcome = ports.file_paper(principal, {name: value for name, value in paper.items() if name != not_this})
    return Recorded(index=outcome.index, status=outcome.status)
