"""A row of columns becomes an action with typed values; compiled once per file, pure."""

from collections.abc import Callable, Sequence

from ops.sandbox.importing.definition import Options
from ops.sandbox.importing.destinations import Destination
from ops.sandbox.importing.fields import Values
from ops.sandbox.importing.filters import compile_filter
from ops.sandbox.importing.mapping import Binding, column_of, columns_needed
from ops.sandbox.importing.outcome import BadRowError, LeftOutError, RefusedError
from ops.sandbox.importing.reading import Unreadable
from ops.sandbox.importing.updating import Action, action_by_value, action_of_every_row
from ops.sandbox.importing.values import Style

Interpreter = Callable[[Sequence[str]], tuple[Action, Values]]


def interpreter(
    options: Options,
    headings: Sequence[str] | None,
    bindings: Sequence[Binding],
    destination: Destination,
    style: Style,
) -> Interpreter:
    """Return what reads a row: its action and its values in the order of `bindings`, of keys only for Delete.

    It raises BadRowError with the reason, LeftOutError for a row that is left out. Raises RefusedError where
    the definition speaks of columns that are not there.
    """
    steps = [(destination.converter(item.field, style), item.column) for item in bindings]
    keys = [step for step, item in zip(steps, bindings, strict=True) if item.field.is_primary_key]
    least, most = columns_needed(options, headings, bindings)
    keep, width = _filter(options, headings)
    least = max(least, width)
    choose = _choice_of_action(options, headings)

    def read(row: Sequence[str]) -> tuple[Action, Values]:
        if not least <= len(row) <= most:
            raise BadRowError(_misfit(row, least))
        if keep is not None and not keep(row):
            raise LeftOutError
        action = choose(row)
        wanted = keys if action is Action.DELETE else steps
        return action, [convert(row[column]) for convert, column in wanted]

    return read


def _filter(options: Options, headings: Sequence[str] | None) -> tuple[Callable[[Sequence[str]], bool] | None, int]:
    if not options.filter:
        return None, 0
    compiled = compile_filter(options.filter, headings)
    return compiled.test, compiled.width


def _misfit(row: Sequence[str], least: int) -> str:
    if isinstance(row, Unreadable):
        return row.reason
    return f"the row has {len(row)} columns, {least} are expected"


def _choice_of_action(options: Options, headings: Sequence[str] | None) -> Callable[[Sequence[str]], Action]:
    every = action_of_every_row(options.update_type)
    if every is not None:
        return lambda _row: every
    if not options.control_column:
        raise RefusedError("UpdateType ColumnBased needs a ControlColumn")
    column = column_of(options.control_column, headings, "ControlColumn")
    return action_by_value(column, options.control_actions, options.control_default)
