"""The house rules hold for every file under version control, and each rule can be broken."""

import subprocess
from pathlib import Path

import pytest

from sfmc_harness.checks import MAX_FUNCTION, MAX_NESTING, MAX_TEST_FILE, findings

ROOT = Path(__file__).resolve().parents[2]


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [
        name for name in listed.stdout.split("\0") if name and not name.endswith(".lock") and (ROOT / name).is_file()
    ]


def test_every_file_keeps_the_house_rules():
    broken = [
        finding for name in tracked_files() for finding in findings(name, (ROOT / name).read_text(errors="replace"))
    ]

    assert broken == []


def nested(depth):
    blocks = [f"{'    ' * level}if x:\n" for level in range(1, depth + 1)]
    return "def f(x):\n" + "".join(blocks) + "    " * (depth + 1) + "x()\n"


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("worker/long.py", "x = 1\n" * 501, "501 lines"),
        ("tests/long.py", "x = 1\n" * (MAX_TEST_FILE + 1), "501 lines"),
        ("worker/a.py", "def f():\n" + "    x = 1\n" * MAX_FUNCTION, "f has 31 lines"),
        ("worker/a.py", nested(MAX_NESTING + 1), "f nests 4 blocks"),
        ("worker/soap_utils.py", "", "says nothing"),
        ("worker/base/a.py", "", "says nothing"),
        ("tests/unit/test_a.py", "time.sleep" + "(1)\n", "sleeps"),
        ("worker/a.py", "# TO" + "DO later\n", "left unfinished"),
        ("worker/a.py", "raise NotImplemented" + "Error\n", "left unfinished"),
        ("README.md", "see /ro" + "ot/project\n", "machine's path"),
        ("requirements.txt", "--index-url https://py" + "pi.org/simple\n", "package registry"),
    ],
)
def test_a_broken_rule_is_found(path, text, complaint):
    assert any(complaint in finding for finding in findings(path, text))


def test_an_elif_is_no_deeper_than_its_if():
    text = "def f(x):\n    if x == 1:\n        pass\n" + "    elif x == 2:\n        pass\n" * 10

    assert findings("worker/a.py", text) == []


def test_a_sleep_in_the_product_is_no_finding():
    assert findings("ops/local/a.py", "time.sleep" + "(1)\n") == []
