import email
import email.policy
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sfmc_sandbox.importing.notification import compose, is_wanted, notification_file
from sfmc_sandbox.importing.outcome import Outcome
from tests.unit.sfmc_sandbox.importing.world import TIDY

TO_ANN = {"ResponseType": "email", "ResponseAddress": "ann@example.com"}


def ended(status="Completed", errors=0):
    return Outcome(status, 1, 0, 0, errors, 1 + errors, "Data Extensions", "people", "", None)


@pytest.mark.parametrize(
    ("notification", "fine", "bad_rows", "failed"),
    [
        (TO_ANN, True, True, True),
        (TO_ANN | {"RespondWhen": "Always"}, True, True, True),
        (TO_ANN | {"RespondWhen": "OnCallComplete"}, True, True, True),
        (TO_ANN | {"RespondWhen": "OnConversationComplete"}, True, True, True),
        (TO_ANN | {"RespondWhen": "OnError"}, False, True, True),
        (TO_ANN | {"RespondWhen": "OnConversationError"}, False, True, True),
        (TO_ANN | {"RespondWhen": "Never"}, False, False, False),
        (TO_ANN | {"ResponseType": "FTP"}, True, True, True),
        (TO_ANN | {"ResponseType": "None"}, False, False, False),
        (TO_ANN | {"ResponseAddress": ""}, False, False, False),
        (None, False, False, False),
    ],
)
def test_notification_is_wanted_when_response_type_and_respond_when_say_so(notification, fine, bad_rows, failed):
    assert is_wanted(notification, ended()) is fine
    assert is_wanted(notification, ended(errors=1)) is bad_rows
    assert is_wanted(notification, ended("Error")) is failed


def mail_of(world):
    path = notification_file(world.files, world.task_id)
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default) if path.exists() else None


def test_notification_is_a_mail_in_a_file_with_the_counts(world):
    world.people()
    world.into_people(*TIDY, "x,Bad,1", Notification=TO_ANN)
    mail = mail_of(world)
    assert (mail["To"], mail["Subject"], mail["X-Task-ID"]) == ("ann@example.com", "Import daily: Completed", "1")
    assert mail["Date"].startswith("Thu, 09 May 2024 15:30:00")
    assert "Successful: 2\n" in mail.get_content()
    assert "Errors: 1\n" in mail.get_content()
    assert "is not an email address" not in mail.get_content()


def test_include_results_adds_the_bad_rows(world):
    world.people()
    world.into_people(*TIDY, "x,Bad,1", Notification=TO_ANN | {"IncludeResults": True})
    assert "Line 4 of people.csv: Email: 'x' is not an email address" in mail_of(world).get_content()


def test_an_import_that_could_not_run_is_notified_too(world):
    world.run(Notification=TO_ANN | {"RespondWhen": "OnError"})
    assert "no file for 'people.csv'" in mail_of(world).get_content()


def test_no_mail_is_written_when_none_is_wanted(world):
    world.people()
    world.into_people(*TIDY, Notification=TO_ANN | {"RespondWhen": "Never"})
    assert mail_of(world) is None


def test_a_folder_that_takes_no_mail_does_not_change_the_outcome(world):
    world.people()
    (world.files.parent / "notifications").write_text("a file where a folder should be")
    assert world.into_people(*TIDY, Notification=TO_ANN).status == "Completed"


@example("<", "")
@given(st.text(), st.text())
def test_a_mail_can_be_written_to_any_address_about_any_key(address, key):
    notification = {"ResponseType": "email", "ResponseAddress": address}
    mail = compose(notification, key, 1, ended(), [], datetime(2024, 5, 9, tzinfo=UTC))
    assert b"Total: 1" in bytes(mail)


def test_line_ends_in_an_address_or_key_cannot_add_headers(world):
    world.people()
    evil = TO_ANN | {"ResponseAddress": "a@example.com\r\nBcc: b@example.com"}
    assert world.into_people(*TIDY, Notification=evil, CustomerKey="k\r\nBcc: c@example.com").status == "Completed"
    assert mail_of(world)["Bcc"] is None


def test_an_address_that_is_no_mail_address_stands_in_a_header_of_its_own(world):
    world.people()
    world.into_people(*TIDY, Notification={"ResponseType": "HTTPPost", "ResponseAddress": "https://example.com/done"})
    assert (mail_of(world)["To"], mail_of(world)["X-Response-Address"]) == (None, "https://example.com/done")
