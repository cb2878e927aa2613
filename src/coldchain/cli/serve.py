"""`coldchain serve`."""

from __future__ import annotations

import click

from coldchain.cli.common import Data, data_options


@click.command()
@data_options
@click.option(
    "--http", metavar="HOST:PORT", help="Where the web server listens; port 0 chooses (default 127.0.0.1:8080)."
)
@click.option(
    "--mqtt",
    metavar="HOST:PORT|URL",
    help="HOST:PORT: the embedded broker listens there; mqtt://…: use that broker (default 127.0.0.1:1883).",
)
def command(data: Data, http: str | None, mqtt: str | None) -> None:
    """Run the server until SIGTERM or Ctrl-C. One line on stdout says when it is ready and where."""
    from coldchain.bootstrap.core import open_core
    from coldchain.bootstrap.server import run

    with open_core(data.settings(http=http, mqtt=mqtt), create=True) as core:
        run(core, as_json=data.as_json)
