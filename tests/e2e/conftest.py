"""A running server for end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.serving import Server


@pytest.fixture
def server(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Server]:
    """A running server on a fresh directory; ended with the test."""
    server = Server(tmp_path / "data", free_port(), free_port())
    server.start()
    yield server
    server.close()
