"""Decisions about rows that meet existing ones: which update types may run, and what a control value asks for."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from ops.sandbox.importing.outcome import BadRowError, LeftOutError, RefusedError


class UpdateType(StrEnum):
    """ImportDefinitionUpdateType of the Marketing Cloud WSDL."""

    ADD_AND_UPDATE = "AddAndUpdate"
    ADD_AND_DO_NOT_UPDATE = "AddAndDoNotUpdate"
    UPDATE_BUT_DO_NOT_ADD = "UpdateButDoNotAdd"
    MERGE = "Merge"
    OVERWRITE = "Overwrite"
    COLUMN_BASED = "ColumnBased"


class Action(StrEnum):
    """ImportDefinitionColumnBasedActionType of the Marketing Cloud WSDL: what is done with one row."""

    ADD_AND_UPDATE = "AddAndUpdate"
    ADD_BUT_DO_NOT_UPDATE = "AddButDoNotUpdate"
    UPDATE_BUT_DO_NOT_ADD = "UpdateButDoNotAdd"
    DELETE = "Delete"
    SKIP = "Skip"


_ACTION_OF = {
    UpdateType.ADD_AND_UPDATE: Action.ADD_AND_UPDATE,
    UpdateType.OVERWRITE: Action.ADD_AND_UPDATE,
    UpdateType.ADD_AND_DO_NOT_UPDATE: Action.ADD_BUT_DO_NOT_UPDATE,
    UpdateType.UPDATE_BUT_DO_NOT_ADD: Action.UPDATE_BUT_DO_NOT_ADD,
}


def action_of_every_row(update_type: UpdateType) -> Action | None:
    """Return what `update_type` does with each row; None where the row itself says it (ColumnBased)."""
    return _ACTION_OF.get(update_type)


def check_update_type(update_type: UpdateType, *, into_list: bool, has_primary_key: bool) -> None:
    """Raise RefusedError where the destination cannot take `update_type`.

    Marketing Cloud docs: Merge is "not used", Overwrite is for data extensions, and a data extension without
    a primary key takes only Overwrite ("Import Activity in Email Studio").
    """
    if update_type is UpdateType.MERGE:
        raise RefusedError("UpdateType Merge is reserved: choose another one")
    if into_list and update_type is UpdateType.OVERWRITE:
        raise RefusedError("UpdateType Overwrite is for data extensions: a list is updated row by row")
    if not (into_list or has_primary_key or update_type is UpdateType.OVERWRITE):
        raise RefusedError(f"a data extension without a primary key takes Overwrite only, not {update_type}")


def action_by_value(column: int, actions: Mapping[str, Action], default: Action) -> Callable[[Sequence[str]], Action]:
    """Return what tells a row's action from its control column (compared without spaces around, any case).

    It raises BadRowError for a row that ends before the column, LeftOutError for one to be skipped.
    """
    known = {value.strip().casefold(): action for value, action in actions.items()}

    def choose(row: Sequence[str]) -> Action:
        if column >= len(row):
            raise BadRowError("the row has no control column")
        action = known.get(row[column].strip().casefold(), default)
        if action is Action.SKIP:
            raise LeftOutError
        return action

    return choose
