"""What the interface answers. Every field is always present; none has a default. Times are UTC, RFC 3339."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from coldchain.api.schema_base import Answer as Answer
from coldchain.api.schema_base import Time
from coldchain.api.schemas_exposure import Exposure

Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """One page of a list. `next` is the cursor of the page after it, null on the last."""

    items: list[Item]
    next: str | None


class Health(Answer):
    """The server is ready to take and to answer."""

    ledger_size: int
    folded: int
    lag: int


class Probe(Answer):
    """A temperature probe and its newest reading."""

    probe: str
    state: Annotated[str, Field(description="in_range, breach or unknown")]
    since: Time
    last_at: Time | None
    last_mc: Annotated[int | None, Field(description="milli-°C")]


class Device(Answer):
    """A device as its newest enrolment states it, and the newest message heard of it."""

    device: str
    org: str
    site: str
    place: Annotated[str, Field(description="veh:… or room:…, empty for none")]
    profile: Annotated[str, Field(description="rule pack, empty for none")]
    role: str
    grade: str
    boot: int | None
    seq: int | None
    last_sampled_at: Annotated[Time | None, Field(description="newest believable time of the device's own clock")]
    last_received_at: Annotated[Time | None, Field(description="when the server received its newest message")]
    probes: list[Probe]


class Key(Answer):
    """A key of a device; indices are those of the ledger entries."""

    kid: str
    alg: str
    enrolled_index: int
    revoked_index: int | None


class Mounting(Answer):
    """Where the device was from a time on."""

    at: Time
    place: str
    profile: str


class Fitting(Answer):
    """What was stated of the device's sensors from a time on; the first also holds before."""

    at: Time
    probes: Annotated[dict[str, str], Field(description="probe to product or air; air where it is not named")]
    controller: Annotated[bool, Field(description="it is the refrigeration's own controller")]
    certificate: Annotated[str, Field(description="empty for none")]
    certified_to: Annotated[str | None, Field(description="last day (UTC) of the certificate")]


class DeviceDetail(Device):
    keys: list[Key]
    mountings: list[Mounting]
    fittings: list[Fitting]
    open_findings: int


class Reading(Answer):
    """One sample. `quality` is empty for good, else why it is no evidence; `index` is its message's ledger entry."""

    probe: str
    at: Time
    mc: Annotated[int | None, Field(description="milli-°C, null where quality says why")]
    quality: str
    boot: int
    seq: int
    index: int


class Stretch(Answer):
    """An hour or day in which a channel was read, summed up over the readings that are evidence. Values are thousandths
    of the channel's unit: milli-°C of temperatures."""

    channel: str
    probe: Annotated[str | None, Field(description="null where the channel is no temperature")]
    from_: Annotated[Time, Field(alias="from")]
    to: Annotated[Time, Field(description="exclusive")]
    readings: int
    min: int
    max: int
    mean: float
    deviation: Annotated[float | None, Field(description="standard deviation; null where it is beyond 64 bits")]
    gap_share: Annotated[float, Field(description="of the time that has passed: without data, from 0 to 1")]
    first_at: Time
    first: int
    last_at: Time
    last: int


class Finding(Answer):
    """One published entry of a finding."""

    id: str
    n: Annotated[int, Field(description="counts the entries of this finding from 1")]
    rule: str
    subject: str
    channel: str
    from_: Annotated[Time, Field(alias="from")]
    to: Time | None
    verdict: str
    state: str
    severity: Annotated[str, Field(description="warning, alarm or critical")]
    event: Annotated[
        str,
        Field(description="raised, escalated, de-escalated, closed, superseded or withdrawn"),
    ]
    current: bool
    published_at: Time
    index: Annotated[int, Field(description="ledger index of this entry")]
    basis: Annotated[int, Field(description="tree size it was concluded from")]
    detail: Annotated[dict[str, Any], Field(description="thresholds and reasons, as published")]


class Acknowledgement(Answer):
    """Somebody took note of a finding."""

    n: Annotated[int, Field(description="counts the acknowledgements of this finding from 1")]
    by: str
    role: str
    name: Annotated[str | None, Field(description="of the person; null where none was given, or it was erased")]
    comment: str
    seen: Annotated[int, Field(description="ledger index of the finding's entry they had before them")]
    at: Time
    index: Annotated[int, Field(description="ledger index of the acknowledgement")]


class Affected(Answer):
    """What was in the vehicle or room, meanwhile, as known when the entry was published."""

    places: list[str]
    units: Annotated[list[str], Field(description="outer before inner; the first 256")]
    units_total: int
    units_all_counted: Annotated[bool, Field(description="false where there were more units than anybody counted")]
    quantities: Annotated[
        list[tuple[str, str, int | None]],
        Field(description="goods, measure (empty: cases), thousandths at most (null: unknown)"),
    ]
    quantities_total: int


class FindingDetail(Finding):
    """The newest entry of a finding, what it rests on, everything published of it before, and who took note of it."""

    entries: Annotated[list[int], Field(description="ledger indices of the evidence")]
    affected: Annotated[Affected | None, Field(description="null where the finding is about no place")]
    acknowledged: Annotated[
        str, Field(description="acknowledged, acknowledged before it escalated, or empty for not at all")
    ]
    acknowledgements: list[Acknowledgement]
    life: list[Finding]


class Event(Answer):
    """One recorded event that names the unit."""

    event: str
    kind: str
    action: str
    step: str
    disposition: str
    time: Time
    by: str
    parent: str
    units: Annotated[int, Field(description="how many units it names beside its parent")]
    read_point: str
    location: str
    error: Annotated[str, Field(description="reason of an error declaration, empty for none")]
    unentitled: Annotated[bool, Field(description="stated by a party without the right to; moves nothing")]
    grade: str
    entry: int


class Span(Answer):
    from_: Annotated[Time, Field(alias="from")]
    to: Time | None


class Stay(Span):
    """Where the unit was; `through` is what it was in there, null where it was there itself."""

    parent: str
    through: str | None
    entries: list[int]


class Content(Span):
    unit: str
    entries: list[int]


class LedgerState(Answer):
    """What the answer is valid for: so many entries, the newest time recorded among them."""

    size: int
    time: Time


class Identity(Answer):
    """What the name and the commissioning of the unit say. The producer is as stated: nobody checked it."""

    kind: str
    spellings: list[str]
    linked_from: Annotated[list[str], Field(description="old codes this new one was linked to when it was made")]
    linked_to: Annotated[list[str], Field(description="new codes linked to this one")]
    lot: str | None
    product: str | None
    producer: str | None


class Holding(Answer):
    parent: str
    since: Time


class Sighting(Answer):
    """The newest event that says where it was."""

    time: Time
    place: str
    by: str
    entry: int


class Position(Answer):
    """What it was in, inner before outer; `place` is the outermost of that."""

    place: str | None
    chain: list[Holding]
    seen: Sighting | None


class Goods(Answer):
    """Between `least` and `most` of the goods, `named` of them by serial number; most null: nobody can tell."""

    item: str
    measure: Annotated[str, Field(description="UN/ECE code such as KGM, empty for cases")]
    named: float
    least: float
    most: float | None


class Holder(Goods):
    """Goods of a lot in `parent` (null: in nothing), which was in `place`."""

    parent: str | None
    place: str | None


class SealFact(Answer):
    time: Time
    act: Annotated[str, Field(description="applied, checked or removed")]
    state: Annotated[str, Field(description="intact, broken, absent, duplicate, or empty for unstated")]
    by: str
    entry: int
    grade: str


class Seal(Span):
    """One wearing of a seal: applied, checked, removed. A seal applied anew begins another."""

    unit: str
    seal: str
    issuer: str
    class_: Annotated[str, Field(alias="class", description="H, S, I, or empty for unstated")]
    facts: list[SealFact]


class Board(Span):
    """A load on a pallet board. `began` and `ended` say how that is known: on, off, seen."""

    load: str
    board: str
    seen: Time
    began: str
    ended: str
    entries: list[int]


class Contradiction(Span):
    """Statements that cannot all be right. The amounts are null where units and not goods are counted."""

    rule: str
    item: str
    measure: str
    parent: str
    other: str
    stated: float | None
    least: float | None
    most: float | None
    entries: list[int]


class Handover(Answer):
    """What the giver and the taker said; a half nobody stated is null."""

    handover: str
    state: str
    giver: str
    taker: str
    shipped_at: Time | None
    received_at: Time | None
    detail: dict[str, Any]


class UnitSegment(Span):
    """One of the five continuity verdicts. `because` names the verdicts within: rule, subject, channel, start in µs."""

    unit: str
    verdict: str
    reason: str
    because: list[tuple[str, str, str, int]]


class Verdict(Span):
    """What is concluded now; `due` while a deadline runs."""

    source: str
    rule: str
    subject: str
    channel: str
    verdict: str
    state: str
    weakest_grade: str
    due: Time | None
    detail: dict[str, Any]
    entries: list[int]


class UnitFinding(Span):
    finding: str
    n: int
    rule: str
    subject: str
    channel: str
    verdict: str
    state: str
    current: bool
    open: bool
    at: Time
    entry: int


class AirTemperature(Span):
    """How a probe where the unit was judged the air: in_range, breach or unknown."""

    place: str
    device: str
    channel: str
    state: str
    reason: Annotated[str, Field(description="of unknown time: gap, fault or stuck; else empty")]
    limit: Annotated[str, Field(description="that a breach is beyond: high or low; else empty")]
    max_mc: Annotated[int | None, Field(description="of a breach of the high limit that ended")]
    min_mc: Annotated[int | None, Field(description="of a breach of the low limit that ended")]
    confirmed: Time | None
    critical: Annotated[Time | None, Field(description="since when a breach is critical")]
    calibration: Annotated[str, Field(description="not_shown, expired or valid when it began: a mark beside it")]
    certificate: Annotated[str, Field(description="empty for none")]
    certified_to: Annotated[str | None, Field(description="last day (UTC) of the certificate")]


class Range(Answer):
    """Null: nobody can tell."""

    least: float | None
    most: float | None


class Balance(Answer):
    """What entered, left and is held, in one measure; what nobody accounts for is missing."""

    item: str
    measure: str
    entered: float
    left: Annotated[dict[str, float], Field(description="by business step")]
    held: Range
    missing: Range


class Unit(Answer):
    """Everything known about one unit, at the moment asked for or over all time."""

    id: str
    kind: str
    ledger: LedgerState
    at: Time | None
    verdict: Annotated[str | None, Field(description="the worst of its segments, null where there is none")]
    weakest_grade: Annotated[str | None, Field(description="of all the evidence told here")]
    identity: Identity
    position: Position
    history_total: int
    history: Annotated[list[Event], Field(description="the newest 500")]
    inside: list[Stay]
    contents_total: int
    contents: Annotated[list[Content], Field(description="directly in it; the newest 1,000")]
    goods: Annotated[list[Goods], Field(description="in it at any depth; of lots see holders")]
    holders_total: int
    holders: Annotated[list[Holder], Field(description="of a lot: where its goods are; the fullest 200")]
    balance: Annotated[list[Balance], Field(description="of a lot: whether its counted goods add up")]
    handovers: list[Handover]
    seals: list[Seal]
    boards: list[Board]
    contradictions: list[Contradiction]
    segments: list[UnitSegment]
    verdicts: list[Verdict]
    findings: list[UnitFinding]
    temperature: list[AirTemperature]
    exposure: Annotated[list[Exposure], Field(description="one for each pack; of lots, for each way the goods went")]
    limits: Annotated[list[str], Field(description="what this answer cannot say")]


class Hop(Span):
    """How `unit` is reached from `via`; `whole` where all of it is meant."""

    unit: str
    via: str
    whole: bool
    why: str
    entries: list[int]


class Contact(Span):
    """What met the unit, graded G1 (same case or pallet) to G4 (same room only)."""

    grade: str
    unit: str
    where: str
    why: str
    entries: list[int]


class Trace(Answer):
    """Where a unit came from, where it went, and what it met."""

    id: str
    at: Time | None
    backward: list[Hop]
    forward: list[Hop]
    contacts: list[Contact]
    hidden: Annotated[int, Field(description="hops and contacts of others' goods and places, left out")]


class Reject(Answer):
    """A message refused at the door. `device` is whose topic it came on; that is not proven."""

    id: int
    at: Time
    topic: str
    device: str
    reason: str
    detail: str
    bytes: int
    sha256: str


class SignInLink(Answer):
    """A link that signs one person in once."""

    path: str
    expires_in_s: int
