"""Logs go to stderr, one line an event: readable on a terminal, JSON otherwise; stdout is for answers alone."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from io import TextIOBase
from typing import TextIO, cast

import structlog


class _Stderr(TextIOBase):
    """stderr as it is when something is written. Where it has been closed, or whoever read it is gone, the line is
    lost: there is nobody to tell, and what was being done goes on."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logs(level: str) -> None:
    """Applies to our own loggers and, through the standard library, to uvicorn and the simulated devices."""
    least = getattr(logging, level.upper())
    terminal, stderr = sys.stderr.isatty(), _Stderr()
    renderer: structlog.types.Processor
    if terminal:  # plain tracebacks: rich ones print local variables, and a token may be one
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([] if terminal else [structlog.processors.format_exc_info]),
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, stderr)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(level=max(least, logging.WARNING), handlers=[handler], force=True)
