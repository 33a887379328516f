"""Requests made up from the OpenAPI document, good and bad, are all answered as the document says."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.conftest import Service

EXAMPLES = 40


def test_no_request_gets_an_undocumented_answer(service: Service) -> None:
    document = schemathesis.openapi.from_wsgi("/openapi.json", service.app)
    results = list(document.get_all_operations())
    operations = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(operations) == len(results) == 6

    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        def is_answered_as_documented(case: Any) -> None:
            # JSON Schema cannot say which addresses and file names are good, so a refusal is no surprise.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        is_answered_as_documented()
