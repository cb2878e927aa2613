"""Rule packs, profiles and continuity rules as files: TOML or JSON, with example cases in them or beside them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from coldchain.cli.common import fail
from coldchain.domain.continuity import RulesError
from coldchain.domain.rulefields import RulePackError
from coldchain.rules import CASES, parse_document


class RuleFile(NamedTuple):
    """One checked file."""

    path: Path
    stated: dict[str, Any]
    """What is recorded: without cases."""
    cases: list[dict[str, Any]]


def read_rules(path: Path) -> RuleFile:
    """Ends the command with the field and, where it can be told, the line at fault."""
    text, stated = _document(path)
    cases = stated.pop("cases", [])
    try:
        parse_document(stated)
    except RulePackError as error:
        fail(f"{path}{_line(text, str(error), error.field)}: {error}")
    except RulesError as error:
        fail(f"{path}: {error}")
    beside = path.with_name(path.stem + CASES)
    if beside.exists():
        cases = cases + _document(beside)[1].get("cases", [])
    return RuleFile(path, stated, cases)


def _document(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text("utf-8")
        stated = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        fail(f"{path}: {error}")
    except RecursionError:
        fail(f"{path}: expected a pack, profile or continuity rules, found lists within lists without end")
    if not isinstance(stated, dict):
        fail(f"{path}: expected an object, found {type(stated).__name__}")
    return text, stated


def _line(text: str, error: str, field: str) -> str:
    """`:LINE` where the field stands, looked for from its own table on; "" where it stands nowhere."""
    table = error.partition(":")[0].rpartition(" ")[2]
    lines = text.splitlines()
    begin = next((at for at, line in enumerate(lines) if re.match(rf"\[+[\w.]*\b{re.escape(table)}s?\]+", line)), 0)
    named = re.compile(rf'\s*"?{re.escape(field)}"?\s*[=:]|\[+[\w.]*\b{re.escape(field)}\]+')
    found = next((at for at in range(begin, len(lines)) if field and named.match(lines[at])), None)
    return "" if found is None else f":{found + 1}"
