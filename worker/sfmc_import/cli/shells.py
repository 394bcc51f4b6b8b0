"""Completion for bash, zsh and fish where keys have spaces, commas, colons, quotes and dollar signs."""

import os
import re
from typing import Any, ClassVar

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

_OPTION = re.compile(r"--[\w-]+=")
_PLAIN = re.compile(r"[^\w.,:@/%+=-]")


class Bash(BashComplete):
    """Quotes for bash, which takes what it is given as it is, and cuts words at colons and equals signs."""

    begun = ""
    """What is written of the word at the cursor."""

    source_template: ClassVar[str] = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        COMP_TEXT="${COMP_LINE:0:COMP_POINT}" COMP_CUR="${COMP_WORDS[COMP_CWORD]}" \\
        %(complete_var)s=bash_complete "$1")
    return 0
}

%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}

%(complete_func)s_setup;
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Give the words before the cursor, and what is written of the word there: words of a shell, not of bash."""
        line = os.environ.get("COMP_TEXT")
        if line is None:
            return super().get_completion_args()
        words = split_arg_string(line)[1:]
        is_new = not os.environ["COMP_CUR"] and line[-1:].isspace()
        self.begun = words.pop() if words and not is_new else ""
        return words, self.begun

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Write what stands in the place of the word that bash replaces."""
        value = item.value
        if item.type == "plain" and "COMP_TEXT" in os.environ:
            value = typed(value[len(self._kept(value)) :], os.environ["COMP_CUR"])
        return f"{item.type},{value}"

    def _kept(self, value: str) -> str:
        """Give the beginning of a value that bash leaves as it is: up to the last colon or equals sign."""
        found = split_arg_string(os.environ["COMP_CUR"])
        last = found[0] if found and found[0] not in {":", "="} else ""
        head = self.begun[: len(self.begun) - len(last)] if self.begun.endswith(last) else ""
        heads = (head, head.partition("=")[2])
        return next((value[: len(each)] for each in heads if each and value.lower().startswith(each.lower())), "")


def typed(value: str, begun: str) -> str:
    """Write a value as bash takes it back, after the quote with which its word begins."""
    if begun.startswith("'"):
        return begun[0] + value.replace("'", "'\\''") + "'"
    if begun.startswith('"'):
        return begun[0] + re.sub(r'([\\$"`])', r"\\\1", value) + '"'
    return _PLAIN.sub(lambda found: f"\\{found[0]}", value)


def with_option(item: CompletionItem[Any], begun: str) -> CompletionItem[Any]:
    """Give a value of `--option=` with the option, for a shell that replaces the whole word."""
    option = _OPTION.match(begun)
    if option is None or item.type != "plain":
        return item
    return CompletionItem(option[0] + item.value, item.type, item.help)


class Zsh(ZshComplete):
    """Starts the completion of zsh where nothing has yet."""

    begun = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Give the words before the cursor, and what is written of the word there."""
        words, self.begun = super().get_completion_args()
        return words, self.begun

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Write the whole word."""
        return super().format_completion(with_option(item, self.begun))

    def source(self) -> str:
        """Give the script; its first line stays the first, for those who put it into fpath."""
        first, _, rest = super().source().partition("\n")
        return f"{first}\n\n(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit -i }}\n{rest}"


class Fish(FishComplete):
    """Keeps keys that have a comma whole."""

    source_template: ClassVar[str] = """\
function %(complete_func)s;
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp | string collect) \\
        COMP_CWORD=(commandline -ct | string collect) %(prog_name)s);

    for completion in $response;
        set -l metadata (string split --max 1 "," -- $completion);

        if test "$metadata[1]" = "dir";
            __fish_complete_directories $metadata[2];
        else if test "$metadata[1]" = "file";
            __fish_complete_path $metadata[2];
        else if test "$metadata[1]" = "plain";
            printf '%%s\\n' $metadata[2];
        end;
    end;
end;

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)";
"""
    begun = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Give the words before the cursor, and what is written of the word there."""
        words, self.begun = super().get_completion_args()
        return words, self.begun

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Write the whole word."""
        return super().format_completion(with_option(item, self.begun))


def use() -> None:
    """Let click complete with these, in a process of ours."""
    for each in (Bash, Zsh, Fish):
        add_completion_class(each)
