"""Which answers are to another request, also those that are made to take long to read."""

import pytest

from sfmc_import.marketing_cloud.exchange import of_this
from sfmc_import.marketing_cloud.http import Failed, Reply
from sfmc_import.marketing_cloud.plain_answers import Answer

REQUEST = b"<wsa:MessageID>urn:uuid:1</wsa:MessageID>"


def answer(content: bytes) -> Answer:
    return Answer(Reply(200, {}, content))


@pytest.mark.parametrize("named", [b"urn:uuid:1", b" \n urn:uuid:1\t "])
def test_an_answer_that_names_this_request_is_taken(named: bytes):
    given = answer(b'<wsa:RelatesTo RelationshipType="x">' + named + b"</wsa:RelatesTo>")

    assert of_this(REQUEST, given) is given


def test_an_answer_that_names_another_request_is_refused():
    refused = of_this(REQUEST, answer(b"<wsa:RelatesTo>urn:uuid:2</wsa:RelatesTo>"))

    assert isinstance(refused.reply, Failed)


@pytest.mark.parametrize("text", [b"<RelatesTo>" + b" " * 8192, b"RelatesTo " * 800])
def test_an_answer_that_is_made_to_take_long_does_not(text: bytes):
    """Minutes for the first one, where what is searched can be read in several ways: this would not end then."""
    given = answer(text)

    assert of_this(REQUEST, given) is given
