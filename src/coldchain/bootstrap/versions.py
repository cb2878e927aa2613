"""Programs of two versions on one data directory: who is alone may make the derived tables anew."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Engine

from coldchain.bootstrap.brokers import running_server
from coldchain.bootstrap.locks import exclusive
from coldchain.db.migrate import NO_TABLES, differences, migrate
from coldchain.domain import folding
from coldchain.mqtt.files import locked
from coldchain_ledger.errors import StoreError


def bring_to_this_version(directory: Path, engine: Engine) -> None:
    """The database is of this version afterwards (`db.migrate.migrate`). Raises StoreError where it is of another and
    somebody follows the ledger, whose tables it would pull from under him.

    One start at a time, so that several at once on a new directory all succeed.
    """
    if not differences(engine):
        return
    with locked(directory / "migrate.lock"), exclusive(directory / "server.lock") as alone:
        different = differences(engine)
        if different and not alone:
            server = running_server(directory)
            other = f"server {server['version']}" if server and "version" in server else "server or command"
            raise StoreError(
                f"{directory}: a {other} of other tables is at work, this program is {version('coldchain')}:"
                f" {different}. Stop it first, or use the program of its own version"
            )
        if different:
            migrate(engine)


def interpreter() -> str:
    """The Python that runs this, and whether with compiled modules (docs/decisions/0016-compiled-by-mypyc.md)."""
    how = "compiled" if folding.__file__.endswith(".so") else "interpreted"
    return f"{platform.python_version()}, hot modules {how}"


def check_still_ours(directory: Path, engine: Engine) -> None:
    """For whoever is about to follow: raises StoreError where another version's program made the tables anew since this
    one opened them. What this one folds would pass for the other's conclusions."""
    if different := differences(engine):
        raise StoreError(f"{directory} was brought to another version meanwhile: {different}")


def check_made(engine: Engine) -> None:
    """Raises StoreError where there is no ledger to open: one begins where somebody begins it (`migrate`, `serve`), not
    because its database was lost or another one named. Connecting to a SQLite file that is not there would make it."""
    where = engine.url.render_as_string(hide_password=True)
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        raise StoreError(
            f"there is no {engine.url.database}: `coldchain migrate` makes one, for a ledger that begins empty"
        )
    if differences(engine) == NO_TABLES:
        raise StoreError(f"{where} holds no ledger: `coldchain migrate` makes the tables, for one that begins empty")
