"""What the HTTP side is given: everything its routes and pages may reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from coldchain.services.access import Access
from coldchain.services.epcis_ports import EpcisPorts
from coldchain.services.findings import Acknowledged
from coldchain.services.links import AnswerLinks
from coldchain.services.messages import Reply
from coldchain.services.principals import Principal
from coldchain_ledger.log import Outcome
from coldchain_ledger.store import Store


@dataclass(frozen=True, slots=True)
class AppPorts:
    """Wired by bootstrap. Every callable may be called from any thread, many at once."""

    engine: Engine
    store: Store
    origin: str
    vkey: str
    """The log's verifier key text (ledger §3.2), shown on every page that tells how to check."""
    access: Access
    metrics: Callable[[], Mapping[str, float]]
    """Figures of this process, as `name` or `name/kind`, e.g. `messages_total/refused:bad-signature`. Names ending in
    `_total` are counters, others gauges."""
    faults: Callable[[], Mapping[str, str]]
    """Parts that do not work now and why, in one line each; empty when the server is well."""
    receipt: Callable[[int], bytes]
    """A tlog-proof of one entry (ledger §7.1). Raises LedgerError where the log has no such entry."""
    dossier: Callable[[Principal, str], bytes | None]
    """(who, subject name or finding id) -> evidence about it (ledger §7.2), of a party as far as it may see it; None
    where no entry is about it, or the party may not ask about it."""
    inspect: Callable[[str, int | None, int | None], Mapping[str, Any] | None]
    """Everything known about one unit, at a moment (None: now), as believed at a ledger size (None: of today); None
    where no entry names it. Raises CommandRefused, and NotReady where others ask about the past too long."""
    projected: Callable[[int | None], AbstractContextManager[Connection]]
    """Tables of today, or as believed at a ledger size, which one reads at a time: ask for nothing else of the past
    while it is open. Raises CommandRefused and NotReady as `inspect` does."""
    trace: Callable[[str], Mapping[str, Any] | None]
    """Back to its origin, forward to where it went, and its contacts; None where no entry names it."""
    report: Callable[[Principal, str, tuple[int | None, int | None], Sequence[int], int | None], dict[str, Any] | None]
    """(who, about, (from, to), temperatures to tell the time above of, as believed at a ledger size) -> as
    `services.report.report` has it, of a party as far as it may see. Raises CommandRefused, and NotReady where others
    ask about the past too long."""
    issue_report: Callable[[Principal, Mapping[str, Any], str, str], tuple[bytes, int]]
    """(who, report, `pdf`, `xlsx` or `csv`, `en` or `zh`) -> the file, and the entry that says it was issued."""
    file_paper: Callable[[Principal, Mapping[str, Any]], Outcome]
    """A claim, or a decision, in the name and role of whoever asks, whatever the body says. Raises CommandRefused."""
    acknowledge: Callable[[Principal, Acknowledged], Outcome]
    """Somebody took note of a finding. Raises CommandRefused, Forbidden, NotKnown."""
    import_sheet: Callable[[Principal, bytes, str, str, str, bool], Mapping[str, Any]]
    """(who, file, kind, grade, `all` or `good` rows, preview) -> what it says and what was recorded, as `Imports.take`
    has it. Raises CommandRefused."""
    import_map: Callable[[Principal, str, Mapping[str, Any] | None], tuple[int, Mapping[str, Any]]]
    """(who, kind, a new map or None) -> version and content of the map in use from now on. Raises CommandRefused."""
    take_telemetry: Callable[[Principal, str, Sequence[bytes], str, str], Sequence[Reply]]
    """(who, gateway, payloads, content type, topic below the gateway's) -> what came of each. Raises Forbidden,
    NotKnown, CommandRefused."""
    epcis: EpcisPorts
    links: AnswerLinks
    """Questions that drivers and non-members answer once."""
    seal: Callable[[str, str], str]
    """(kind, personal data) -> the digest that the ledger may hold of it (ledger §2.4)."""
    unseal: Callable[[str], str | None]
    """The other way round; None where it was erased, or sealed elsewhere."""
    log: int = 1
