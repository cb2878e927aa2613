"""`coldchain-verify`: check a dossier or a receipt offline, with a key or policy of your own (ledger §7.3, §7.4)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

# Everything that loads `cryptography` is imported inside functions: --help answers within 60 ms.
if TYPE_CHECKING:
    from coldchain_ledger.checkpoint import Policy
    from coldchain_ledger.steps import Report

EPILOG = """\
exit codes:
  0  verified: the entries are in the log that you trust, and no step failed
  1  broken: a step failed; it says where
  2  usage: the command, the key, the policy or a file name is wrong
  3  could not check: no key or policy was given, or a receipt without its entry

The key and the policy must come to you by another way than the file: who made the file could put any key in it.
A policy is a c2sp.org/tlog-policy file: the logs you trust and the witnesses that must have cosigned.
"""
MARKS = {"verified": "ok  ", "failed": "FAIL", "not checked": " -  "}
RESULTS = {0: "verified", 1: "broken", 3: "could not check"}


class UsageError(Exception):
    """What the user gave cannot be used; the text says what."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code of ledger §7.4."""
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = _parser().parse_args(words)
        report = _verify(arguments)
    except UsageError as exc:
        print(f"coldchain-verify: {_printable(str(exc))}", file=sys.stderr)
        if "--json" in words:
            print(json.dumps({"error": {"code": 2, "message": str(exc)}}))
        return 2
    if arguments.json:
        _print_json(report)
    else:
        _print_text(report)
    return report.exit_code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="coldchain-verify",
        description="Verify a cold-chain dossier or receipt, offline.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="a dossier, or a receipt (c2sp.org/tlog-proof)")
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument("--log-vkey", metavar="K", help="the log's verifier key, as name+hex+base64")
    trust.add_argument("--policy", metavar="P", type=Path, help="a trust policy file")
    parser.add_argument("--entry", metavar="E", type=Path, help="the entry's bytes, to check a receipt against")
    parser.add_argument("--json", action="store_true", help="print the steps as JSON")
    return parser


def _verify(arguments: argparse.Namespace) -> Report:
    from coldchain_ledger.receipt import MAGIC, MAX_RECEIPT_BYTES
    from coldchain_ledger.verify import verify_dossier, verify_receipt

    policy = _policy(arguments)
    try:
        with arguments.file.open("rb") as file:
            is_receipt = file.read(len(MAGIC)) == MAGIC.encode()
            file.seek(0)
            if arguments.entry is not None and not is_receipt:
                raise UsageError("--entry goes with a receipt; this file is none")
            if is_receipt:
                entry = arguments.entry.read_bytes() if arguments.entry else None
                return verify_receipt(file.read(MAX_RECEIPT_BYTES + 1), entry, policy)
            return verify_dossier(file, policy)
    except OSError as exc:
        raise UsageError(f"cannot read {exc.filename or arguments.file}: {exc.strerror}") from exc


def _policy(arguments: argparse.Namespace) -> Policy | None:
    from coldchain_ledger.checkpoint import parse_policy
    from coldchain_ledger.errors import NoteError
    from coldchain_ledger.note import parse_vkey
    from coldchain_ledger.verify import log_policy

    try:
        if arguments.log_vkey is not None:
            return log_policy(parse_vkey(arguments.log_vkey))
        if arguments.policy is None:
            return None
        policy = parse_policy(arguments.policy.read_bytes())
    except NoteError as exc:
        raise UsageError(str(exc)) from exc
    except OSError as exc:
        raise UsageError(f"cannot read {arguments.policy}: {exc.strerror}") from exc
    if not policy.logs:  # tlog-policy allows it where the log is known from elsewhere; here it is not
        raise UsageError(f"{arguments.policy} lists no log")
    return policy


def _print_text(report: Report) -> None:
    for step in report.steps:
        status = f"failed at {step.where}" if step.status == "failed" else step.status
        print(f"{MARKS[step.status]} {step.number} {step.name}: {status}: {_printable(step.detail)}")
    print(RESULTS[report.exit_code])


def _print_json(report: Report) -> None:
    steps = [
        {"step": s.number, "name": s.name, "status": s.status, "where": s.where, "detail": s.detail}
        for s in report.steps
    ]
    print(json.dumps({"result": RESULTS[report.exit_code], "exit": report.exit_code, "steps": steps}, indent=1))


def _printable(text: str) -> str:
    """Text from a file that may be forged: nothing in it reaches the terminal as a command or fails to encode."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    encoding = sys.stdout.encoding or "ascii"
    return plain.encode(encoding, "backslashreplace").decode(encoding)


if __name__ == "__main__":
    sys.exit(main())
