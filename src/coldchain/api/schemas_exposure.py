"""What goods were exposed to, as the interface answers it. Temperatures are milli-°C, lengths of time seconds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from coldchain.api.schema_base import Answer, Time

Kept = Annotated[
    str, Field(description="kept, exceeded, or unknown: not exceeded, but with the unknown time it might be")
]


class TimeAbove(Answer):
    """Known time above a threshold of the pack: in all, and the longest stretch without a break."""

    above_mc: int
    time_s: float
    longest_s: float


class Measured(Answer):
    """What is known of some time; the figures are null where nothing is."""

    decided_on: Annotated[list[str], Field(description="air, product: whose readings decided")]
    known_s: float
    unknown_s: float
    min_mc: int | None
    max_mc: int | None
    mean_mc: Annotated[int | None, Field(description="weighted by time")]
    above: list[TimeAbove]


class ExposureStay(Measured):
    """The same of a stay in one place."""

    place: str
    from_: Annotated[Time, Field(alias="from")]
    to: Time


class BudgetSpent(Answer):
    """A budget of the pack, over every place the goods were in."""

    above_mc: int
    max_s: int
    single: Annotated[bool, Field(description="of one stretch, not of all together")]
    clause: str
    spent_s: float
    remaining_s: float
    unknown_s: float
    verdict: Kept
    exceeded: Annotated[Time | None, Field(description="since when")]


class MeanKinetic(Answer):
    """The warmest window, of those that exceed the limit where any does; of chilled drugs."""

    mkt_mc: int
    max_mc: int
    window_s: int
    clause: str
    from_: Annotated[Time, Field(alias="from")]
    known_s: Annotated[float, Field(description="of the window")]
    verdict: Kept
    exceeded: Annotated[Time | None, Field(description="since when any window is")]


class GoodsAmount(Answer):
    measure: str
    least: float
    most: float | None


class GoodsOnTheWay(Answer):
    """Of a lot: which of its goods went this way. `cases` by number; or what `holder` held, counted."""

    cases: int | None
    holder: str | None
    amounts: list[GoodsAmount]


class ExposureProfile(Answer):
    """By what the pack was chosen."""

    name: Annotated[str, Field(description="a profile, or a pack of that name")]
    by: Annotated[str, Field(description="hs and a customs code, product name, or device: the profile of those there")]
    why: Annotated[str | None, Field(description="why it is the devices', null where it is that of the goods")]


class Exposure(Measured):
    """What goods were exposed to where devices are judged by a pack."""

    pack: str
    version: int
    clause: str
    verified: bool
    profile: ExposureProfile
    goods: GoodsOnTheWay | None
    from_: Annotated[Time, Field(alias="from")]
    to: Time
    verdict: Annotated[str | None, Field(description="the worst of the budgets, null where the pack has none")]
    budgets: list[BudgetSpent]
    mkt: MeanKinetic | None
    stays: list[ExposureStay]
