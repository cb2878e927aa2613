"""Reports of one data directory: made, issued with an entry that proves when and on what, and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coldchain.bootstrap.core import Core
from coldchain.papers.report_pdf import report_pdf
from coldchain.papers.report_sheets import report_csv, report_xlsx
from coldchain.papers.report_words import Issue
from coldchain.projections.reporting import ReportQueries
from coldchain.services.report import digest, report, report_entry

_RENDERERS = {"pdf": report_pdf, "xlsx": report_xlsx, "csv": report_csv}


def make_report(
    core: Core, about: str, period: tuple[int | None, int | None] = (None, None), levels: Sequence[int] = ()
) -> dict[str, Any] | None:
    """The document; None where nothing is known under that name. Raises CommandRefused."""
    with core.engine.connect() as connection:
        return report(ReportQueries(connection), about, period, levels)


def issue(core: Core, by: str, document: Mapping[str, Any]) -> Issue:
    """Record that it was issued; the same report again is the same entry."""
    outcome = core.record(report_entry(by, document))
    receipt = core.log.receipt(outcome.index).decode()
    check = f"{core.settings.public_address}/log/receipt/{outcome.index}"
    return Issue(outcome.index, digest(document), receipt, check)


def rendered(document: Mapping[str, Any], form: str, language: str, issued: Issue | None) -> bytes:
    """form: `pdf`, `xlsx` or `csv`; language: `zh`, else English."""
    return _RENDERERS[form](document, "zh" if language == "zh" else "en", issued)
