"""Keys and tokens of a data directory: created once, readable by their owner alone."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from coldchain_ledger.errors import NoteError
from coldchain_ledger.keys import Ed25519Signer, parse_vkey


class SetupError(Exception):
    """The data directory is not in a state to work with; the text says what to do."""


def ensure_directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def read_secret(path: Path) -> bytes:
    """Raises SetupError where the file is missing or open to others."""
    try:
        if path.stat().st_mode & 0o077:
            raise SetupError(f"{path} is readable by others (mode {path.stat().st_mode & 0o777:o}): chmod 600 {path}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SetupError(f"{path} is missing: without it this data directory cannot be used") from error


def write_secret(path: Path, data: bytes) -> None:
    """The file holds a secret afterwards, whole, durable and of mode 0600: this one, or the one it held already.

    A crash at any line leaves the path without a file, or with all of it: half a key would stay for ever.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # of mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first: its secret is the one
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def log_signer(directory: Path, origin: str, *, create: bool) -> Ed25519Signer:
    """The ledger's signing key. A new key gets the origin given, else `localhost/<first 8 hex of its public key>`."""
    path = directory / "log.key"
    named = directory / "log.origin"
    if create and not path.exists():
        write_secret(path, Ed25519Signer.generate("fresh").private_pem())
    # A crash here leaves a key without its origin; the next call derives the same one from the key.
    if create and not named.exists():
        public = parse_vkey(_signer("fresh", path).vkey()).public_key
        write_secret(named, (origin or f"localhost/{public.hex()[:8]}").encode() + b"\n")
    known = read_secret(named).decode().strip()
    if origin and origin != known:
        raise SetupError(
            f"log origin is {origin!r} in the settings, {known!r} since the ledger was created: it cannot change"
        )
    return _signer(known, path)


def _signer(name: str, path: Path) -> Ed25519Signer:
    """Not broken but none: what another file says shows nothing of the ledger."""
    try:
        return Ed25519Signer.from_private_pem(name, read_secret(path))
    except NoteError as error:
        raise SetupError(f"{path}: {error}") from error


def truck_secret(directory: Path) -> bytes:
    """What the codes of JT/T 808 terminals are made of; drawn when it is missing."""
    path = directory / "jtt808.secret"
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(32).encode() + b"\n")
    return read_secret(path)


def operator_token(directory: Path, *, create: bool) -> str:
    path = directory / "operator.token"
    if not path.exists() and create:
        write_secret(path, secrets.token_urlsafe(32).encode() + b"\n")
    return read_secret(path).decode().strip()
