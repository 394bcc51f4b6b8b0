"""What each reply means: first for a start, then for a query; zeep reads what is not plain."""

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.marketing_cloud.http import Failed, Reply
from sfmc_import.marketing_cloud.replies import MAX_TEXT, Page, parse_page_reply, parse_start_reply
from sfmc_import.marketing_cloud.soap_library import Service
from sfmc_import.runs import Accepted
from tests.support.fake_soap_replies import envelope, fault, found, login_fault, performed, row

API = "http://exacttarget.com/wsdl/partnerAPI"


@pytest.fixture(scope="module")
def understand():
    return Service().understand


def reply(content: bytes, status: int = 200, **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def test_an_accepted_start_gives_the_task_id_and_the_request_id(understand):
    assert parse_start_reply(reply(performed()), understand) == Accepted(
        task_id="129159023", soap_request_id="request-1"
    )


def test_an_accepted_start_is_read_without_zeep():
    def never(*_):
        raise AssertionError("zeep is not needed for this")

    assert isinstance(parse_start_reply(reply(performed()), never), Accepted)


def test_a_start_is_accepted_with_white_space_in_the_reply(understand):
    spaced = performed().replace(b"><", b">\n  <").replace(b"<ID>129159023<", b"<ID> 129159023\n<")

    assert parse_start_reply(reply(spaced), understand).task_id == "129159023"


@pytest.mark.parametrize("task_id", [None, "", "0", "none", "-1", "9" * 19, "9" * 5000, "\uff11\uff12"])
def test_ok_without_a_task_id_to_follow_is_ambiguous(understand, task_id):
    verdict = parse_start_reply(reply(performed(task_id)), understand)

    assert isinstance(verdict, Ambiguous)
    assert verdict.code == "no_task_id"


def test_an_error_and_a_task_id_at_once_is_ambiguous(understand):
    content = performed("77", overall="Error", status="Error", code=43060, text="Validation Error")

    assert isinstance(parse_start_reply(reply(content), understand), Ambiguous)


def test_two_results_for_one_definition_are_ambiguous(understand):
    assert isinstance(parse_start_reply(reply(performed(results=2)), understand), Ambiguous)


def test_ok_without_any_result_is_ambiguous(understand):
    assert isinstance(parse_start_reply(reply(performed(results=0)), understand), Ambiguous)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2, Ambiguous),
        (9, NotApplied),
        (13, NotApplied),
        (17, NotApplied),
        (4, Rejected),
        (5, Rejected),
        (6, Rejected),
        (11, Rejected),
        (12, NotApplied),
        (43000, Rejected),
        (43010, Rejected),
        (43020, Rejected),
        (43060, Rejected),
        (77777, Ambiguous),
    ],
)
@pytest.mark.parametrize("overall", ["Error", "Has Errors", "OK"])
def test_an_error_code_in_a_result_is_judged_by_the_table(understand, code, kind, overall):
    content = performed(None, overall=overall, status="Error", code=code, text="as it is")

    verdict = parse_start_reply(reply(content), understand)

    assert isinstance(verdict, kind)
    assert (verdict.code, verdict.text) == (str(code), "as it is")


def test_an_error_without_a_code_is_denied_with_its_text(understand):
    text = "go is not an action that can be Performed on a InteractionDefinition. ErrorID = 4711"

    verdict = parse_start_reply(reply(performed(None, overall="Error", status="Error", text=text)), understand)

    assert verdict == Ambiguous("no_code", text, denied=True)


def test_an_error_without_results_is_denied_with_the_overall_text(understand):
    content = performed(None, overall="Error", results=0).replace(
        b"<OverallStatusMessage/>", b"<OverallStatusMessage>nothing to do</OverallStatusMessage>"
    )

    assert parse_start_reply(reply(content), understand) == Ambiguous("no_code", "nothing to do", denied=True)


@pytest.mark.parametrize("text", ["API Permission Failed", "Insufficient Privileges for this operation"])
def test_a_missing_right_is_rejected_in_the_words_of_the_service_with_advice(understand, text):
    start = parse_start_reply(reply(performed(None, overall="Error", status="Error", text=text)), understand)
    query = parse_page_reply(reply(found(status=f"Error: {text}")), understand)

    assert start == query
    assert isinstance(start, Rejected)
    assert start.text.startswith(text)
    assert "lacks a right" in start.text


@pytest.mark.parametrize("text", ["Token Expired", "Login Failed"])
def test_a_refused_token_is_not_applied_wherever_it_is_said(understand, text):
    start = parse_start_reply(reply(performed(None, overall="Error", status="Error", text=text)), understand)
    query = parse_page_reply(reply(found(status=f"Error: {text}")), understand)

    assert start.code == query.code == "token_refused"


@pytest.mark.parametrize("status", [500, 200])
@pytest.mark.parametrize(
    ("code", "kind"), [(2, Ambiguous), (9, NotApplied), (10, NotApplied), (13, NotApplied), (17, NotApplied)]
)
def test_a_fault_with_a_code_is_judged_by_the_table_whatever_the_status(understand, status, code, kind):
    verdict = parse_start_reply(reply(fault(code, "as it is"), status), understand)

    assert isinstance(verdict, kind)
    assert verdict.code == str(code)


@pytest.mark.parametrize("code", [4, 11])
def test_a_fault_with_the_code_of_a_refusal_is_rejected(understand, code):
    assert parse_start_reply(reply(fault(code, "no", "soap:Client"), 500), understand) == Rejected(str(code), "no")


def test_a_wrong_password_is_a_fault_of_the_account_and_not_of_the_request(understand):
    verdict = parse_start_reply(reply(fault(12, "no", "soap:Client"), 500), understand)

    assert verdict == NotApplied("12", "no", account_wide=True)


@pytest.mark.parametrize(
    "text", ["Token Expired", "Login Failed", "Login failed", "SOAP Authorization failed for Oauth token: x"]
)
def test_a_refused_token_is_not_applied(understand, text):
    assert parse_start_reply(reply(login_fault(text), 500), understand).code == "token_refused"


def test_a_server_fault_without_a_code_is_ambiguous(understand):
    assert isinstance(parse_start_reply(reply(fault(None, "Object reference not set"), 500), understand), Ambiguous)


def test_a_server_fault_whose_text_says_that_nothing_was_processed_is_not_applied(understand):
    verdict = parse_start_reply(reply(fault(1, "Deadlock. This request was not processed."), 500), understand)

    assert isinstance(verdict, NotApplied)


@pytest.mark.parametrize(("code", "named"), [(None, "no_code"), (8, "8"), (4242, "4242")])
def test_a_client_fault_that_is_not_known_is_denied(understand, code, named):
    verdict = parse_start_reply(reply(fault(code, "no", "soap:Client"), 500), understand)

    assert verdict == Ambiguous(named, "no", denied=True)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("content", [b"", b"Service Unavailable", b"<html><body>Oops</body></html>", performed()])
def test_a_5xx_without_a_fault_is_ambiguous(understand, status, content):
    assert isinstance(parse_start_reply(reply(content, status), understand), Ambiguous)


def test_a_503_is_ambiguous_and_denied_and_keeps_the_time(understand):
    verdict = parse_start_reply(reply(b"", 503, retry_after="5"), understand)

    assert isinstance(verdict, Ambiguous)
    assert (verdict.denied, verdict.account_wide, verdict.retry_after) == (True, True, 5)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_another_5xx_without_a_fault_denies_nothing(understand, status):
    assert not parse_start_reply(reply(b"", status, retry_after="5"), understand).denied


def test_http_400_is_rejected(understand):
    assert parse_start_reply(reply(b"Bad Request", 400), understand).code == "http_400"


def test_http_429_is_not_applied_and_keeps_the_time(understand):
    verdict = parse_start_reply(reply(b"slow down", 429, retry_after="12"), understand)

    assert isinstance(verdict, NotApplied)
    assert (verdict.code, verdict.retry_after, verdict.account_wide) == ("http_429", 12, True)


def test_a_throttling_fault_keeps_the_time_that_the_header_names(understand):
    assert parse_start_reply(reply(fault(17, "…"), 500, retry_after="30"), understand).retry_after == 30


@pytest.mark.parametrize("status", [100, 202, 204, 300, 301, 302, 303, 304, 307, 308, 600])
def test_any_other_status_is_ambiguous(understand, status):
    assert isinstance(parse_start_reply(reply(b"<html/>", status), understand), Ambiguous)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "http_refused"),
        (403, "http_refused"),
        (407, "http_refused"),
    ],
)
def test_a_status_that_turns_the_request_away_is_not_applied(understand, status, code):
    verdict = parse_start_reply(reply(b"<html/>", status), understand)

    assert isinstance(verdict, NotApplied)
    assert verdict.code == code


@pytest.mark.parametrize(
    "status", [402, 404, 405, 406, 408, 409, 410, 411, 413, 415, 418, 421, 422, 425, 428, 431, 451, 499]
)
def test_a_refusal_that_a_server_between_may_give_after_the_start_was_applied_is_looked_up(understand, status):
    verdict = parse_start_reply(reply(b"<html/>", status, retry_after="12"), understand)

    assert verdict == Ambiguous("http_denied", verdict.text, denied=True, retry_after=12)
    assert f"HTTP {status}" in verdict.text


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("9" * 400, 3600),
        ("864000", 3600),
        ("-5", None),
        ("NaN", None),
        ("inf", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        ("\uff11", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0),
    ],
)
def test_a_time_to_wait_is_finite_and_bounded_whatever_the_header_says(understand, given, seconds):
    assert parse_start_reply(reply(b"", 429, retry_after=given), understand).retry_after == seconds


WHOLE = performed()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"OK",
        b"\x00\xff\x00",
        b"<html><body>Welcome</body></html>",
        WHOLE[: len(WHOLE) // 2],
        WHOLE[: WHOLE.index(b"129159023</ID>") + 4],
        WHOLE[:-1],
        WHOLE.replace(b"</Result>", b""),
        WHOLE.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY id "129">]>', 1),
        WHOLE.replace(b"partnerAPI", b"somethingElse"),
        envelope(""),
        found(),
        envelope(f'<PerformResponseMsg xmlns="{API}"/>'),
        performed(overall="Maybe", status="Maybe"),
    ],
)
def test_a_200_that_cannot_be_read_is_ambiguous(understand, content):
    assert isinstance(parse_start_reply(reply(content), understand), Ambiguous)


def test_a_reply_that_zeep_breaks_on_is_ambiguous_and_not_quoted():
    def breaks(*_):
        raise RuntimeError("secret reply")

    verdict = parse_start_reply(reply(fault(13, "…"), 500), breaks)

    assert isinstance(verdict, Ambiguous)
    assert "secret" not in verdict.text


def test_an_error_whose_code_is_no_number_is_an_error_without_a_code(understand):
    content = performed(None, status="Error", text="odd").replace(b"<Object", b"<ErrorCode>x</ErrorCode><Object")

    assert parse_start_reply(reply(content), understand) == Ambiguous("no_code", "odd", denied=True)


def test_an_error_code_counts_wherever_it_stands(understand):
    content = performed(None, status="Error", text="odd").replace(b"</Result>", b"<ErrorCode>2</ErrorCode></Result>")

    assert parse_start_reply(reply(content), understand) == Ambiguous("2", "odd")


def test_unknown_elements_and_types_in_a_result_do_no_harm(understand):
    odd = performed(None, status="Error", code=43010, text="not found").replace(
        b"<IsPlatformObject>false</IsPlatformObject>",
        b'<DestinationObject xsi:type="DataExtension"><Name>x</Name></DestinationObject><New><Deep/></New>',
    )

    assert parse_start_reply(reply(odd), understand) == Rejected("43010", "not found")


@pytest.mark.parametrize(
    ("situation", "kind"), [("refused", NotApplied), ("lease_over", NotApplied), ("reset", Ambiguous)]
)
def test_no_answer_is_judged_by_the_situation(understand, situation, kind):
    assert isinstance(parse_start_reply(Failed(situation, "…"), understand), kind)


def test_a_long_text_is_cut_to_one_short_line(understand):
    verdict = parse_start_reply(reply(fault(5, "very\n\nlong " * 100)), understand)

    assert len(verdict.text) <= MAX_TEXT
    assert "\n" not in verdict.text


def test_rows_are_read_with_what_is_nil_left_out():
    content = found(row(TaskResultID=1, ImportStatus="New", EndDate=None), row(TaskResultID=2))

    page = parse_page_reply(reply(content), None)

    assert page == Page(({"TaskResultID": "1", "ImportStatus": "New"}, {"TaskResultID": "2"}))


def test_no_rows_are_an_empty_page():
    assert parse_page_reply(reply(found()), None) == Page(())


def test_more_data_gives_the_request_id_to_go_on_with():
    assert parse_page_reply(reply(found(status="MoreDataAvailable", request_id="r")), None) == Page((), "r")


def test_more_data_without_a_request_id_cannot_be_read():
    verdict = parse_page_reply(reply(found(status="MoreDataAvailable", request_id="")), None)

    assert verdict.code == "unreadable_reply"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            "Error: Unable to find a handler for object type: X.",
            Rejected("not_retrievable", "Unable to find a handler for object type: X."),
        ),
        ("Error: Something new", Ambiguous("no_code", "Something new", denied=True)),
        (
            "Error: Timeout expired.  The timeout period elapsed.",
            Ambiguous("2", "Timeout expired. The timeout period elapsed."),
        ),
    ],
)
def test_an_error_in_the_status_of_a_query_is_judged_by_its_text(understand, status, expected):
    assert parse_page_reply(reply(found(status=status)), understand) == expected


def test_a_query_that_is_answered_as_a_start_cannot_be_read(understand):
    assert parse_page_reply(reply(performed()), understand).code == "unreadable_reply"


def test_zeep_reads_the_same_rows(understand):
    values = {"TaskResultID": 7, "ImportStatus": "Completed", "NumberSuccessful": 3, "StartDate": "1/2/2026"}
    content = found(row(**values))

    (ours,) = parse_page_reply(reply(content), understand).rows
    (theirs,) = understand("Retrieve", reply(content)).Results

    assert ours == {name: str(getattr(theirs, name)) for name in values}


def test_the_properties_of_inner_objects_are_read_with_the_name_of_the_outer_one(understand):
    inner = (
        "<DestinationObject><PartnerKey/><ObjectID>o</ObjectID><Fields><Field>x</Field></Fields></DestinationObject>"
    )
    page = parse_page_reply(reply(found(row(CustomerKey="k") + inner)), understand)

    assert page == Page(({"CustomerKey": "k", "DestinationObject.ObjectID": "o"},))
