"""`/v1/rules`: what everything is judged by, for whoever may read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from coldchain.api.access import anybody
from coldchain.api.queries import Name, Question
from coldchain.api.schema_base import Answer, Time
from coldchain.api.schemas import Page
from coldchain.db.queries_api import NotKnown
from coldchain.db.queries_summary import rule_packs
from coldchain.services.app_ports import AppPorts
from coldchain.services.moments import rfc3339

HEAD = ("name", "version", "kind", "from_us", "clause", "verified")


class Rules(Answer):
    """One version of a pack, a profile or the continuity rules, as the ledger has it."""

    name: str
    version: int
    kind: Annotated[str, Field(description="temperature, profile or continuity")]
    from_: Annotated[Time, Field(alias="from", description="judges what happened from then on, until a later version")]
    clause: str
    verified: Annotated[bool, Field(description="whether the clause was read in the standard itself")]


class RulesDetail(Rules):
    """The same with everything it states."""

    values: Annotated[dict[str, Any], Field(description="fields as in the file of the rules (docs/rules.md)")]


class NoQuestion(Question):
    """Nothing may be asked."""


def router(ports: AppPorts) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["rules"], dependencies=[Depends(anybody(ports.access, "read"))])

    @routes.get("/rules")
    def list_rules(query: Annotated[NoQuestion, Query()]) -> Page[Rules]:
        """Every version of every pack and profile and of the continuity rules, without their values, on one page."""
        return Page(items=[Rules(**_head(one)) for one in _recorded(ports)], next=None)

    @routes.get("/rules/{name}")
    def get_rules(name: Annotated[Name, Path()], query: Annotated[NoQuestion, Query()]) -> Page[RulesDetail]:
        """Every version of one of them, oldest first, with its values."""
        found = [one for one in _recorded(ports) if one["name"] == name]
        if not found:
            raise NotKnown(f"no rules {name!r}")
        return Page(items=[RulesDetail(**_head(one), values=_values(one)) for one in found], next=None)

    return routes


def _recorded(ports: AppPorts) -> list[dict[str, Any]]:
    with ports.engine.connect() as connection:
        return rule_packs(connection)


def _head(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: stated[name] for name in HEAD if name != "from_us"}, "from_": rfc3339(stated.get("from_us", 0))}


def _values(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stated.items() if name not in (*HEAD, "v")}
