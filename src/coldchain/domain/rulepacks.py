"""Rule packs: the limits, as versioned data with the clause they come from (telemetry §5)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from coldchain.domain import rulefields as read
from coldchain.domain.profiles import Profile, packs_of, profile_at, turning_points
from coldchain.domain.rulefields import RulePackError

SECOND_US = 1_000_000
STAGES = ("transport", "storage", "retail")
RETAIL = "retail"
FAULTS_IN_A_ROW = 3
"""So many fault values between two good ones make the sensor unreadable in between, however short the time."""


_PACK_FIELDS = frozenset(
    ("v", "kind", "name", "version", "from_us", "clause", "verified", "stages", "budgets", "mkt", "quality")
)
PACK_KIND = "temperature"
"""What a pack may say of itself; one without `kind` is a pack."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What one pack asks of goods in one stage; how it is judged is docs/temperature.md, clause by clause."""

    clause: str
    limit_mc: int
    """Readings above it are beyond the limit."""
    hysteresis_mc: int
    """A breach ends at the first reading at or below limit - hysteresis."""
    consecutive_s: int
    """A breach is confirmed when readings stay beyond the limit this long; it starts at the first of them."""
    max_gap_s: int
    """Between readings further apart nothing is known."""
    low_mc: int | None = None
    """Readings below it are beyond the limit too: chilled goods must not freeze."""
    tolerance_mc: int = 0
    """Readings up to this far beyond a limit are tolerated for `tolerance_s` before they are a breach."""
    tolerance_s: int = 0
    critical_s: int | None = None
    """A breach that lasts this long is critical."""
    defrost_cap_s: int = 0
    """The consecutive timers stand still for at most this long of each defrost window."""
    door_cap_s: int = 0
    """The same for each time a door of the place stands open."""
    precool_mc: int | None = None
    """The air of a body is at or below this when goods are loaded."""
    handover_mc: int | None = None
    """A product temperature measured when goods are received is at or below this."""

    @property
    def clear_mc(self) -> int:
        return self.limit_mc - self.hysteresis_mc

    @property
    def consecutive_us(self) -> int:
        return self.consecutive_s * SECOND_US

    @property
    def max_gap_us(self) -> int:
        return self.max_gap_s * SECOND_US


@dataclass(frozen=True, slots=True)
class Budget:
    """Time that a consignment may spend above a temperature in its whole life."""

    above_mc: int
    max_s: int
    clause: str
    single: bool = False
    """Whether the time is one stretch; else all stretches are summed."""


@dataclass(frozen=True, slots=True)
class Mkt:
    """Mean kinetic temperature: of chilled drugs only (telemetry §4)."""

    max_mc: int
    window_s: int
    clause: str


@dataclass(frozen=True, slots=True)
class Quality:
    """When readings of a sensor are doubted (telemetry §4)."""

    stuck_samples: int = 30
    """So many equal readings in a row are doubted if a sibling moved meanwhile."""
    stuck_move_mc: int = 1_000
    """What a sibling must move for that."""
    spike_mc_per_min: int = 5_000
    """A single reading that leaves and returns faster than this is a spike."""
    spike_mc: int = 5_000
    """And by at least this much on both sides."""
    drift_mc: int = 3_000
    """A probe whose mean over `drift_window_s` is this far from the median of its siblings' means has drifted."""
    drift_window_s: int = 86_400
    echo_samples: int = 50
    """So many readings equal to the refrigeration controller's own mean that the recorder is not independent."""


@dataclass(frozen=True, slots=True)
class RulePack:
    """One version of one pack. Equal packs judge equally."""

    name: str
    version: int
    from_us: int
    """Readings from this time on are judged by it, until a later version's time."""
    clause: str
    verified: bool
    """Whether the clause was read in the standard itself."""
    stages: Mapping[str, Stage]
    budgets: tuple[Budget, ...] = ()
    mkt: Mkt | None = None
    quality: Quality = Quality()

    def stage_for(self, stage: str) -> str:
        """Which of its stages judges there: selling is storing where the pack says nothing else of it; "" for none."""
        if stage in self.stages:
            return stage
        return "storage" if stage == RETAIL and "storage" in self.stages else ""


class Mounting(NamedTuple):
    """What a device's temperatures are judged by from a time on."""

    from_us: int
    stage: str
    profile: str
    """Name of a profile or rule pack, or empty: not judged."""
    region: str = ""
    """ISO 3166 alpha-2 country of the place; "" where none is known."""


def carrying(mountings: Sequence[Mounting], turns: Sequence[tuple[int, str]]) -> list[Mounting]:
    """The same places, judged by the profile that goods fall under from a time on; "": by that of the device."""
    found: list[Mounting] = []
    for place, one in enumerate(mountings):
        end_us = mountings[place + 1].from_us if place + 1 < len(mountings) else None
        before = [turn for turn in turns if turn[0] <= one.from_us] or list(turns[:1])
        after = [turn for turn in turns if turn[0] > one.from_us and (end_us is None or turn[0] < end_us)]
        for from_us, profile in (*before[-1:], *after):
            found.append(one._replace(from_us=max(from_us, one.from_us), profile=profile or one.profile))
    return found


@dataclass(frozen=True, slots=True)
class Regime:
    """One rule in force from a time on; `rule` None where nothing is judged."""

    from_us: int
    pack: str = ""
    version: int = 0
    stage: str = ""
    verified: bool = False
    rule: Stage | None = None
    quality: Quality = Quality()


UNJUDGED = Regime(0)


def parse_pack(stated: Mapping[str, Any]) -> RulePack:
    """A pack from TOML or from the JSON of a `rules` entry. Raises RulePackError; unknown fields are errors too, for a
    limit nobody applies is worse than none."""
    if stated.get("kind", PACK_KIND) != PACK_KIND:
        raise RulePackError(f"kind: expected {PACK_KIND!r} or none, found {stated['kind']!r}", "kind")
    read.only(stated, _PACK_FIELDS, "rule pack")
    name = read.text(stated, "name", "rule pack")
    stages = stated.get("stages")
    if not isinstance(stages, Mapping) or not stages or not stages.keys() <= set(STAGES):
        raise RulePackError(f"{name}: stages: expected some of {', '.join(STAGES)}, found {stages!r}", "stages")
    return RulePack(
        name=name,
        version=read.integer(stated, "version", name, least=1),
        from_us=read.integer({"from_us": 0, **stated}, "from_us", name, least=0),
        clause=read.text(stated, "clause", name),
        verified=read.truth(stated, "verified", name),
        stages={stage: _parse_stage(stages[stage], f"{name} {stage}") for stage in STAGES if stage in stages},
        budgets=tuple(_parse_budget(one, f"{name} budget") for one in read.a_list(stated, "budgets", name)),
        mkt=_parse_mkt(stated["mkt"], f"{name} mkt") if "mkt" in stated else None,
        quality=_parse_quality(stated.get("quality", {}), f"{name} quality"),
    )


def stage_of(place: str, uses: Set[str] = frozenset()) -> str:
    """A room stores, or sells where its site is registered for that; a vehicle, and whatever is not fixed to a place,
    carries."""
    if not place.startswith("room:"):
        return "transport"
    return RETAIL if RETAIL in uses else "storage"


def pack_for(
    profile: str,
    region: str,
    t_us: int,
    packs: Iterable[RulePack],
    profiles: Iterable[Profile],
    stage: str = "",
) -> RulePack | None:
    """The pack that judges goods of a profile at a time and in a country ("" where none is known): of those the profile
    chooses, and that know the stage where one is given, the most specific, in its highest version in force.

    A pack's own name is a profile of that pack alone. None: nothing judges.
    """
    known = list(packs)
    chosen = None if any(pack.name == profile for pack in known) else profile_at(profile, t_us, profiles)
    for name in [profile] if chosen is None else packs_of(chosen, region, t_us):
        named = (pack for pack in known if pack.name == name and pack.from_us <= t_us)
        pack = max(named, key=lambda pack: pack.version, default=None)
        if pack is not None and (stage == "" or pack.stage_for(stage)):
            return pack
    return None


def regimes(
    packs: Iterable[RulePack], mountings: Sequence[Mounting], profiles: Iterable[Profile] = ()
) -> tuple[Regime, ...]:
    """What judges a device when, ascending in `from_us`, the first from 0 on.

    The first mounting also holds before it was recorded. At each time the highest version in force counts, so that
    history is judged by the pack of its day.
    """
    if not mountings:
        return (UNJUDGED,)
    ordered = [mountings[0]._replace(from_us=0), *mountings[1:]]
    known, choosing = list(packs), list(profiles)
    times = {mounting.from_us for mounting in ordered} | {pack.from_us for pack in known} | turning_points(choosing)
    result: list[Regime] = []
    for t_us in sorted(times | {0}):
        mounting = next(mounting for mounting in reversed(ordered) if mounting.from_us <= t_us)
        regime = _regime(known, choosing, mounting, t_us)
        if not result or _without_time(regime) != _without_time(result[-1]):
            result.append(regime)
    return tuple(result)


def regime_at(schedule: Sequence[Regime], t_us: int) -> int:
    """Position of the regime in force at a time."""
    if len(schedule) == 1:
        return 0
    return max(0, bisect_right(schedule, t_us, key=lambda regime: regime.from_us) - 1)


def first_difference(old: Sequence[Regime], new: Sequence[Regime]) -> int | None:
    """The time from which two schedules judge differently; None where they never do."""
    times = sorted({regime.from_us for regime in (*old, *new)})
    for t_us in times:
        if _without_time(old[regime_at(old, t_us)]) != _without_time(new[regime_at(new, t_us)]):
            return t_us
    return None


def _regime(packs: Sequence[RulePack], profiles: Sequence[Profile], mounting: Mounting, t_us: int) -> Regime:
    pack = pack_for(mounting.profile, mounting.region, t_us, packs, profiles, mounting.stage)
    if pack is None:
        return Regime(t_us)
    stage = pack.stage_for(mounting.stage)
    return Regime(t_us, pack.name, pack.version, stage, pack.verified, pack.stages[stage], pack.quality)


def _without_time(regime: Regime) -> tuple[Any, ...]:
    return regime.pack, regime.version, regime.stage, regime.verified, regime.rule, regime.quality


def _parse_stage(stated: Any, where: str) -> Stage:
    stated = read.an_object(stated, where)
    read.only(stated, set(Stage.__dataclass_fields__), where)
    stage = Stage(
        clause=read.text(stated, "clause", where),
        limit_mc=read.integer(stated, "limit_mc", where),
        hysteresis_mc=read.integer(stated, "hysteresis_mc", where, least=0),
        consecutive_s=read.integer(stated, "consecutive_s", where, least=1),
        max_gap_s=read.integer(stated, "max_gap_s", where, least=1),
        low_mc=read.optional(stated, "low_mc", where),
        critical_s=read.optional(stated, "critical_s", where, least=1),
        precool_mc=read.optional(stated, "precool_mc", where),
        handover_mc=read.optional(stated, "handover_mc", where),
        **{
            field: read.integer({field: 0, **stated}, field, where, least=0)
            for field in ("tolerance_mc", "tolerance_s", "defrost_cap_s", "door_cap_s")
        },
    )
    if stage.low_mc is not None and stage.low_mc + 2 * stage.hysteresis_mc >= stage.limit_mc:
        raise RulePackError(
            f"{where}: low_mc: expected less than limit_mc - 2 hysteresis_mc = "
            f"{stage.limit_mc - 2 * stage.hysteresis_mc}, found {stage.low_mc}",
            "low_mc",
        )
    if stage.critical_s is not None and stage.critical_s < stage.consecutive_s:
        expected = f"expected {stage.consecutive_s} or more, found {stage.critical_s}"
        raise RulePackError(f"{where}: critical_s: {expected}", "critical_s")
    return stage


def _parse_budget(stated: Any, where: str) -> Budget:
    stated = read.an_object(stated, where)
    read.only(stated, set(Budget.__dataclass_fields__), where)
    return Budget(
        above_mc=read.integer(stated, "above_mc", where),
        max_s=read.integer(stated, "max_s", where, least=0),
        clause=read.text(stated, "clause", where),
        single=read.truth({"single": False, **stated}, "single", where),
    )


def _parse_mkt(stated: Any, where: str) -> Mkt:
    stated = read.an_object(stated, where)
    read.only(stated, set(Mkt.__dataclass_fields__), where)
    return Mkt(
        max_mc=read.integer(stated, "max_mc", where),
        window_s=read.integer(stated, "window_s", where, least=3_600),
        clause=read.text(stated, "clause", where),
    )


def _parse_quality(stated: Any, where: str) -> Quality:
    stated = read.an_object(stated, where)
    read.only(stated, set(Quality.__dataclass_fields__), where)
    return Quality(**{field: read.integer(stated, field, where, least=2) for field in stated})
