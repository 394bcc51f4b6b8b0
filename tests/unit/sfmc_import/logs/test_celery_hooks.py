from types import SimpleNamespace
from typing import Any

import pytest

from sfmc_import.celery_app import subject_of


def task(**headers: Any) -> Any:
    return SimpleNamespace(name="imports.start", request=SimpleNamespace(headers=headers or None))


@pytest.mark.parametrize(
    ("headers", "arguments", "subject"),
    [
        (
            {"request_id": "r", "customer_key": "k", "mid": "1"},
            {"customer_key": "other"},
            {"request_id": "r", "customer_key": "k", "mid": "1"},
        ),
        ({}, {"customer_key": "k", "mid": 510}, {"customer_key": "k", "mid": "510"}),
        ({}, {"customer_key": ["not", "a", "key"]}, {}),
        ({}, None, {}),
        ({"celery_beat_task": True}, {}, {}),
        ({"request_id": "r", "attempt": 3}, {}, {"request_id": "r", "attempt": 3}),
        ({"request_id": "r", "attempt": "9" * 5000}, {}, {"request_id": "r"}),
        ({"request_id": "r", "attempt": 10**5000, "mid": -(10**5000)}, {}, {"request_id": "r"}),
        ({"request_id": "r" * 5000}, {}, {"request_id": "r" * 1024}),
    ],
)
def test_a_task_is_about_what_its_headers_say_else_its_arguments(
    headers: dict[str, Any], arguments: Any, subject: dict[str, str]
) -> None:
    assert subject_of(task(**headers), arguments) == subject
