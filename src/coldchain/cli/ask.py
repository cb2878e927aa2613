"""`coldchain ask`."""

from __future__ import annotations

import click

from coldchain.cli.common import Data, data_options, fail
from coldchain.settings import MAX_DEADLINE_H


@click.command()
@data_options
@click.argument("finding")
@click.option(
    "--hours", type=click.FloatRange(0.1, MAX_DEADLINE_H), help="Ledger time the party has (default: the setting, 72)."
)
@click.option("--link", "org", metavar="ORG", help="Make a one-time link instead, in the name of this organisation.")
def command(data: Data, finding: str, hours: float | None, org: str | None) -> None:
    """Ask the holder about a finding. The question is recorded; the deadline runs in ledger time.

    With --link somebody without a token is asked, a driver or a non-member: whoever opens the link answers once, and
    the answer is recorded in the name of ORG, graded transcribed. FINDING may then be a handover too (see inspect).
    """
    if org is not None:
        _link(data, finding, hours, org)
        return
    with data.core() as core:
        core.catch_up_if_alone()
        outcome = core.ask(finding, hours)
        data.show({"finding": finding, "index": outcome.index})


def _link(data: Data, about: str, hours: float | None, org: str) -> None:
    from coldchain.bootstrap.brokers import running_server
    from coldchain.bootstrap.links import Links
    from coldchain.db.queries_api import NotKnown
    from coldchain.services.moments import rfc3339
    from coldchain.services.principals import OPERATOR, Principal

    with data.core() as core:
        core.catch_up_if_alone()
        try:
            path, link = Links(core).issue(Principal(org, OPERATOR, frozenset(), OPERATOR), about, hours)
        except NotKnown as error:
            fail(str(error))
        server = running_server(core.settings.dir)
    document = {"link": (server["http"] if server else "") + path, "expires_at": rfc3339(link.expires_us)}
    data.show(document, lambda d: iter([d["link"]]))
