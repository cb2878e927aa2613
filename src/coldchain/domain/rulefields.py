"""Reading the fields of a rule pack or a profile as stated: each is there, of its kind, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any


class RulePackError(ValueError):
    """A rule pack or profile that cannot be judged by; the text names the field, what was expected and what was found.

    field: its last word, "" where the error is not about one; for pointing at a line of the file.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


def an_object(stated: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(stated, Mapping):
        raise RulePackError(f"{where}: expected an object, found {stated!r}", where.split()[-1])
    return stated


def a_list(stated: Mapping[str, Any], field: str, where: str) -> Sequence[Any]:
    value = stated.get(field, [])
    if not isinstance(value, list):
        raise RulePackError(f"{where}: {field}: expected a list, found {value!r}", field)
    return value


def texts(stated: Mapping[str, Any], field: str, where: str) -> tuple[str, ...]:
    values = a_list(stated, field, where)
    for value in values:
        if not isinstance(value, str) or not value:
            raise RulePackError(f"{where}: {field}: expected texts, found {value!r}", field)
    return tuple(values)


def only(stated: Mapping[str, Any], known: Set[str], where: str) -> None:
    if unknown := sorted(stated.keys() - known):
        raise RulePackError(f"{where}: unknown fields {', '.join(unknown)}", unknown[0])


def text(stated: Mapping[str, Any], field: str, where: str) -> str:
    value = stated.get(field)
    if not isinstance(value, str) or not value:
        raise RulePackError(f"{where}: {field}: expected a text, found {value!r}", field)
    return value


def truth(stated: Mapping[str, Any], field: str, where: str) -> bool:
    value = stated.get(field)
    if not isinstance(value, bool):
        raise RulePackError(f"{where}: {field}: expected true or false, found {value!r}", field)
    return value


def integer(stated: Mapping[str, Any], field: str, where: str, least: int | None = None) -> int:
    value = stated.get(field)
    if type(value) is not int or abs(value) >= 2**53 or (least is not None and value < least):
        from_on = "" if least is None else f" from {least} on"
        raise RulePackError(f"{where}: {field}: expected a whole number{from_on}, found {value!r}", field)
    return value


def optional(stated: Mapping[str, Any], field: str, where: str, least: int | None = None) -> int | None:
    return integer(stated, field, where, least) if field in stated else None
