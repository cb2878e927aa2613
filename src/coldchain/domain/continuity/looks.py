"""A thing that should not change, looked at again and again: when it changed, and how well that is known.

One look proves nothing: a tag strays, a label is misread. A change is confirmed by a second look at another point with
nothing to the contrary between, and a look that shows the old value again dispels it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Look(NamedTuple):
    """One observation of the value."""

    time_us: int
    value: Any
    """None: from here on it is not known; what was doubted stays so."""
    point: str
    """Looks at one point are one look repeated."""
    key: str
    by: str
    declared: bool = False
    """The event declares what the value is now, and so answers what was doubted."""


@dataclass(slots=True)
class Change:
    """The value was `before` at from_us and `after` at to_us, and nothing declares it."""

    before: Any
    after: Any
    from_us: int
    to_us: int
    holder: str
    """Who looked last before it."""
    why: list[str]
    points: set[str] = field(default_factory=set)
    confirmed: bool = False


def same_value(one: Any, other: Any) -> bool:
    return bool(one == other)


def changes_of(looks: Iterable[Look], same: Callable[[Any, Any], bool] = same_value) -> list[Change]:
    """Changes in the order they happened; after a confirmed one the new value is what is expected. looks: in order of
    time. same: whether two values agree; ones that cannot be compared do."""
    found: list[Change] = []
    last: Look | None = None
    doubt: Change | None = None
    for look in looks:
        if look.value is None:
            found += [] if doubt is None else [doubt]
            last = doubt = None
        elif last is None or look.declared or same(last.value, look.value):
            last, doubt = look, None
        else:
            if doubt is None or not same(doubt.after, look.value):
                doubt = Change(last.value, look.value, last.time_us, look.time_us, last.by, [last.key])
            doubt.points.add(look.point)
            doubt.why.append(look.key)
            if len(doubt.points) > 1:
                doubt.confirmed = True
                found.append(doubt)
                last, doubt = look, None
    return found if doubt is None else [*found, doubt]
