"""What a shell gets as completion is what it would have taken had a person typed it."""

import re
import shlex

import pytest
from click.shell_completion import CompletionItem
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.cli.main import cli
from sfmc_import.cli.shells import Bash, Fish, Zsh, typed, with_option

KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)


@given(KEYS, st.sampled_from(["", "Dai", "'", '"', "'We"]))
def test_a_shell_takes_a_key_back_as_one_word(key: str, begun: str) -> None:
    written = typed(key, begun)
    # In double quotes a shell takes a backslash away before these too; shlex does not know it.
    taken = re.sub(r"\\([$`])", r"\1", written) if begun == '"' else written
    assert shlex.split(taken) == [key]


@pytest.mark.parametrize(
    ("line", "cur", "value", "written"),
    [
        ("sfmc-import status ", "", "a b", "a\\ b"),
        ("sfmc-import status a", "a", "a b", "a\\ b"),
        ("sfmc-import status 'a ", "'a ", "a b", "'a b'"),
        ('sfmc-import status "a', '"a', "a $b", '"a \\$b"'),
        ("sfmc-import status A:k", "k", "a:key:1", "key:1"),
        ("sfmc-import status a:", ":", "a:key:1", "key:1"),
        ('sfmc-import status "a:k', '"a:k', "a:key:1", '"a:key:1"'),
        ("sfmc-import events --key=a", "a", "a:key", "a:key"),
        ("sfmc-import events --key=", "=", "a b", "a\\ b"),
        ("sfmc-import events --key=a:k", "k", "a:key", "key"),
        ("sfmc-import st", "st", "status", "status"),
    ],
)
def test_bash_gets_what_stands_in_the_place_of_the_word_that_it_replaces(
    monkeypatch: pytest.MonkeyPatch, line: str, cur: str, value: str, written: str
) -> None:
    monkeypatch.setenv("COMP_TEXT", line)
    monkeypatch.setenv("COMP_CUR", cur)
    shell = Bash(cli, {}, "sfmc-import", "X")
    shell.get_completion_args()

    assert shell.format_completion(CompletionItem(value)) == f"plain,{written}"


def test_a_place_of_files_is_left_to_bash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_TEXT", "sfmc-import start k --file a")
    monkeypatch.setenv("COMP_CUR", "a")
    shell = Bash(cli, {}, "sfmc-import", "X")

    assert shell.get_completion_args() == (["start", "k", "--file"], "a")
    assert shell.format_completion(CompletionItem("a b", type="file")) == "file,a b"


@pytest.mark.parametrize(("begun", "value"), [("--key=a", "--key=a b"), ("a", "a b"), ("a=b", "a b")])
def test_a_shell_that_replaces_the_whole_word_gets_the_option_too(begun: str, value: str) -> None:
    assert with_option(CompletionItem("a b"), begun).value == value


@pytest.mark.parametrize("kind", [Zsh, Fish])
def test_the_option_is_kept(monkeypatch: pytest.MonkeyPatch, kind: type[Zsh | Fish]) -> None:
    monkeypatch.setenv("COMP_WORDS", "sfmc-import events --key=a")
    monkeypatch.setenv("COMP_CWORD", "2" if kind is Zsh else "--key=a")
    shell = kind(cli, {}, "sfmc-import", "X")

    assert shell.get_completion_args() == (["events"], "--key=a")
    assert "--key=a, b" in shell.format_completion(CompletionItem("a, b"))


def test_the_script_of_zsh_begins_with_the_line_that_fpath_needs() -> None:
    lines = Zsh(cli, {}, "sfmc-import", "X").source().splitlines()

    assert lines[0] == "#compdef sfmc-import"
    assert "compinit -i" in lines[2]
