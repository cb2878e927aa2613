"""One database for every scenario: each is played in a transaction of its own and rolled back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from coldchain.db.engine import make_engine
from continuity.world import World
from opening import migrated_file


@pytest.fixture(scope="session")
def scenario_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = make_engine(migrated_file(tmp_path_factory.mktemp("scenarios") / "c.db"))
    yield engine
    engine.dispose()


@pytest.fixture
def worlds(scenario_engine: Engine) -> Iterator[type[World]]:
    """`worlds()` begins a new ledger; what an earlier one of this test recorded is gone."""
    World.engine = scenario_engine
    yield World
    World.close()
