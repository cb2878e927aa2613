"""The shared index vectors, and a log in memory whose clock the test sets."""

import json
import os
from base64 import b64decode
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("COLDCHAIN_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.fixture(scope="session")
def index_vectors():
    path = SHARED / "vectors" / "index" / "small.json"
    if not path.is_file():
        if os.environ.get("COLDCHAIN_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{path} is missing")
        pytest.skip(f"{path} is missing (COLDCHAIN_SHARED)")
    return json.loads(path.read_text())


@pytest.fixture(scope="session")
def vector_entries(index_vectors):
    return [b64decode(entry) for entry in index_vectors["entries"]]
