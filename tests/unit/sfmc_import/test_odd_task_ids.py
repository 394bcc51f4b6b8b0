"""A task id of a foreign message may be any text; each names one request."""

import pytest

from sfmc_import.request import request_id_of


@pytest.mark.parametrize("task_id", ["\ud800x", "a b", "", "ü" * 200, 5, None])
def test_any_task_id_names_a_request(task_id: object):
    assert request_id_of(task_id) == request_id_of(task_id)
    assert request_id_of(task_id).isascii()


def test_odd_task_ids_that_differ_name_different_requests():
    assert request_id_of("\ud800x") != request_id_of("\ud801x")
