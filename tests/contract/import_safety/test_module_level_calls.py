"""No module of `sfmc_import` acts when it is imported: what it calls at module level is on a list."""

import ast
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "worker" / "sfmc_import"
HARMLESS = {
    # values
    *("dataclass", "field", "frozenset", "dict", "set", "tuple", "range", "getattr", "MappingProxyType", "TypeVar"),
    *("re.compile", "map", "sorted", "str", "join", "items", "values", "upper", "removeprefix", "partial", "Path"),
    *(
        "Ambiguous",
        "NotApplied",
        "Outcome",
        "PlainSecret",
        "PlainSerializer",
        "SecretStr",
        "Subcommand",
        "_plainly",
        "_transitions",
        "examples",
    ),
    *(
        "Finding",
        "Key",
        "RequestKey",
        "any",
        "Field",
        "Secrets",
        "Backoff",
        "RetryPolicy",
        "Role",
        "Without",
        "_each",
        "Failed",
    ),
    *("dict.fromkeys", "float", "list", "UUID", "timedelta", "timezone", "_headers", "lru_cache", "ContextVar"),
    # what helps against an error
    *("Advice", "Command", "Option", "with_command", "advice_for_end"),
    # fields and checks of the settings
    *("ConfigDict", "Field", "AfterValidator", "BeforeValidator", "field_validator", "model_validator"),
    # names for logs and clocks
    *("structlog.get_logger", "logging.getLogger", "Logger"),
    # the one Celery application, and its tasks
    *("make_app", "app.task"),
}
"""Calls that make a value and change nothing outside their module."""


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Yield the calls that run when the module is imported: also those of class bodies, decorators and defaults."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.Lambda):
            waiting += node.args.defaults
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "__name__ == '__main__'"}):
            waiting += ast.iter_child_nodes(node)


def name_of(call: ast.Call) -> str:
    function = call.func
    return ast.unparse(function) if isinstance(function, (ast.Name, ast.Attribute)) else "?"


def test_no_module_calls_anything_at_import_that_is_not_on_the_list() -> None:
    found = {
        (str(path.relative_to(FOLDER)), name_of(call))
        for path in FOLDER.rglob("*.py")
        if path.name != "__main__.py"
        for call in calls(ast.parse(path.read_text()))
    }
    assert {(path, name) for path, name in found if not is_harmless(path, name)} == set()


def is_harmless(path: str, name: str) -> bool:
    # Each option of a command is a call; they make objects of click.
    of_click = path.startswith("cli/") and (name.startswith("click.") or name.endswith("_group.command"))
    return of_click or name in HARMLESS or name.rpartition(".")[2] in HARMLESS


def test_a_call_at_module_level_is_seen_wherever_it_stands() -> None:
    text = (
        "a()\nclass C:\n    x = b()\n    @c()\n    def f(self, y=d()):\n        return e()\nz = [g(h) for h in i()]\n"
    )

    assert {name_of(call) for call in calls(ast.parse(text))} == {"a", "b", "c", "d", "g", "i"}
