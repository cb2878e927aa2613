"""Hypothesis in this suite: the same examples each time, or with COLDCHAIN_EXPLORE=1 new ones and many more."""

from __future__ import annotations

import os

from hypothesis import settings

EXPLORING = os.environ.get("COLDCHAIN_EXPLORE") == "1"

# Two shared cores: how long one example takes says nothing about the code.
settings.register_profile("coldchain", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)


def examples(usual: int) -> int:
    """For `max_examples` of tests that set it themselves: ten times as many when exploring (with `--timeout=0`)."""
    return 10 * usual if EXPLORING else usual
