"""A page of the past: the moment it is to tell of, and the ledger it is to be told from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from coldchain.db.queries_api import BadQuery
from coldchain.domain.tracing import FOREVER_US
from coldchain.services.moments import rfc3339_or_none
from coldchain.web.formats import LAST_US, micros

MAX_DIGITS = 16


class Past(NamedTuple):
    """Neither: the page of now."""

    at_us: int | None = None
    as_of: int | None = None
    """Entries the ledger had."""

    @property
    def end_us(self) -> int:
        """Nothing after it is shown."""
        return FOREVER_US if self.at_us is None else self.at_us

    @property
    def query(self) -> str:
        """Leads from this page to one of the same past; "" of now."""
        asked = {"at": rfc3339_or_none(self.at_us), "as_of": self.as_of}
        stated = {name: value for name, value in asked.items() if value is not None}
        return "?" + urlencode(stated) if stated else ""


def past(at: str = "", as_of: str = "") -> Past:
    """at: RFC 3339, or as the pages write times, which are UTC. as_of: a number of entries. Raises BadQuery."""
    return Past(_moment_us(at.strip()), _size(as_of.strip().replace(",", "")))


def _moment_us(text: str) -> int | None:
    if not text:
        return None
    fault = BadQuery(f"query at: {text[:40]!r}, expected a time since 1970, e.g. 2026-03-02 08:00 (UTC)")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise fault from error
    at_us = micros((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat())
    if not 0 <= at_us <= LAST_US:
        raise fault
    return at_us


def _size(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise BadQuery(f"query as_of: {text[:40]!r}, expected a number of ledger entries")
    return int(text)
