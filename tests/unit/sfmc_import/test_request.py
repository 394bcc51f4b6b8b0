"""The wire form of a request: what is read, what is refused with which words, what comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.display import LAST_TIME, is_blank
from sfmc_import.request import (
    FIELDS,
    MAX_TEXT_LENGTH,
    MAX_TIME_NS,
    BadRequestError,
    Delivery,
    FileInfo,
    StartRequest,
    arguments_by_name,
    celery_headers,
    fold_key,
    plain_mid,
    read_request,
    request_id_of,
    unknown_names,
)

MID = "510001234"
SURROGATE = "\udc80"
OBJECT_ID = "5e1ad037-29c3-de11-9a36-001e0bfba5bd"


def read(request_id: str = "r1", **message) -> StartRequest:
    return read_request(request_id, MID, {"customer_key": "daily"} | message)


def problems(request_id: str = "r1", **message) -> str:
    with pytest.raises(BadRequestError) as raised:
        read(request_id, **message)
    return str(raised.value)


def test_the_least_message_names_a_definition_of_the_default_business_unit():
    assert read() == StartRequest(request_id="r1", customer_key="daily", mid=MID)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
counts = st.none() | st.integers(0, 2**63 - 1)
times = st.none() | st.integers(-MAX_TIME_NS, MAX_TIME_NS)
arrivals = st.builds(
    FileInfo,
    location=texts | st.just(""),
    name=texts,
    size=counts,
    modified_ns=times,
    version=st.none() | texts,
    content_hash=st.none() | texts,
    arrived_as=st.none() | texts,
)


@given(
    file=st.none() | arrivals,
    event_id=st.none() | texts,
    reason=texts.filter(lambda text: not is_blank(text)) | st.none(),
    force=st.booleans(),
)
def test_what_is_written_is_read_back(file, event_id, reason, force):
    forced = force and reason is not None
    request = StartRequest(
        request_id="r", customer_key="k", mid="7", file=file, event_id=event_id, reason=reason, force=forced
    )

    assert read_request("r", MID, request.as_message()) == request


@pytest.mark.parametrize(
    ("path", "location", "name"),
    [("/in/a.csv", "/in", "a.csv"), ("a.csv", "", "a.csv"), ("s3://bucket/x/a.csv", "s3://bucket/x", "a.csv")],
)
def test_a_file_may_be_a_plain_path(path, location, name):
    assert read(file=path).file == FileInfo(location=location, name=name)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"customer_key": None}, "customer_key is missing"),
        ({"customer_key": ""}, "ImportDefinition; it is empty"),
        ({"customer_key": "  "}, "ImportDefinition; it is a text of blanks"),
        ({"customer_key": 5}, "customer_key must be a text, the external key of the ImportDefinition; it is a number"),
        ({"customer_key": 1.5}, "it is a number with a point"),
        ({"customer_key": True}, "it is true or false"),
        ({"customer_key": ["daily"]}, "it is a list"),
        ({"customer_key": {"key": "daily"}}, "it is an object"),
        ({"customer_key": 0, "object_id": OBJECT_ID}, "it is a number"),
        ({"customer_key": "", "object_id": OBJECT_ID}, "it is empty"),
        ({"customer_key": "x" * 37}, "37 characters"),
        ({"customer_key": "a\nb"}, "unprintable"),
        ({"customer_key": SURROGATE}, "unprintable"),
        ({"mid": "x"}, "mid must be"),
        ({"mid": True}, "mid must be"),
        ({"mid": "٣"}, "mid must be"),
        ({"mid": "1" * 21}, "not above 0, or has more than 20 digits"),
        ({"mid": 10**5000}, "not above 0, or has more than 20 digits"),
        ({"mid": 0}, "not above 0"),
        ({"mid": "000"}, "not above 0"),
        ({"mid": -7}, "not above 0"),
        ({"mid": 7.0}, "such as 510001234; it is a number with a point"),
        ({"mid": False}, "it is true or false"),
        ({"mid": ["7"]}, "it is a list"),
        ({"mid": ""}, "it is missing: give it, or set SFMC_ACCOUNT_ID"),
        ({"mid": " 7 "}, "such as 510001234; it is a text"),
        ({"event_id": ""}, "event_id must be"),
        ({"event_id": 3}, "event_id must be a text of 1 to 1024 characters; it is a number"),
        ({"source": "x" * (MAX_TEXT_LENGTH + 1)}, "it is a text of 1025 characters"),
        ({"reason": SURROGATE}, "it is a text with half a character of UTF-16"),
        ({"force": "yes"}, "force must be"),
        ({"force": 1}, "force must be true or false; it is a number"),
        ({"force": "true"}, "force must be true or false; it is a text"),
        ({"object_id": 5}, "with 4 dashes; it is a number"),
        ({"file": 3}, "content_hash, arrived_as; it is a number"),
        ({"file": ""}, "file must be"),
        ({"file": SURROGATE}, "file must be"),
        ({"file": {}}, "file.name must be a text of 1 to 1024 characters; it is missing"),
        ({"file": {"name": ""}}, "characters; it is empty"),
        ({"file": {"name": SURROGATE}}, "half a character of UTF-16"),
        ({"file": {"name": "a", "size": -1}}, "file.size must be"),
        ({"file": {"name": "a", "size": True}}, "file.size must be"),
        ({"file": {"name": "a", "size": 1.5}}, "file.size must be"),
        ({"file": {"name": "a", "size": 2**63}}, "file.size must be"),
        ({"file": {"name": "a", "modified_ns": "1"}}, "file.modified_ns must be"),
        ({"file": {"name": "a", "location": 3}}, "file.location, file.version, file.content_hash and"),
        ({"file": {"name": "a", "location": SURROGATE}}, "file.location, file.version, file.content_hash and"),
        ({"file": {"name": "a", "version": 3}}, "file.location, file.version, file.content_hash and"),
        ({"file": {"name": "a", "arrived_as": ""}}, "file.arrived_as must be texts"),
        ({"file": FileInfo(location="", name="a", arrived_as=SURROGATE)}, "file.arrived_as must be texts"),
        (
            {"file": {"name": "a", "version": "x" * (MAX_TEXT_LENGTH + 1)}},
            "file.location, file.version, file.content_hash and",
        ),
        ({"force": True}, "force needs a reason"),
        ({"force": True, "reason": "  "}, "force needs a reason"),
        ({"force": True, "reason": "\u200b \u00ad"}, "force needs a reason"),
    ],
)
def test_each_fault_of_a_message_is_named(message, complaint):
    assert complaint in problems(**message)


ALL_GIVEN = dict(zip(FIELDS, ("k", "7", "f", "e", "s", True, "why", "o", "t", "q"), strict=True))


def test_a_key_of_null_is_one_that_was_not_given():
    assert read(customer_key=None, object_id=OBJECT_ID).customer_key == OBJECT_ID


def test_what_is_not_known_is_not_read_and_can_be_named():
    message = {"customer_key": "daily", "colour": 1, "a": 2, "file": {"name": "a", "fingerprint": "f"}}

    assert read(**message) == read(file={"name": "a"})
    assert unknown_names(message) == ["a", "colour", "file.fingerprint"]
    assert unknown_names({"customer_key": "daily", "file": "/in/a.csv"}) == []


@pytest.mark.parametrize(
    ("eta", "seconds"),
    [
        (None, None),
        ("2026-03-01T06:00:00+00:00", 1772344800.0),
        ("2026-03-01T06:00:00.5Z", 1772344800.5),
        ("2026-03-01T07:00:00+01:00", 1772344800.0),
        ("2026-03-01T06:00:00", 1772344800.0),
        ("9999-12-31T23:59:59-12:00", LAST_TIME),
        ("9999-12-31T23:59:59.999999+00:00", LAST_TIME),
        ("0001-01-01T00:00:00+12:00", 0.0),
    ],
)
def test_a_sender_may_say_when_as_celery_writes_it(eta, seconds):
    read_times = read_request("r1", MID, {"customer_key": "daily"}, Delivery(eta=eta, expires=eta))

    assert (read_times.not_before, read_times.expires) == (seconds, seconds)


@pytest.mark.parametrize("time", ["", "soon", 5, 1.5, True, [], {}, "2026-13-01T00:00:00", float("inf")], ids=repr)
def test_a_time_that_is_none_is_named(time):
    with pytest.raises(BadRequestError) as raised:
        read_request("r1", MID, {"customer_key": "daily"}, Delivery(eta=time, expires=time))

    assert [problem.partition(" ")[0] for problem in raised.value.problems] == ["eta", "expires"]


@pytest.mark.parametrize(
    ("args", "kwargs", "found"),
    [
        (["daily"], {}, {"customer_key": "daily"}),
        (["daily", 7, "/in/a"], {"force": None}, {"customer_key": "daily", "mid": 7, "file": "/in/a"}),
        (["daily"], {"customer_key": "daily"}, {"customer_key": "daily"}),
        ([None], {"customer_key": "daily"}, {"customer_key": "daily"}),
        (["k", "7", "f", "e", "s", True, "why", "o", "t", "q", "more"], {}, ALL_GIVEN),
        ([], {"self": 1, "task_id": 2}, {"self": 1, "task_id": 2}),
    ],
)
def test_arguments_may_come_by_position_and_by_name(args, kwargs, found):
    assert arguments_by_name(args, kwargs) == found


def test_an_argument_with_two_values_is_a_fault():
    with pytest.raises(BadRequestError, match="customer_key is given twice"):
        arguments_by_name(["daily"], {"customer_key": "weekly"})


def test_the_content_of_a_request_is_what_is_started_and_when():
    later = Delivery(eta="2026-03-01T06:00:00+00:00")
    first = read(file="/in/a.csv", source="watch", reason="why")
    same = read(file={"location": "/in", "name": "a.csv"}, source="other", reason="because", mid=int(MID))
    others = [
        read(file="/in/b.csv"),
        read(),
        read(file="/in/a.csv", customer_key="weekly"),
        read(file="/in/a.csv", mid="7"),
        read(file="/in/a.csv", event_id="e"),
        read(file="/in/a.csv", force=True, reason="why"),
        read_request("r1", MID, {"customer_key": "daily", "file": "/in/a.csv"}, later),
        read_request("r1", MID, {"customer_key": "daily", "file": "/in/a.csv"}, Delivery(expires=later.eta)),
    ]

    assert first.content == same.content == read("r2", file="/in/a.csv").content
    assert len({request.content for request in (first, *others)}) == 1 + len(others)


def test_files_that_differ_in_one_field_make_other_requests():
    first = {"location": "/in", "name": "a.csv", "size": 4, "modified_ns": 7, "content_hash": "one"}
    others: list[dict[str, object]] = [
        {"content_hash": "two"},
        {"version": "None"},
        {"size": 5},
        {"modified_ns": 8},
        {"location": "/in\0a", "name": "csv"},
        {"location": "/in", "name": "a\0csv"},
        {"arrived_as": "b.csv"},
    ]

    found = [read(file=first | other).content for other in ({}, *others)]

    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("task_id", "kept"),
    [
        ("0199-abc", True),
        ("order:4/2@shop", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("ключ", False),
        ("a b", False),
        (5, True),
        (".", False),
        ("..", False),
        ("...", True),
        ("../x", True),
        (".x", True),
    ],
)
def test_a_task_id_that_cannot_name_a_key_becomes_a_digest(task_id, kept):
    found = request_id_of(task_id)

    assert (found == str(task_id)) is kept
    assert found == request_id_of(task_id)
    assert read(found).request_id == found


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, "ü", "a\n", ".", ".."])
def test_a_request_id_is_of_plain_characters(request_id):
    assert "request id must be" in problems(request_id)


def test_all_faults_are_named_at_once():
    with pytest.raises(BadRequestError) as raised:
        read(customer_key="", mid="x", force=3, event_id="")

    assert len(raised.value.problems) == 4


def test_a_fingerprint_is_equal_for_the_same_content_only():
    first = FileInfo(location="/in", name="a", size=1, modified_ns=2, version="v")
    others = [
        FileInfo(location="/in2", name="a", size=1, modified_ns=2, version="v"),
        FileInfo(location="/in", name="b", size=1, modified_ns=2, version="v"),
        FileInfo(location="/in", name="a", size=2, modified_ns=2, version="v"),
        FileInfo(location="/in", name="a", size=1, modified_ns=3, version="v"),
        FileInfo(location="/in", name="a", size=1, modified_ns=2, version="w"),
        FileInfo(location="/ina", name="", size=1, modified_ns=2, version="v"),
    ]

    assert len({arrival.fingerprint for arrival in (first, *others)}) == 7
    assert first.fingerprint == FileInfo(location="/in", name="a", size=1, modified_ns=2, version="v").fingerprint
    assert len(first.fingerprint) == 32


@pytest.mark.parametrize(
    ("arrival", "exact"),
    [
        (FileInfo(location="", name="a"), False),
        (FileInfo(location="", name="a", size=3), False),
        (FileInfo(location="", name="a", modified_ns=0), True),
        (FileInfo(location="", name="a", version="v"), True),
    ],
)
def test_a_file_known_by_name_and_size_alone_is_not_surely_the_same(arrival, exact):
    assert arrival.has_fingerprint is exact


@pytest.mark.parametrize("given", [OBJECT_ID, OBJECT_ID.upper(), "{" + OBJECT_ID + "}"])
def test_a_definition_may_be_named_by_its_object_id(given: str):
    request = read_request("r1", MID, {"object_id": given})

    assert (request.object_id, request.customer_key) == (OBJECT_ID, OBJECT_ID)
    assert request.named == f"with ObjectID {OBJECT_ID}"
    assert read_request("r1", MID, request.as_message()) == request


def test_key_and_object_id_may_both_be_given():
    request = read(object_id=OBJECT_ID)

    assert (request.object_id, request.customer_key, request.named) == (
        OBJECT_ID,
        "daily",
        f"with ObjectID {OBJECT_ID}",
    )


@pytest.mark.parametrize("given", ["", "no guid", OBJECT_ID[:-1], 5, True, [OBJECT_ID]])
def test_what_is_no_object_id_is_refused(given: object):
    assert "32 hex digits with 4 dashes" in problems(object_id=given)


def test_a_request_that_names_no_definition_says_what_is_missing():
    with pytest.raises(BadRequestError, match="external key of the ImportDefinition, or its object_id"):
        read_request("r1", MID, {})


@pytest.mark.parametrize("mid", ["00510001234", "0510001234", 510001234])
def test_leading_zeros_of_a_business_unit_do_not_count(mid: object):
    assert read(mid=mid).mid == MID
    assert read_request("r1", f"00{MID}", {"customer_key": "k"}).mid == MID


def test_a_business_unit_of_zeros_stays_a_number():
    assert plain_mid("000") == "0"
    assert plain_mid("") == ""


@given(key=texts)
def test_a_folded_key_is_equal_for_all_spellings_that_a_database_takes_for_one(key: str):
    assert fold_key(key + "  ") == fold_key(key)
    assert fold_key("Daily_ORDERS ") == "daily_orders"


def test_the_headers_of_a_message_name_the_request_and_show_its_arguments_as_celery_does():
    arrival = FileInfo(location="/in", name="it's.csv", size=7)
    headers = celery_headers(StartRequest(request_id="r1", customer_key="daily", mid=MID, file=arrival, force=True))

    assert (headers["task"], headers["id"], headers["root_id"]) == ("imports.start", "r1", "r1")
    assert (headers["request_id"], headers["customer_key"], headers["mid"]) == ("r1", "daily", MID)
    assert headers["kwargsrepr"] == (
        "{'customer_key': 'daily', 'mid': '510001234', "
        "'file': {'location': '/in', 'name': 'it\\'s.csv', 'size': 7}, 'force': True}"
    )


def test_the_headers_of_a_message_show_arguments_up_to_a_length():
    headers = celery_headers(StartRequest(request_id="r1", customer_key="k" * 5000, mid=MID))

    assert len(headers["kwargsrepr"]) == 1024


def test_a_file_is_asked_for_by_its_name_at_arrival_whatever_a_delivery_calls_it():
    arrived = {"location": "/in", "name": "o_1.csv", "size": 4, "modified_ns": 7}
    sent = [arrived | {"name": name, "arrived_as": "o_1.csv"} for name in ("orders.csv", "new.csv")]
    found = [read(file=each) for each in (arrived, *sent)]

    assert len({each.content for each in found}) == len({each.file and each.file.fingerprint for each in found}) == 1
