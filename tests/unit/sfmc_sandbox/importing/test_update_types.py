import pytest

from sfmc_sandbox.importing.definition import (
    Action,
    UpdateType,
    action_by_value,
    action_of_every_row,
    check_update_type,
)
from sfmc_sandbox.importing.lists import Verdict, decide
from sfmc_sandbox.importing.outcome import BadRowError, LeftOutError, RefusedError


def test_update_type_and_column_action_are_two_sets_of_words():
    assert "AddAndDoNotUpdate" in set(UpdateType)
    assert "AddButDoNotUpdate" not in set(UpdateType)
    assert "AddButDoNotUpdate" in set(Action)
    assert "AddAndDoNotUpdate" not in set(Action)


@pytest.mark.parametrize("update_type", list(UpdateType))
@pytest.mark.parametrize("into_list", [True, False])
@pytest.mark.parametrize("has_primary_key", [True, False])
def test_a_destination_takes_the_update_types_the_vendor_allows(update_type, into_list, has_primary_key):
    allowed = set(UpdateType) - {UpdateType.MERGE}
    if into_list:
        allowed -= {UpdateType.OVERWRITE}
    elif not has_primary_key:
        allowed = {UpdateType.OVERWRITE}
    if update_type in allowed:
        check_update_type(update_type, into_list=into_list, has_primary_key=has_primary_key)
    else:
        with pytest.raises(RefusedError, match=f"UpdateType|not {update_type}"):
            check_update_type(update_type, into_list=into_list, has_primary_key=has_primary_key)


def test_only_column_based_asks_each_row():
    assert [kind for kind in UpdateType if action_of_every_row(kind) is None] == ["Merge", "ColumnBased"]


def test_a_control_value_chooses_the_action_and_an_unknown_one_the_default():
    choose = action_by_value(1, {"X": Action.DELETE, "s": Action.SKIP}, Action.ADD_AND_UPDATE)
    assert choose(["a", " x "]) is Action.DELETE
    assert choose(["a", "other"]) is Action.ADD_AND_UPDATE
    with pytest.raises(LeftOutError):
        choose(["a", "S"])
    with pytest.raises(BadRowError, match="no control column"):
        choose(["a"])


@pytest.mark.parametrize(
    ("action", "on_list", "barred", "touched", "verdict"),
    [
        (Action.ADD_AND_UPDATE, False, False, False, Verdict.WRITE),
        (Action.ADD_AND_UPDATE, True, False, False, Verdict.WRITE),
        (Action.ADD_AND_UPDATE, True, True, False, Verdict.RESTRICTED),
        (Action.ADD_AND_UPDATE, False, True, False, Verdict.RESTRICTED),
        (Action.ADD_AND_UPDATE, True, False, True, Verdict.WRITE_AGAIN),
        (Action.ADD_BUT_DO_NOT_UPDATE, True, False, False, Verdict.DUPLICATED),
        (Action.ADD_BUT_DO_NOT_UPDATE, False, False, False, Verdict.WRITE),
        (Action.ADD_BUT_DO_NOT_UPDATE, True, True, False, Verdict.RESTRICTED),
        (Action.UPDATE_BUT_DO_NOT_ADD, False, False, False, Verdict.RESTRICTED),
        (Action.UPDATE_BUT_DO_NOT_ADD, True, False, False, Verdict.WRITE),
        (Action.DELETE, True, True, False, Verdict.REMOVE),
        (Action.DELETE, True, False, True, Verdict.REMOVE),
        (Action.DELETE, False, False, False, Verdict.RESTRICTED),
    ],
)
def test_a_subscriber_is_written_removed_or_left_alone(action, on_list, barred, touched, verdict):
    assert decide(action, on_list=on_list, barred=barred, touched=touched) is verdict
