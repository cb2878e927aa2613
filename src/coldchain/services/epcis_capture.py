"""Capture jobs: documents taken in at once and recorded in the background, each with an outcome (EPCIS 2.0 §12.6.2).

A job is durable when its id is given away. What it records has the keys of its content, so that a job done twice, by
a crash in the middle or by the sender, records nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from coldchain.services.admit import Refused, Rejects
from coldchain.services.messages import Inbound
from coldchain.services.ports import Clock
from coldchain_ledger.errors import EntryError
from coldchain_ledger.log import Draft, Log

Behaviour = Literal["rollback", "proceed"]
BEHAVIOURS: tuple[Behaviour, ...] = ("rollback", "proceed")
MAX_BYTES = 4 * 2**20
"""Of a document; the largest that is held in memory at once."""
MAX_EVENTS = 10_000
MAX_WAITING = 1_000
"""Jobs not done yet, all senders together."""
KEEP_DAYS = 30
"""How long the outcome of a job can be asked for."""
TOPIC = "epcis/v2/capture"
REASON = "invalid-epcis"
_AT_ONCE = 32
"""Jobs recorded in one transaction."""
_BYTES_AT_ONCE = 8 * 2**20
"""Of their documents, which take some ten times as much memory while they are read."""
_MAX_TOLD = 20
"""In one sentence."""
_MAX_ERRORS = 1_000
"""Told of one document; more help nobody."""


class Fault(NamedTuple):
    """What is wrong with a document: a JSON pointer, and what was expected there."""

    pointer: str
    problem: str


class Judgement(NamedTuple):
    """What of a document can be recorded: entries of the whole, or of its good events."""

    drafts: Sequence[Draft]
    faults: Sequence[Fault]


Judge = Callable[[str, bytes, Behaviour], Judgement]
"""(organisation, document, behaviour) -> what to record, which is nothing with `rollback` and any fault."""


@dataclass(frozen=True, slots=True)
class Job:
    """A document that waits to be recorded."""

    no: int
    org: str
    behaviour: Behaviour
    data: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of a job. entries: ledger indices, of those there were already as well."""

    no: int
    finished_us: int
    faults: Sequence[Fault]
    entries: Sequence[int]


class TooManyJobs(Exception):
    """More waits than is worth taking in; the text says how much."""


class InvalidDocument(ValueError):
    """A document that was not recorded; each fault says where and why."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{pointer or '/'}: {problem}" for pointer, problem in faults[:_MAX_TOLD]))
        self.faults = faults


class JobStore(Protocol):
    def add(self, org: str, behaviour: Behaviour, data: bytes, now_us: int) -> int:
        """The number of a new job, durable when it returns. Raises TooManyJobs."""
        ...

    def waiting(self, limit: int, most_bytes: int) -> list[Job]:
        """The oldest jobs not done: one, and more as long as their documents are not larger together."""
        ...

    def finish(self, done: Sequence[Done]) -> None:
        """Durable when it returns; the documents themselves are let go. Old outcomes are forgotten."""
        ...


class Capture:
    """Takes documents in, and records those that wait; `step` is called by one thread at a time."""

    def __init__(self, jobs: JobStore, log: Log, rejects: Rejects, judge: Judge, clock: Clock) -> None:
        self._jobs = jobs
        self._log = log
        self._rejects = rejects
        self._judge = judge
        self._clock = clock

    def submit(self, org: str, behaviour: Behaviour, data: bytes) -> int:
        """The number of the job that will record the document. Raises TooManyJobs."""
        return self._jobs.add(org, behaviour, data, self._clock())

    def refuse(self, org: str, data: bytes, faults: Sequence[Fault]) -> None:
        """Keep a document that was not recorded, or not all of it."""
        told = "; ".join(f"{pointer or '/'}: {problem}" for pointer, problem in faults[:_MAX_ERRORS])
        self._rejects.keep([Refused(Inbound(TOPIC, data), org, REASON, told)], self._clock())

    def record(self, org: str, data: bytes) -> list[int]:
        """The indices of what a document says, recorded at once. Raises InvalidDocument, and keeps the document."""
        drafts, faults = self._judge(org, data, "rollback")
        found: list[int] | Fault = [] if faults else self._record([drafts])[0]
        if isinstance(found, Fault):
            faults = [found]
        if faults or isinstance(found, Fault):
            self.refuse(org, data, faults)
            raise InvalidDocument(faults)
        return found

    def step(self) -> bool:
        """Some waiting jobs are done; False where none waited. When it raises, all of them still wait."""
        jobs = self._jobs.waiting(_AT_ONCE, _BYTES_AT_ONCE)
        if not jobs:
            return False
        judged = [self._judged(job) for job in jobs]
        entries = self._record([judgement.drafts for judgement in judged])
        faults = [
            [*judgement.faults, *([found] if isinstance(found, Fault) else [])]
            for judgement, found in zip(judged, entries, strict=True)
        ]
        for job, found in zip(jobs, faults, strict=True):
            if found:
                self.refuse(job.org, job.data, found)
        # A crash here leaves entries whose jobs still wait: done again, they are duplicates, and the outcome is the
        # same; only a refused document is then kept and counted twice.
        finished_us = self._clock()
        self._jobs.finish(
            [
                Done(job.no, finished_us, found[:_MAX_ERRORS], () if isinstance(indices, Fault) else indices)
                for job, found, indices in zip(jobs, faults, entries, strict=True)
            ]
        )
        return True

    def _judged(self, job: Job) -> Judgement:
        try:
            return self._judge(job.org, job.data, job.behaviour)
        except Exception as error:  # noqa: BLE001 (a document that breaks the reader must not stand in others' way)
            return Judgement([], [Fault("", f"expected a document that can be read, {type(error).__name__}: {error}")])

    def _record(self, drafts: Sequence[Sequence[Draft]]) -> list[list[int] | Fault]:
        """The indices of each job's entries; where one fits no entry, what is wrong with it and nothing of the job."""
        try:
            outcomes = iter(self._log.append([draft for one in drafts for draft in one]))
        except EntryError as error:
            if len(drafts) == 1:
                return [Fault("", str(error))]
            return [found for one in drafts for found in self._record([one])]
        return [[next(outcomes).index for _ in one] for one in drafts]
