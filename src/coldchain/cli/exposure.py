"""The lines of `coldchain inspect` that tell what goods were exposed to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def exposure_lines(one: dict[str, Any]) -> Iterator[str]:
    """A pack with its verdict, its budgets, and the places."""
    goods = _goods(one["goods"]) if one["goods"] else ""
    verdict = f": {one['verdict']}" if one["verdict"] else ""
    yield f"{one['from']} – {one['to']}  {one['pack']} {one['version']}{verdict}, {_measured(one)}{goods}"
    profile = one["profile"]
    yield f"    profile {profile['name']} by {profile['by']}" + (f": {profile['why']}" if profile["why"] else "")
    for budget in one["budgets"]:
        which = "at once" if budget["single"] else "in all"
        since = f" since {budget['exceeded']}" if budget["exceeded"] else ""
        yield (
            f"    {budget['verdict']}{since}: {_time(budget['spent_s'])} of {_time(budget['max_s'])} above"
            f" {_degrees(budget['above_mc'])} {which}, {_time(budget['remaining_s'])} left,"
            f" {_time(budget['unknown_s'])} unknown"
        )
    if mkt := one["mkt"]:
        of = f"of {_degrees(mkt['max_mc'])} in {mkt['window_s'] // 3600} h"
        since = f" since {mkt['exceeded']}" if mkt["exceeded"] else ""
        yield f"    {mkt['verdict']}{since}: MKT {_degrees(mkt['mkt_mc'])} {of} from {mkt['from']}"
    for stay in one["stays"]:
        yield f"    {stay['from']} – {stay['to']}  {stay['place']}  {_measured(stay)}"


def _goods(goods: dict[str, Any]) -> str:
    if goods["holder"] is None:
        return f", {goods['cases']} cases"
    amounts = (
        f"{one['most'] if one['most'] is not None else '?'} {one['measure'] or 'cases'}" for one in goods["amounts"]
    )
    return f", {', '.join(amounts) or 'some'} in {goods['holder']}"


def _measured(told: dict[str, Any]) -> str:
    if told["max_mc"] is None:
        return "nothing known"
    warm = [one for one in told["above"] if one["time_s"]]
    times = "".join(f", {_time(one['time_s'])} above {_degrees(one['above_mc'])}" for one in warm)
    spread = f"{_degrees(told['min_mc'])} to {_degrees(told['max_mc'])}, mean {_degrees(told['mean_mc'])}"
    return f"{spread} ({' and '.join(told['decided_on'])}){times}, {_time(told['unknown_s'])} unknown"


def _degrees(milli: int) -> str:
    return f"{milli / 1000:.1f} °C"


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
