"""Mosquitto's account files, for who runs that broker: rendered by us, read again by it on SIGHUP.

Accounts are `org/site/device`, so `pattern write cc/v1/%u/up` lets each publish below its own id without a line of its
own; only gateways, which speak for a whole site, get some.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from coldchain.mqtt.accounts import SERVER_NAME, Account, AccountSource, permissions
from coldchain.mqtt.files import hang_up, locked, replace_file
from coldchain.services.messages import KINDS_DOWN, KINDS_UP

FILE_MODE = 0o640
"""Mosquitto reads the files as its own user: give their directory its group and the setgid bit."""


def apply_accounts(password_file: Path, acl_file: Path, pid_file: Path | None, source: AccountSource) -> bool:
    """Render the accounts in force and tell the broker to read them; any process may.

    Soon afterwards new accounts can log in (`probe_login` tells when), removed ones are cut, all others stay connected.
    False when no running broker could be told. A crash between the files leaves a gateway that may not publish yet.
    """
    with locked(password_file.with_name("accounts.lock")):
        accounts = sorted(source(), key=lambda account: account.username)
        replace_file(password_file, passwords(accounts).encode(), FILE_MODE)
        replace_file(acl_file, acl(accounts).encode(), FILE_MODE)
        return pid_file is not None and hang_up(pid_file, "mosquitto")


def passwords(accounts: Iterable[Account]) -> str:
    """Mosquitto's password_file: `$7$`, PBKDF2-SHA512."""
    return "".join(f"{account.username}:{account.mosquitto_hash}\n" for account in accounts)


def acl(accounts: Iterable[Account]) -> str:
    """Mosquitto's acl_file; without accounts it is what ships as `mosquitto/acl`."""
    own = [f"pattern write cc/v1/%u/{kind}" for kind in (*KINDS_UP, "up/#")]
    own += [f"pattern read cc/v1/%u/{kind}" for kind in (*KINDS_DOWN, "cmd/#")]
    server = Account(SERVER_NAME, "server", "", "", "", "", "")
    lines = ["# A device publishes and listens below its own id: its user name is org/site/device.", *own, ""]
    lines += ["# The server listens to all and answers all.", *_lines(server)]
    for gateway in (account for account in accounts if account.role == "gateway"):
        lines += ["", "# A gateway speaks for every device of its site.", *_lines(gateway)]
    return "\n".join(lines) + "\n"


def _lines(account: Account) -> list[str]:
    may = permissions(account)
    return [
        f"user {account.username}",
        *(f"topic write {one}" for one in may.publish),
        *(f"topic read {one}" for one in may.subscribe),
    ]


def configuration(listener: str, password_file: str, acl_file: str, pid_file: str, data_dir: str) -> str:
    """The settings of the `mosquitto/mosquitto.conf` we ship, with these paths.

    listener: `PORT [ADDRESS]`. data_dir: ends in a slash.
    """
    return f"""\
listener {listener}
allow_anonymous false
password_file {password_file}
acl_file {acl_file}
pid_file {pid_file}
use_username_as_clientid true
message_size_limit 262144
max_inflight_messages 10000
max_queued_messages 0
persistence true
persistence_location {data_dir}
autosave_interval 60
"""
