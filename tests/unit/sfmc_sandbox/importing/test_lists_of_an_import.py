"""Imports into lists: addresses are the keys, and people who left stay away."""

import pytest

from tests.unit.sfmc_sandbox.importing.world import MID, TIDY, counts

ALL_SUBSCRIBERS = 99


@pytest.fixture
def news(world):
    return world.store.create_list(MID, "News")


@pytest.fixture
def subscribe(world, news):
    def subscribe(*lines, list_id=news, head="Email Address,First Name", **properties):
        return world.into_people(*lines, head=head, DestinationObject={"xsi:type": "List", "ID": list_id}, **properties)

    return subscribe


@pytest.fixture
def on(world, news):
    def on(list_id=news):
        return {one.address: one.attributes.get("First Name") for one in world.store.subscribers(MID, list_id)}

    return on


def test_destination_object_is_a_list_by_id(subscribe, on, news):
    outcome = subscribe("a@example.com,Ann", "b@example.com,Bob")
    assert (outcome.import_type, outcome.destination_id) == ("Subscriber List", str(news))
    assert counts(outcome) == (2, 0, 0, 0)
    assert on() == {"a@example.com": "Ann", "b@example.com": "Bob"}


def test_an_invalid_address_is_an_error_and_a_repeated_one_duplicated(world, subscribe, on):
    outcome = subscribe("a@example.com,Ann", "unknown,X", ",Y", "A@example.com,Last")
    assert counts(outcome) == (1, 1, 0, 2)
    assert on() == {"a@example.com": "Last"}
    assert world.reasons() == [
        "Email Address: 'unknown' is not an email address",
        "Email Address: a value is required",
    ]


@pytest.mark.parametrize("status", ["Unsubscribed", "Held"])
def test_people_who_unsubscribed_or_are_held_are_restricted_and_stay_as_they_are(world, subscribe, on, status):
    subscribe("a@example.com,Ann", "b@example.com,Bob")
    assert world.store.set_status(MID, "A@example.com", status)
    assert counts(subscribe("a@example.com,New", "b@example.com,New")) == (1, 0, 1, 0)
    assert on() == {"a@example.com": "Ann", "b@example.com": "New"}
    assert [one.status for one in world.store.subscribers(MID, 1)] == [status, "Active"]


def test_a_status_column_sets_the_status_and_a_wrong_one_is_an_error(world, subscribe):
    outcome = subscribe("a@example.com,unsubscribed", "b@example.com,gone", "c@example.com,", head="Email,Status")
    assert counts(outcome) == (2, 0, 0, 1)
    assert [one.status for one in world.store.subscribers(MID, 1)] == ["Unsubscribed", "Active"]
    assert world.reasons() == ["Status: 'gone' is not one of Active, Bounced, Held, Unsubscribed"]


def test_a_subscriber_key_column_is_kept_and_the_address_stands_in_for_it(world, subscribe):
    subscribe("a@example.com,k-1", "b@example.com,", head="Email,SubscriberKey")
    assert [one.subscriber_key for one in world.store.subscribers(MID, 1)] == ["k-1", "b@example.com"]


def test_setting_a_status_needs_a_known_one_and_an_address(world):
    assert not world.store.set_status(MID, "unknown@example.com", "Held")
    with pytest.raises(ValueError, match="status is 'gone'"):
        world.store.set_status(MID, "unknown@example.com", "gone")


@pytest.mark.parametrize(
    ("update_type", "expected", "names"),
    [
        ("AddAndUpdate", (2, 0, 0, 0), {"a@example.com": "New", "c@example.com": "Cat"}),
        ("AddAndDoNotUpdate", (1, 1, 0, 0), {"a@example.com": "Ann", "c@example.com": "Cat"}),
        ("UpdateButDoNotAdd", (1, 0, 1, 0), {"a@example.com": "New"}),
    ],
)
def test_update_type_decides_about_those_on_the_list_and_not(subscribe, on, update_type, expected, names):
    subscribe("a@example.com,Ann")
    assert counts(subscribe("a@example.com,New", "c@example.com,Cat", UpdateType=update_type)) == expected
    assert on() == names


@pytest.mark.parametrize("update_type", ["Overwrite", "Merge"])
def test_update_types_that_no_list_takes_end_in_error(subscribe, update_type):
    outcome = subscribe("a@example.com,Ann", UpdateType=update_type)
    assert outcome.status == "Error"
    assert update_type in outcome.message


def test_column_based_delete_takes_a_subscriber_off_the_list_only(world, subscribe, on, news):
    subscribe("a@example.com,Ann", "b@example.com,Bob")
    outcome = subscribe(
        "a@example.com,x",
        "z@example.com,x",
        head="Email,Do",
        UpdateType="ColumnBased",
        ControlColumn="Do",
        ControlColumnDefaultAction="Delete",
    )
    assert counts(outcome) == (1, 0, 1, 0)
    assert list(on()) == ["b@example.com"]
    everybody = world.store.create_list(MID, "All Subscribers", ALL_SUBSCRIBERS, all_subscribers=True)
    assert list(on(everybody)) == ["a@example.com", "b@example.com"]


def test_the_all_subscribers_list_is_there_for_every_account_and_holds_everybody(world, subscribe, on, news):
    subscribe("a@example.com,Ann")
    outcome = subscribe(
        "a@example.com,New", "b@example.com,Bob", list_id=ALL_SUBSCRIBERS, UpdateType="AddAndDoNotUpdate"
    )
    assert counts(outcome) == (1, 1, 0, 0)
    assert on(ALL_SUBSCRIBERS) == {"a@example.com": "Ann", "b@example.com": "Bob"}
    assert on(news) == {"a@example.com": "Ann"}


def test_off_the_all_subscribers_list_is_off_every_list(subscribe, on):
    subscribe("a@example.com,Ann")
    delete = {"UpdateType": "ColumnBased", "ControlColumn": "Do", "ControlColumnDefaultAction": "Delete"}
    assert subscribe("a@example.com,x", head="Email,Do", list_id=ALL_SUBSCRIBERS, **delete).successful == 1
    assert on() == {}


def test_subscriber_import_type_sms_takes_mobile_numbers(world, subscribe, on):
    outcome = subscribe("+1 555 123 4567,Ann", "unknown,Bob", head="Mobile,First Name", SubscriberImportType="SMS")
    assert counts(outcome) == (1, 0, 0, 1)
    assert on() == {"+1 555 123 4567": "Ann"}
    assert "fills the required field 'Mobile Number'" in subscribe(TIDY[0], SubscriberImportType="SMS").message


def test_subscriber_import_type_email_takes_addresses(subscribe):
    outcome = subscribe("+15551234567,Ann", head="Mobile,First Name", SubscriberImportType="Email")
    assert "fills the required field 'Email Address'" in outcome.message


def test_field_maps_reach_the_fields_and_attributes_of_a_subscriber(subscribe, on):
    maps = [
        {"SourceOrdinal": 1, "DestinationName": "Email Address"},
        {"SourceOrdinal": 0, "DestinationName": "First Name"},
    ]
    subscribe("Ann,a@example.com", head="Bob,b@example.com", FieldMappingType="MapByOrdinal", FieldMaps=maps)
    assert on() == {"a@example.com": "Ann", "b@example.com": "Bob"}


def test_attributes_that_a_file_does_not_name_stay(world, subscribe):
    subscribe("a@example.com,Ann")
    subscribe("a@example.com,Rome", head="Email,City")
    (ann,) = world.store.subscribers(MID, 1)
    assert ann.attributes == {"First Name": "Ann", "City": "Rome"}
