"""A row of columns becomes an action with typed values; compiled once per file, pure."""

from collections.abc import Callable, Sequence

from ops.sandbox.importing.definition import Options
from ops.sandbox.importing.destinations import Destination
from ops.sandbox.importing.fields import Values
from ops.sandbox.importing.mapping import Binding, column_of, columns_needed
from ops.sandbox.importing.outcome import BadRowError, RefusedError
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
    """Return what reads a row; it raises BadRowError with the reason, LeftOutError for a row left out.

    Raises RefusedError where the definition speaks of columns that are not there.
    """
    convert = _convert(options, headings, bindings, destination, style)
    every = action_of_every_row(options.update_type)
    if every is not None:
        return lambda row: (every, convert(row))
    choose = _control(options, headings)
    return lambda row: (choose(row), convert(row))


def _convert(
    options: Options,
    headings: Sequence[str] | None,
    bindings: Sequence[Binding],
    destination: Destination,
    style: Style,
) -> Callable[[Sequence[str]], Values]:
    steps = [(destination.converter(item.field, style), item.column) for item in bindings]
    least, most = columns_needed(options, headings, bindings)

    def convert(row: Sequence[str]) -> Values:
        if not least <= len(row) <= most:
            raise BadRowError(f"the row has {len(row)} columns, {least} are expected")
        return [read(row[column]) for read, column in steps]

    return convert


def _control(options: Options, headings: Sequence[str] | None) -> Callable[[Sequence[str]], Action]:
    if not options.control_column:
        raise RefusedError("UpdateType ColumnBased needs a ControlColumn")
    column = column_of(options.control_column, headings or (), "ControlColumn")
    return action_by_value(column, options.control_actions, options.control_default)
