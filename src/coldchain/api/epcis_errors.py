"""What the EPCIS interface refuses before it asks anybody."""

from __future__ import annotations

from collections.abc import Mapping


class NotAcceptable(Exception):
    """The request wants an answer that is not spoken here; the text names the header."""


class UnsupportedMediaType(Exception):
    """A body of another type than JSON."""


class UrlTooLong(Exception):
    """A query that does not fit an address; a named query takes it in a body."""


class CaptureTooLarge(Exception):
    """More events than one document may have; `headers` say how many."""

    def __init__(self, text: str, headers: Mapping[str, str]) -> None:
        super().__init__(text)
        self.headers = headers
