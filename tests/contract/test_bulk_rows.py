"""Many rows at once: what is stored is what was given, or nothing is."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from coldchain.db.bulk import append_rows, put_rows, update_rows
from coldchain.db.engine import writing
from coldchain.db.tables.telemetry import device_key

KEY = ("truck-1#1", "truck-1", "EdDSA", "MCow", 5, None)
LONG = "x" * 65


def stored(engine):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(device_key))]


@pytest.mark.parametrize("write", [append_rows, put_rows])
def test_rows_come_back_as_they_were_given(engine, write):
    with writing(engine) as connection:
        write(connection, device_key, [KEY, ("ü#1", "ü", *KEY[2:])])
    assert sorted(stored(engine)) == sorted([KEY, ("ü#1", "ü", *KEY[2:])])


@pytest.mark.parametrize("write", [append_rows, put_rows])
def test_text_longer_than_its_column_is_never_cut(engine, write):
    row = (KEY[0], LONG, *KEY[2:])
    if engine.dialect.name == "sqlite":
        with writing(engine) as connection:
            write(connection, device_key, [row])
        assert stored(engine) == [row]
        return
    driver_error = (DBAPIError, engine.dialect.loaded_dbapi.Error)
    with pytest.raises(driver_error, match="too long"), writing(engine) as connection:
        write(connection, device_key, [row])
    assert stored(engine) == []


def test_an_update_does_not_cut_either_and_finds_its_row_by_text(engine):
    with writing(engine) as connection:
        append_rows(connection, device_key, [KEY])
    with writing(engine) as connection:
        update_rows(connection, device_key, ("device",), [(KEY[0], "truck-2")])
    assert stored(engine) == [(KEY[0], "truck-2", *KEY[2:])]
    if engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError, match="too long"), writing(engine) as connection:
            update_rows(connection, device_key, ("device",), [(KEY[0], LONG)])
        assert stored(engine) == [(KEY[0], "truck-2", *KEY[2:])]
