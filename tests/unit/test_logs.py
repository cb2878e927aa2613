"""A log that cannot be written takes nothing else down with it."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
import structlog

from coldchain.bootstrap.logs import configure_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[[], io.StringIO]:
    """Configures logs while stderr is somebody's buffer, as it is inside a test of a command."""

    def configure() -> io.StringIO:
        buffer = io.StringIO()
        monkeypatch.setattr(sys, "stderr", buffer)
        configure_logs("info")
        return buffer

    return configure


def say() -> None:
    structlog.get_logger("coldchain.test").error("request failed", path="/v1/units")
    logging.getLogger("uvicorn.error").error("a connection failed")


def test_both_kinds_of_loggers_write_to_stderr(configured: Callable[[], io.StringIO]) -> None:
    stderr = configured()
    say()
    assert "request failed" in stderr.getvalue()
    assert "a connection failed" in stderr.getvalue()


def test_where_no_terminal_is_each_event_is_a_json_object_with_its_level_and_time(
    configured: Callable[[], io.StringIO],
) -> None:
    stderr = configured()
    say()
    try:
        raise ValueError("two\nlines")
    except ValueError:
        structlog.get_logger("coldchain.test").exception("could not", entry=7)
    ours, uvicorns, failed = map(json.loads, stderr.getvalue().splitlines())
    assert (ours["event"], ours["level"], ours["path"]) == ("request failed", "error", "/v1/units")
    assert uvicorns["event"] == "a connection failed"
    assert (failed["entry"], "ValueError: two\nlines" in failed["exception"]) == (7, True)
    assert all(one["timestamp"].endswith("Z") for one in (ours, uvicorns, failed))


def test_what_stderr_is_by_then_is_written_to(
    configured: Callable[[], io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = structlog.get_logger("coldchain.test")
    before, later = configured(), io.StringIO()
    logger.error("first")
    monkeypatch.setattr(sys, "stderr", later)
    before.close()
    logger.error("second")
    logging.getLogger("uvicorn.error").error("third")
    assert ["second" in later.getvalue(), "third" in later.getvalue(), "first" in later.getvalue()] == [
        True,
        True,
        False,
    ]


class Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("closed", [True, False])
def test_where_nobody_reads_stderr_any_more_work_goes_on(
    configured: Callable[[], io.StringIO], monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    stderr = configured()
    if closed:
        stderr.close()
    else:
        monkeypatch.setattr(sys, "stderr", Gone())
    say()
