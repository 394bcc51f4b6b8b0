"""The wire form of a request: what is read, what is refused with which words, what comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.request import (
    MAX_TEXT_LENGTH,
    MAX_TIME_NS,
    BadRequestError,
    FileInfo,
    StartRequest,
    fold_key,
    plain_mid,
    read_request,
)

MID = "510001234"
SURROGATE = "\udc80"


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
)


@given(file=st.none() | arrivals, event_id=st.none() | texts, reason=st.none() | texts, force=st.booleans())
def test_what_is_written_is_read_back(file, event_id, reason, force):
    request = StartRequest(
        request_id="r", customer_key="k", mid="7", file=file, event_id=event_id, reason=reason, force=force
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
        ({"customer_key": "  "}, "customer_key is missing"),
        ({"customer_key": 5}, "customer_key is missing"),
        ({"customer_key": "x" * 37}, "37 characters"),
        ({"customer_key": "a\nb"}, "unprintable"),
        ({"customer_key": SURROGATE}, "unprintable"),
        ({"mid": "x"}, "mid must be"),
        ({"mid": True}, "mid must be"),
        ({"mid": "٣"}, "mid must be"),
        ({"mid": "1" * 21}, "mid must be"),
        ({"event_id": ""}, "event_id must be"),
        ({"event_id": 3}, "event_id must be"),
        ({"source": "x" * (MAX_TEXT_LENGTH + 1)}, "source must be"),
        ({"reason": SURROGATE}, "reason must be"),
        ({"force": "yes"}, "force must be"),
        ({"force": 1}, "force must be"),
        ({"file": 3}, "file must be"),
        ({"file": ""}, "file must be"),
        ({"file": SURROGATE}, "file must be"),
        ({"file": {}}, "file.name is missing"),
        ({"file": {"name": ""}}, "file.name is missing"),
        ({"file": {"name": SURROGATE}}, "file.name is missing"),
        ({"file": {"name": "a", "size": -1}}, "file.size must be"),
        ({"file": {"name": "a", "size": True}}, "file.size must be"),
        ({"file": {"name": "a", "size": 1.5}}, "file.size must be"),
        ({"file": {"name": "a", "size": 2**63}}, "file.size must be"),
        ({"file": {"name": "a", "modified_ns": "1"}}, "file.modified_ns must be"),
        ({"file": {"name": "a", "location": 3}}, "file.location, file.version and"),
        ({"file": {"name": "a", "location": SURROGATE}}, "file.location, file.version and"),
        ({"file": {"name": "a", "version": 3}}, "file.location, file.version and"),
        ({"file": {"name": "a", "version": "x" * (MAX_TEXT_LENGTH + 1)}}, "file.location, file.version and"),
        ({"file": {"name": "a", "colour": 1}}, "unknown file field colour"),
        ({"colour": 1}, "unknown argument colour"),
    ],
)
def test_each_fault_of_a_message_is_named(message, complaint):
    assert complaint in problems(**message)


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, "ü", "a\n"])
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


OBJECT_ID = "5e1ad037-29c3-de11-9a36-001e0bfba5bd"


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
