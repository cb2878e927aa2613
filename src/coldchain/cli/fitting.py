"""What is stated of a device's sensors, as options of the commands that state it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from coldchain.cli.common import fail


def fitting_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options, with the parameters `product_probes`, `controller` and `calibration`."""
    for option in (
        click.option(
            "--calibration", metavar="CERT:DATE", help="Calibration certificate and the last day it is valid."
        ),
        click.option("--controller", is_flag=True, help="It is the refrigeration's own controller, no recorder."),
        click.option(
            "--product-probe",
            "product_probes",
            multiple=True,
            metavar="PROBE",
            help="This probe is in the product, not in the air; may be repeated.",
        ),
    ):
        command = option(command)
    return command


def stated_fitting(product_probes: tuple[str, ...], controller: bool, calibration: str | None) -> dict[str, Any]:
    """The fields of the order; what they hold is checked there."""
    if calibration is None:
        certificate = None
    else:
        number, colon, until = calibration.rpartition(":")
        if not colon:
            fail(f"--calibration {calibration!r}: expected CERT:DATE, e.g. CAL-2026-0117:2027-05-01")
        certificate = {"certificate": number, "until": until}
    probes = {name.removeprefix("temp/"): "product" for name in product_probes}
    return {"probes": probes, "controller": controller, "calibration": certificate}
