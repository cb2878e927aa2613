"""What every command shares: options, output, and errors told in one line."""

from __future__ import annotations

import functools
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from coldchain.bootstrap.core import Core
    from coldchain.settings import Settings

OK, BROKEN, USAGE, UNCHECKED = 0, 1, 2, 3


@dataclass(frozen=True)
class Data:
    """The data directory a command works on, and how it answers."""

    directory: Path | None
    database: str | None
    as_json: bool

    def settings(self, **options: object) -> Settings:
        from coldchain.bootstrap.logs import configure_logs
        from coldchain.settings import load_settings

        settings = load_settings(dir=self.directory, database=self.database, **options)
        configure_logs(settings.log_level)
        return settings

    def core(self, *, create: bool = False) -> AbstractContextManager[Core]:
        from coldchain.bootstrap.core import open_core

        return open_core(self.settings(), create=create)

    def show(self, document: Any, lines: Callable[[Any], Iterator[str]] | None = None) -> None:
        """Print the document as JSON, or as the lines a person reads."""
        Failed.answered = True
        if self.as_json or lines is None:
            click.echo(json.dumps(document, ensure_ascii=False, indent=None if self.as_json else 2))
            return
        for line in lines(document):
            click.echo(line)


def data_options(function: Callable[..., None]) -> Callable[..., None]:
    """--dir, --database and --json, the same everywhere; the command gets them as its first argument, a `Data`."""

    @functools.wraps(function)
    def command(directory: Path | None, database: str | None, as_json: bool, **rest: Any) -> None:
        function(Data(directory, database, as_json), **rest)

    options = (
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; logs go to stderr."),
        click.option("--database", metavar="URL", help="Database URL (default: SQLite in the data directory)."),
        click.option(
            "--dir",
            "directory",
            type=click.Path(path_type=Path, file_okay=False),
            help="Data directory (default: ./coldchain-data).",
        ),
    )
    for option in options:
        command = option(command)
    return command


class Failed(click.ClickException):
    """Ends the command with one line on stderr and, where nothing was answered yet, as one document with --json."""

    answered = False
    """Whether this process has printed its document; there is only one."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click's own errors set it so, too

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"coldchain: {self.message}", file=file, err=file is None)


class OutFile(click.Path):
    """A file to be written: where it cannot be, the command ends before it has done anything."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False, writable=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(str(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"{path}: there is no folder {path.parent}", param, ctx)
        return path


def time_floor_us(text: str) -> int:
    """Of --time-floor: midnight UTC of the date, microseconds since the epoch."""
    from coldchain.settings import parse_date_us

    try:
        return parse_date_us(text)
    except ValueError as error:
        fail(f"--time-floor {text!r}: expected a date such as 2020-01-01: {error}")


def fail(message: str, code: int = USAGE) -> NoReturn:
    """End the command with this code."""
    raise Failed(message, code)


@contextmanager
def told(*, as_json: bool) -> Iterator[None]:
    """Whatever ends a command ends it with its code and one line: what was expected, what was found.

    An error that nobody foresaw keeps its traceback on stderr, and could not check.
    """
    Failed.answered = False
    try:
        yield
    except click.exceptions.Abort:
        _end(Failed("interrupted", UNCHECKED), as_json)
    except click.ClickException as error:
        _end(error, as_json)
    except Exception as error:  # noqa: BLE001 (told, with its traceback where it is none of those expected)
        code = _code_of(error)
        if code is None:
            traceback.print_exc()
            _end(Failed(f"unforeseen {type(error).__name__}: {error}", UNCHECKED), as_json)
        # SQLAlchemy's text goes on with the statement and an address of its own; the database said what is wrong.
        _end(Failed(str(getattr(error, "orig", None) or error).strip(), code), as_json)


def _end(error: click.ClickException, as_json: bool) -> NoReturn:
    error.show()
    if as_json and not Failed.answered:
        click.echo(json.dumps({"error": {"code": error.exit_code, "message": error.format_message()}}))
    sys.exit(error.exit_code)


def _code_of(error: Exception) -> int | None:
    """By name, so that telling an error imports nothing."""
    names = {base.__name__ for base in type(error).__mro__}
    # CommandError: a database of a newer program. DatabaseError itself: a damaged file; kinds of it may be our faults.
    unchecked = {"StoreError", "OperationalError", "NoAnswer", "NotDelivered", "CommandError"}
    if names & unchecked or type(error).__name__ == "DatabaseError":
        return UNCHECKED
    if names & {"LedgerError"}:
        return BROKEN
    if names & {"FileNotFoundError", "FileExistsError", "PermissionError", "IsADirectoryError", "NotADirectoryError"}:
        return USAGE
    if names & {"OSError"}:  # a full disk, a network that is away
        return UNCHECKED
    if names & {
        "CommandRefused",
        "SetupError",
        "BrokerError",
        "ValidationError",
        "ArgumentError",
        "DeviceError",
        "DecodeError",
        "IdentifierError",
        "MappingError",
        "NotKnown",
    }:
        return USAGE
    return None
