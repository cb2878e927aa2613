"""Whatever is sent to whichever route: no 5xx, the answers the OpenAPI document promises, problem+json for errors."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from coldchain.bootstrap.core import Core
from web.serving import Served

EXAMPLES = int(os.environ.get("COLDCHAIN_FUZZ", "3"))
"""Cases for each of the 90-odd operations; 25 make more than 2,000."""
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]


@pytest.fixture
def authorised(served: Served, own_story: Core) -> dict[str, str]:
    """The operator's header: much of what is asked also records."""
    served.stand_on(own_story)
    return {"authorization": f"Bearer {own_story.operator_token}"}


@pytest.fixture
def document(served: Served, authorised: dict[str, str]) -> dict[str, Any]:
    """As the server itself hands it out."""
    found: dict[str, Any] = httpx.get(f"{served.address}/openapi.json", headers=authorised).json()
    return found


@pytest.mark.timeout(300 + 20 * EXAMPLES)
def test_no_question_to_any_route_breaks_the_server_or_its_document(
    document: dict[str, Any], served: Served, authorised: dict[str, str]
) -> None:
    asked = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        nonlocal asked
        asked += 1
        answer = case.call(base_url=served.address, headers=authorised)
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            assert answer.headers["content-type"][0].startswith("application/problem+json")

    operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(operations) > 60
    for operation in operations:
        given(case=operation.as_strategy())(ask)()
    assert asked >= len(operations)
