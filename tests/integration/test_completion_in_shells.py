"""The scripts of completion in real shells, with keys that a shell must quote; what is not installed is left out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

KEYS = ("Daily_Orders", "Weekly Orders, North", "it's $HOME", "colon:key:1")
ASK = """eval "$(sfmc-import completion bash)"
COMP_LINE=$1 COMP_POINT=${#1}; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_sfmc_import_completion sfmc-import
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    policy = tmp_path / "policy.toml"
    policy.write_text("".join(f'[[definition]]\ncustomer_key = "{key}"\n' for key in KEYS))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    here = {"HOME": str(tmp_path), "PATH": path, "LC_ALL": "C.UTF-8", "SFMC_CONFIG": str(policy)}
    return here | {"SFMC_REDIS_URL": "redis://127.0.0.1:1/0", "SFMC_ACCOUNT_ID": "510001234"}


def said(environment: dict[str, str], *command: str) -> list[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "words", "found"),
    [
        ("status week", ["status", "week"], r"Weekly\ Orders,\ North"),
        ("status it", ["status", "it"], r"it\'s\ \$HOME"),
        ("status 'it", ["status", "'it"], r"'it'\''s $HOME'"),
        ("status colon:k", ["status", "colon", ":", "k"], "key:1"),
        ("events --key=week", ["events", "--key", "=", "week"], r"Weekly\ Orders,\ North"),
    ],
)
def test_bash_completes_keys(environment: dict[str, str], line: str, words: list[str], found: str) -> None:
    asked = said(environment, "bash", "-c", ASK, "bash", f"sfmc-import {line}", "sfmc-import", *words)

    assert asked == [found]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("status week", ["Weekly Orders, North"]),
        ("status 'it", ["it's $HOME"]),
        ("events --key=week", ["--key=Weekly Orders, North"]),
        ("tokens re", ["revoke"]),
    ],
)
def test_fish_completes_keys(environment: dict[str, str], line: str, found: list[str]) -> None:
    script = "sfmc-import completion fish | source; complete -C $argv[1]"

    assert said(environment, "fish", "--no-config", "-c", script, f"sfmc-import {line}") == found


def test_zsh_knows_the_command_also_where_nothing_has_started_its_completion(environment: dict[str, str]) -> None:
    script = 'eval "$(sfmc-import completion zsh)"; print -r -- $_comps[sfmc-import]'

    assert said(environment, "zsh", "-f", "-c", script) == ["_sfmc_import_completion"]
