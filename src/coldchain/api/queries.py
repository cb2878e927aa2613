"""What may be asked: one model a list, in which an unknown parameter is an error."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Name = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""An identifier in any spelling; no database stores control characters in one."""

Spelling = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1c\x1e\x1f\x7f]*$")]
"""What was typed or scanned: a scan may hold FNC1 (0x1d) behind a value of variable length."""


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _rfc3339(text: str) -> str:
    """Only what the document promises: pydantic by itself also takes a bare number for seconds."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("expected a time with its offset, e.g. 2026-03-02T08:00:00Z")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Paging(Question):
    limit: Annotated[int, Field(ge=1, le=200, description="items on a page at most")] = 50
    cursor: Annotated[str | None, Field(max_length=500, description="`next` of the page before")] = None


Severity = Annotated[Literal["warning", "alarm", "critical"] | None, Field(description="as serious as that at least")]
RulePrefix = Annotated[Name | None, Field(description="how the rule's name starts, e.g. P2 or CN-frozen")]


class FindingQuery(Paging):
    status: Annotated[
        Literal["open", "settled", "current", "all"],
        Field(description="open and settled: by the newest entry; current: newest entries; all: every entry"),
    ] = "current"
    subject: Name | None = None
    state: Name | None = None
    verdict: Name | None = None
    severity: Severity = None
    rule: RulePrefix = None


class FindingStreamQuery(Question):
    subject: Name | None = None
    severity: Severity = None
    rule: RulePrefix = None


class RejectQuery(Paging):
    device: Name | None = None


class SeriesQuery(Question):
    probe: Annotated[Name | None, Field(description="one probe; all where it is left out")] = None
    from_: Annotated[Moment | None, Field(alias="from", description="default: a day before `to`")] = None
    to: Annotated[Moment | None, Field(description="exclusive; default: just after the newest reading")] = None
    resolution: Annotated[
        Literal["auto", "raw", "hour", "day"],
        Field(description="readings, or hours or days summed up; auto: readings of two days, hours of 62, else days"),
    ] = "raw"
    channel: Annotated[
        Name | None, Field(description="of hours and days: any channel by name, e.g. rh/box; temperatures by default")
    ] = None
    limit: Annotated[int, Field(ge=1, le=10_000, description="items on a page at most")] = 1_000
    cursor: Annotated[str | None, Field(max_length=500, description="`next` of the page before")] = None


class UnitQuery(Question):
    at: Annotated[Moment | None, Field(description="the moment to tell about; default: now")] = None
    as_of: Annotated[
        int | None,
        Field(ge=1, le=2**53, description="as believed when the ledger had so many entries; folding many is refused"),
    ] = None


class About(Question):
    id: Annotated[Spelling, Field(description="subject name, EPC URN, GS1 Digital Link, element string, or finding id")]


class SignInOrder(Question):
    """A link to the pages."""

    name: Annotated[
        str, Field(max_length=100, description="of the person it is for: recorded, sealed, with what they acknowledge")
    ] = ""


def microseconds(moment: datetime) -> int:
    """Since the epoch, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
