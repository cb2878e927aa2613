"""perPage and nextPageToken, which every list takes."""

from __future__ import annotations

import re

from fastapi import Request

from coldchain.services.epcis_query import QueryError

PER_PAGE = 30
"""Where the client does not say (EPCIS 2.0 §12.6.1)."""
MAX_PER_PAGE = 100
"""More is answered with so many: a page is read into memory, and an event may have 48 KiB."""
MAX_TOKEN = 4_000
PAGING = frozenset({"perPage", "nextPageToken"})


def paging(request: Request) -> tuple[int, str | None]:
    """How many, and from where on. Raises QueryError."""
    text = request.query_params.get("perPage", str(PER_PAGE))
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) == 0:
        raise QueryError(f"parameter perPage: expected a whole number from 1, found {text!r}")
    token = request.query_params.get("nextPageToken")
    if token is not None and len(token) > MAX_TOKEN:
        raise QueryError("parameter nextPageToken: not one that this server gave")
    return min(int(text), MAX_PER_PAGE), token


def only_paging(request: Request) -> tuple[int, str | None]:
    """The same of a list that takes nothing else. Raises QueryError naming what it does not take."""
    for name in request.query_params:
        if name not in PAGING:
            raise QueryError(f"unknown parameter {name}: this list takes perPage and nextPageToken")
    return paging(request)
