"""A numbered procedure whose every step says verified, failed at …, or not checked (ledger §7.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from coldchain_ledger.errors import EvidenceError

Status = Literal["verified", "failed", "not checked"]

EXIT_VERIFIED, EXIT_BROKEN, EXIT_USAGE, EXIT_UNCHECKED = range(4)
"""Exit codes (ledger §7.4)."""

ESSENTIAL = 3
"""Steps 1 to 3 (parse, checkpoint, inclusion) make the evidence; later ones look closer at what it says."""


class NotChecked(Exception):
    """What a step could not check, and why. Says nothing against the evidence."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step found; `where` names the section or entry a failed step stopped at."""

    number: int
    name: str
    status: Status
    detail: str
    where: str | None = None


@dataclass(slots=True)
class Report:
    """The steps so far, in order."""

    steps: list[Step] = field(default_factory=list)

    def run(self, name: str, check: Callable[[], str], needs: int = 0) -> None:
        """Run the next step unless the step it `needs` is not verified (0: none).

        `check` returns what it verified, raises EvidenceError where that fails, or NotChecked.
        """
        number = len(self.steps) + 1
        try:
            if needs and self.steps[needs - 1].status != "verified":
                raise NotChecked(f"rests on step {needs}, which is not verified")
            self.steps.append(Step(number, name, "verified", check()))
        except NotChecked as exc:
            self.steps.append(Step(number, name, "not checked", str(exc)))
        except EvidenceError as exc:
            self.steps.append(Step(number, name, "failed", exc.what, exc.where))

    def leave_open(self, name: str, reason: str) -> None:
        """Add the next step as one that this procedure does not have."""
        self.steps.append(Step(len(self.steps) + 1, name, "not checked", reason))

    @property
    def exit_code(self) -> int:
        """0 when steps 1 to 3 are verified and no step failed, 1 when one failed, else 3 (ledger §7.4)."""
        if any(step.status == "failed" for step in self.steps):
            return EXIT_BROKEN
        essential = all(step.status == "verified" for step in self.steps[:ESSENTIAL])
        return EXIT_VERIFIED if essential else EXIT_UNCHECKED
