"""The one error of every identifier."""

from __future__ import annotations


class IdentifierError(ValueError):
    """A malformed identifier: the whole value, the 0-based character position at fault, and what was expected there."""

    def __init__(self, value: str, position: int, expected: str) -> None:
        super().__init__(f"{value!r} at character {position}: expected {expected}")
        self.value = value
        self.position = position
        self.expected = expected
