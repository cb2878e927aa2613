"""Reports of one data directory: made, issued with an entry that proves when and on what, and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coldchain.api.problems import NotReady
from coldchain.bootstrap.believed import MOST_IN_A_REQUEST, Busy
from coldchain.bootstrap.core import Core
from coldchain.db.queries_parties import may_report
from coldchain.papers.report_pdf import report_pdf
from coldchain.papers.report_sheets import report_csv, report_xlsx
from coldchain.papers.report_words import Issue
from coldchain.projections.exposures import Exposures
from coldchain.projections.reporting import ReportQueries
from coldchain.services.principals import Principal
from coldchain.services.report import digest, report, report_entry
from coldchain.services.trace import canonical_name

_RENDERERS = {"pdf": report_pdf, "xlsx": report_xlsx, "csv": report_csv}


def make_report(
    core: Core,
    about: str,
    period: tuple[int | None, int | None] = (None, None),
    levels: Sequence[int] = (),
    as_of: int | None = None,
    most: int | None = None,
    org: str | None = None,
) -> dict[str, Any] | None:
    """The document; None where nothing is known under that name. as_of: as it was believed when the ledger had so many
    entries; most: entries that may be folded anew for that. org: as far as that organisation may be told by now; None
    where it may not ask about it. Raises CommandRefused and Busy (`bootstrap.believed`)."""
    mine = None
    if org is not None:
        name = about if about.startswith("dev:") else canonical_name(about)
        with core.engine.connect() as connection:
            mine = may_report(connection, org, name) if name is not None else None
        if mine is None:
            return None
    with core.projected(as_of, most) as connection:
        return report(ReportQueries(connection, org), Exposures(connection), about, period, levels, mine)


def issue(core: Core, by: str, document: Mapping[str, Any]) -> Issue:
    """Record that it was issued; the same report again is the same entry."""
    outcome = core.record(report_entry(by, document))
    receipt = core.log.receipt(outcome.index).decode()
    check = f"{core.settings.public_address}/log/receipt/{outcome.index}"
    return Issue(outcome.index, digest(document), receipt, check)


def rendered(document: Mapping[str, Any], form: str, language: str, issued: Issue | None) -> bytes:
    """form: `pdf`, `xlsx` or `csv`; language: `zh`, else English."""
    return _RENDERERS[form](document, "zh" if language == "zh" else "en", issued)


class HttpReports:
    """What the HTTP side asks of reports."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def report(
        self,
        principal: Principal,
        about: str,
        period: tuple[int | None, int | None],
        levels: Sequence[int],
        as_of: int | None,
    ) -> dict[str, Any] | None:
        """As `make_report`, for so much of the past as a request may ask, and as far as whoever asks may see. Raises
        CommandRefused, NotReady."""
        org = None if principal.sees_all else principal.org
        try:
            return make_report(self._core, about, period, levels, as_of, MOST_IN_A_REQUEST, org)
        except Busy as error:
            raise NotReady(str(error)) from error

    def issue(self, principal: Principal, document: Mapping[str, Any], form: str, language: str) -> tuple[bytes, int]:
        """The file, and the entry that says it was issued."""
        issued = issue(self._core, principal.org, document)
        return rendered(document, form, language, issued), issued.entry
