"""Each house rule of ours can be broken, and the finding says what is wrong."""

import pytest

from sfmc_harness.checks import MAX_FILE, MAX_FUNCTION, findings


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("worker/long.py", "x = 1\n" * (MAX_FILE + 1), "501 lines"),
        ("tests/long.py", "x = 1\n" * (MAX_FILE + 1), "501 lines"),
        ("worker/a.py", "def f():\n" + "    x = 1\n" * MAX_FUNCTION, "f has 31 lines"),
        ("worker/a.py", "async def f():\n" + "    x = 1\n" * MAX_FUNCTION, "f has 31 lines"),
        ("worker/soap_utils.py", "", "says nothing"),
        ("worker/base/a.py", "", "says nothing"),
        ("worker/a.py", "raise NotImplemented" + "Error\n", "left unfinished"),
        ("README.md", "see /ro" + "ot/project\n", "machine's path"),
        ("requirements.txt", "--index-url https://py" + "pi.org/simple\n", "package registry"),
    ],
)
def test_a_broken_rule_is_found(path: str, text: str, complaint: str) -> None:
    assert any(complaint in finding for finding in findings(path, text))


def test_a_file_that_keeps_every_rule_has_no_finding() -> None:
    function = "def f():\n" + "    x = 1\n" * (MAX_FUNCTION - 1)

    assert findings("worker/a.py", function + "\n" * (MAX_FILE - MAX_FUNCTION)) == []
