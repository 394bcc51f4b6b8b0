"""A destination that vanishes in the middle of a run, seen from the rows that still come."""

import pytest

from sfmc_sandbox.importing.dates import date_reader
from sfmc_sandbox.importing.definition import read_definition
from sfmc_sandbox.importing.destinations import IntoDataExtension
from sfmc_sandbox.importing.outcome import RefusedError, Tally
from sfmc_sandbox.importing.run import Transfer
from sfmc_sandbox.importing.sources import Table
from sfmc_sandbox.importing.values import Style
from tests.unit.sfmc_sandbox.importing.world import MID


class Rows:
    """Rows that call somebody after `calm` of them."""

    def __init__(self, calm, then):
        self._calm = calm
        self._then = then
        self.line = 0
        self.raw = ""
        self.characters = 0

    def __iter__(self):
        while self.line < 2 * self._calm:
            self.line += 1
            if self.line == self._calm:
                self._then()
            yield [f"p{self.line}@example.com"]


@pytest.fixture
def transfer(world):
    return Transfer(world.store, 1, Tally())


def move(world, transfer, rows):
    destination = IntoDataExtension(world.people(), world.store.new_run())
    style = Style("", date_reader("en-US"), "2024-05-09T00:00:00")
    transfer.run(read_definition({}), iter([Table("stream", ["Email"], rows)]), destination, style)


def test_a_data_extension_dropped_in_the_middle_ends_the_run_with_a_clear_reason(world, transfer):
    rows = Rows(5000, lambda: world.store.drop_data_extension(MID, "people"))
    with pytest.raises(RefusedError, match="'people' was deleted while the import ran"):
        move(world, transfer, rows)


def test_a_source_that_breaks_off_leaves_the_rows_before_it_stored_and_counted(world, transfer):
    def break_off():
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        move(world, transfer, Rows(3000, break_off))
    assert transfer.tally.successful == world.store.row_count(MID, "people") == 2999
