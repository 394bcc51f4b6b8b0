"""What `status` says about the window of a definition."""

import pytest

from sfmc_import.cli.overview import window_text


@pytest.mark.parametrize(
    ("left", "errors", "text"),
    [
        (0.0, 0, "open"),
        (0.0, 1, "open, after 1 import that ended in Error"),
        (60.0, 0, "closed for 60 s, by request a"),
        (60.0, 3, "closed for 60 s, by request a, after 3 imports in a row that ended in Error"),
    ],
)
def test_the_window_names_its_rest_its_request_and_errors_in_a_row(left: float, errors: int, text: str) -> None:
    assert window_text(left, "a", errors) == text
