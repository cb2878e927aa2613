"""The cases of docs/temperature-cases.md: read, played and told in their own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "temperature-cases.md"
_CASE = re.compile(r"^## (\d+)\. (.+?)\n(?:.*?)```case\n(.*?)```", re.MULTILINE | re.DOTALL)
_SPREAD = re.compile(r"([\d.]+)(?:\.\.([\d.]+)/([\d.]+))? (\S+)")
STAGE: dict[str, Any] = {
    "clause": "case",
    "limit_mc": -18_000,
    "hysteresis_mc": 500,
    "consecutive_s": 900,
    "max_gap_s": 600,
}
_FIELDS = {
    "limit": ("limit_mc", 1_000),
    "low": ("low_mc", 1_000),
    "hysteresis": ("hysteresis_mc", 1_000),
    "tolerance": ("tolerance_mc", 1_000),
    "consecutive": ("consecutive_s", 60),
    "gap": ("max_gap_s", 60),
    "tolerated": ("tolerance_s", 60),
    "critical": ("critical_s", 60),
    "defrost": ("defrost_cap_s", 60),
    "door": ("door_cap_s", 60),
}
"""Word of `rules` -> field of a stage, and how many of its units are one of the word's."""


@dataclass(slots=True)
class Case:
    """Minutes throughout."""

    number: int
    title: str
    packs: list[tuple[float, dict[str, Any]]] = field(default_factory=lambda: [(0, dict(STAGE))])
    """(from, stage), oldest first."""
    samples: list[tuple[float, str, str]] = field(default_factory=list)
    """(minute, SenML name, JSON text of the value), in order of time."""
    now: float = 0
    recorded: float = 0
    """Receipt less measuring."""
    late: tuple[float, float] | None = None
    expected: dict[str, list[str]] = field(default_factory=dict)
    """By probe: its segments."""
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.number}. {self.title}"

    @property
    def arrivals(self) -> list[tuple[float, str, str]]:
        """The samples as they come in."""
        if self.late is None:
            return self.samples
        first, last = self.late
        held = [sample for sample in self.samples if first <= sample[0] <= last]
        return [sample for sample in self.samples if sample not in held] + held[::-1]


def read_cases() -> list[Case]:
    return [
        _case(int(number), title, body.splitlines())
        for number, title, body in _CASE.findall(DOCUMENT.read_text("utf-8"))
    ]


def _case(number: int, title: str, lines: Sequence[str]) -> Case:
    case = Case(number, title)
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "rules":
            _rules(case, rest)
        elif word in ("now", "recorded"):
            setattr(case, word, float(rest))
        elif word == "late":
            first, last = rest.split("..")
            case.late = float(first), float(last)
        elif word in ("defrost", "door"):
            case.samples += _flags("defrost" if word == "defrost" else "door/rear", rest)
        elif word == "=>":
            probe, _, told = rest.partition(" ")
            case.expected[probe] = told.split(", ")
        elif word == "finding":
            case.findings.append(rest)
        else:
            case.samples += values(f"temp/{word}", rest)
    case.samples.sort()
    case.now = case.now or case.samples[-1][0]
    return case


def _rules(case: Case, text: str) -> None:
    since, stage = 0.0, case.packs[0][1]
    if text.startswith("from "):
        stated, _, text = text.removeprefix("from ").partition(": ")
        since, stage = float(stated), dict(stage)
        case.packs.append((since, stage))
    for part in text.split(", "):
        word, value = part.split(" ")
        name, factor = _FIELDS[word]
        stage[name] = round(float(value) * factor)


def values(name: str, text: str) -> Iterator[tuple[float, str, str]]:
    """`0..30/5 -20, 35 -10` -> (minute, name, value), one by one."""
    for part in text.split(", "):
        spread = _SPREAD.fullmatch(part)
        assert spread, f"{part!r} is no series like 0..30/5 -20"
        first, last, step, value = spread.groups()
        minute = float(first)
        while minute <= float(last or first):
            yield minute, name, value
            minute += float(step or 1)


def _flags(name: str, text: str) -> Iterator[tuple[float, str, str]]:
    first, _, last = text.partition("-")
    for minute in range(int(first), int(last or first) + 1):
        yield float(minute), name, "false" if last and minute == int(last) else "true"


def told(
    from_m: float,
    to_m: float | None,
    state: str,
    reason: str = "",
    limit: str = "",
    extreme_mc: int | None = None,
    confirmed_m: float | None = None,
    critical_m: float | None = None,
) -> str:
    """A segment in the words of the document; the extreme of a breach only once it has ended."""
    words = [f"{from_m:g}-{'' if to_m is None else f'{to_m:g}'}", state.replace("_", " ")]
    if reason:
        words.append(f"({reason})")
    if extreme_mc is not None and to_m is not None:
        words.append(f"{'min' if limit == 'low' else 'max'} {extreme_mc / 1000:g}")
    words += [f"confirmed {confirmed_m:g}"] if confirmed_m is not None else []
    words += [f"critical {critical_m:g}"] if critical_m is not None else []
    return " ".join(words)
