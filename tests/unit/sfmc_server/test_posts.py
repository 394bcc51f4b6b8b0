"""What a POST is answered, and what of it is taken."""

import asyncio
import gzip
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Sequence

import orjson
import pytest
from structlog.testing import capture_logs

from sfmc_import.client import NotTaken, Submission, SubmitResult
from sfmc_server.answers import Answer, RefusedError
from sfmc_server.authentication import Received
from sfmc_server.bodies import Budget
from sfmc_server.push_source import MAX_WAITING, TOGETHER_BYTES
from tests.support import posts
from tests.support.fake_client import FakeClient
from tests.support.left_running import left_running
from tests.support.push_servers import Letters, Push, push_source, pushing

BATCH = {"content_type": "application/cloudevents-batch+json"}


@pytest.fixture
def push():
    with pushing() as made:
        yield made


def counts(taken: int = 0, ignored: int = 0, set_aside: int = 0) -> dict[str, int]:
    return {"taken": taken, "ignored": ignored, "set_aside": set_aside}


def test_a_post_is_answered_200_with_what_became_of_its_events(push: Push) -> None:
    answer = push.post([posts.cloudevent(), posts.cloudevent("b.csv"), posts.cloudevent(data=1)], **BATCH)

    assert (answer.status_code, answer.json()) == (200, counts(taken=2, set_aside=1))
    assert push.client.started == [("orders.csv", "orders"), ("b.csv", "orders")]


def test_events_that_come_three_times_and_out_of_order_are_one_request_each(push: Push) -> None:
    for names in ("abc", "cab", "bca"):
        events = [posts.cloudevent(f"{name}.csv", id=name) for name in names]
        assert push.post(events, **BATCH).json() == counts(taken=3)

    assert sorted(push.client.started) == [("a.csv", "orders"), ("b.csv", "orders"), ("c.csv", "orders")]


@pytest.mark.parametrize("hierarchical", [False, True])
def test_a_copy_that_begins_in_an_account_with_hierarchical_namespace_is_no_arrival(hierarchical: bool) -> None:
    with pushing(form="event-grid", hierarchical=hierarchical) as azure:
        answers = [azure.post([posts.blob_created(api=api)]).json() for api in ("CopyBlob", "FlushWithClose")]
    assert answers == [counts(ignored=1) if hierarchical else counts(taken=1), counts(taken=1)]


def test_the_same_name_with_new_content_is_a_second_request(push: Push) -> None:
    with pushing(form="s3-webhook") as s3:
        for tag in ("one", "two", "one"):
            record = posts.s3_record()
            record["s3"]["object"]["eTag"] = tag
            s3.post(posts.minio(record))
        assert len(s3.client.requests) == 2


def test_an_event_that_cannot_be_read_is_set_aside_alone_with_its_bytes_and_once(push: Push) -> None:
    bad = posts.cloudevent(specversion="2.0")
    with capture_logs() as logs:
        for batch in ([bad, posts.cloudevent()], [posts.cloudevent("b.csv"), bad]):
            assert push.post(batch, **BATCH).json() == counts(taken=1, set_aside=1)

    assert [each["event"] for each in logs].count("record_set_aside") == 1
    [(body, text)] = push.letters.kept.values()
    assert orjson.loads(body) == bad
    assert text == "specversion is not 1.0"


def test_a_body_that_is_not_json_is_set_aside_whole_and_the_sender_need_not_send_it_again(push: Push) -> None:
    answer = push.post(b"{", content_type="application/cloudevents+json")

    assert answer.json() == counts(set_aside=1)
    assert [body for body, _ in push.letters.kept.values()] == [b"{"]


def test_a_file_that_no_request_can_carry_is_set_aside(push: Push) -> None:
    event = posts.cloudevent(data={"file": {"name": "x" * 2000, "size": 1}})

    assert push.post(event).json() == counts(set_aside=1)


def test_while_the_ledger_is_away_the_answer_is_503_with_retry_after_and_later_nothing_is_twice(push: Push) -> None:
    push.client.ledger_is_down = True
    answer = push.post([posts.cloudevent(), posts.cloudevent("b.csv")], **BATCH)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1

    push.client.ledger_is_down = False
    for _ in range(20):
        answer = push.post([posts.cloudevent(), posts.cloudevent("b.csv")], **BATCH)
    assert answer.json() == counts(taken=2)
    assert len(push.client.requests) == 2


def test_while_dead_letters_cannot_be_kept_the_answer_is_503(push: Push) -> None:
    push.letters.is_down = True

    assert push.post(b"{").status_code == 503


def test_an_unknown_source_is_404_as_a_problem(push: Push) -> None:
    answer = push.post(posts.cloudevent(), path="/events/other")

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["status"] == 404


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_packed_body_is_unpacked(push: Push, name: str, pack) -> None:
    answer = push.post(pack(posts.packed(posts.cloudevent())), content_encoding=name)

    assert answer.json() == counts(taken=1)


def test_a_body_over_the_limit_is_413_whether_it_says_so_or_not() -> None:
    with pushing(max_body=100) as small:
        assert small.post(posts.cloudevent()).status_code == 413

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b" " * 60

        assert small.http.request("POST", "/events/drop", content=chunks()).status_code == 413
        assert small.client.requests == {}


def test_a_gzip_bomb_is_413_and_unpacked_only_up_to_the_limit() -> None:
    with pushing(max_unpacked=100_000) as small:
        bomb = gzip.compress(b" " * 50_000_000)
        assert small.post(bomb, content_encoding="gzip").status_code == 413


def test_too_many_events_are_413(push: Push) -> None:
    with pushing(max_events=2) as small:
        assert small.post([posts.cloudevent()] * 3, **BATCH).status_code == 413
        assert small.post([posts.cloudevent()] * 2, **BATCH).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"x", {"content_encoding": "br"}, 415),
        (b"x", {"content_encoding": "gzip, gzip"}, 415),
        (b"x", {"content_encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0)[:-4], {"content_encoding": "gzip"}, 400),
        (b"{}", {"ce_id": "1"}, 400),
        (b"{}", {}, 415),
        (b"<a/>", {"content_type": "application/cloudevents+xml"}, 415),
    ],
)
def test_what_can_never_be_taken_is_400_or_415(push: Push, body: bytes, headers: dict[str, str], status: int) -> None:
    assert push.post(body, **headers).status_code == status
    assert push.letters.kept == {}


def test_what_an_operator_sends_back_is_taken_and_what_still_cannot_be_read_is_kept_again(push: Push) -> None:
    push.letters.send_back("1-0", posts.packed(posts.cloudevent()))
    push.letters.send_back("2-0", b"{")
    push.source.replay()
    push.letters.send_back("3-0", b"{")
    push.source.replay()

    assert push.letters.sent_back == []
    assert push.client.started == [("orders.csv", "orders")]
    assert [body for body, _ in push.letters.kept.values()] == [b"{", b"{"]


def test_an_event_whose_id_another_request_took_is_one_request_however_often_it_comes(push: Push) -> None:
    push.post(posts.cloudevent())
    [(usual, request)] = push.client.requests.items()
    push.client.requests.clear()
    push.client.submit(request_id=usual, file=request.file, customer_key="other", mid=push.client.mid)

    for _ in range(3):
        assert push.post(posts.cloudevent()).json() == counts(taken=1)
    assert push.client.started == [("orders.csv", "other"), ("orders.csv", "orders")]


class HeldClient(FakeClient):
    """Takes `large.csv` only when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def submit_many(self, submissions: Sequence[Submission]) -> list[SubmitResult | NotTaken]:
        if any(each["file"].name == "large.csv" for each in submissions):  # type: ignore[union-attr]
            assert self.go_on.wait(30)
        return super().submit_many(submissions)


@pytest.mark.parametrize("headers", [{"content-encoding": "gzip"}, {}], ids=["packed", "long"])
def test_no_post_waits_for_one_that_is_long_or_packed_and_came_with_it(headers: dict[str, str]) -> None:
    client = HeldClient()
    source = push_source(client, Letters())
    large = posts.packed(posts.cloudevent("large.csv", note="x" * TOGETHER_BYTES))
    body = gzip.compress(large) if headers else large
    head = {"content-type": "application/cloudevents+json"}

    async def both() -> list[Answer]:
        first = asyncio.ensure_future(source.take(Received(head | headers, {}, body)))
        other = await source.take(Received(head, {}, posts.packed(posts.cloudevent())))
        client.go_on.set()
        return [await first, other]

    assert [each.status for each in asyncio.run(both())] == [200, 200]
    source.close()


def test_a_file_both_of_whose_ids_are_taken_is_set_aside(push: Push) -> None:
    push.post(posts.cloudevent())
    [(usual, request)] = push.client.requests.items()
    for each in (usual, push.client.own_id(usual)):
        push.client.requests.pop(each, None)
        push.client.submit(request_id=each, file=request.file, customer_key="other", mid=push.client.mid)

    assert push.post(posts.cloudevent()).json() == counts(set_aside=1)


@pytest.mark.parametrize("body", [posts.packed(posts.cloudevent()), posts.packed(posts.cloudevent(data=1)), b"{"])
def test_a_letter_that_was_sent_back_and_whose_end_redis_missed_is_one_request_or_one_letter(
    push: Push, body: bytes
) -> None:
    for _ in range(3):
        push.letters.send_back("1-0", body)
        push.source.replay()

    assert len(push.client.requests) + len(push.letters.kept) == 1


def test_a_source_that_ends_takes_no_further_event(push: Push) -> None:
    push.source.close()

    assert push.post(posts.cloudevent()).status_code == 503
    assert push.source._take_events([posts.cloudevent()]) == ["not_now"]
    assert push.client.requests == {}


def test_the_handshake_of_event_grid_is_answered_with_its_code() -> None:
    with pushing(form="event-grid") as azure:
        answer = azure.post([posts.validation("512d38b6")], aeg_event_type="SubscriptionValidation")
        assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})


@pytest.mark.parametrize(("origin", "status"), [("eventgrid.azure.net", 200), ("evil.example.com", 403)])
def test_the_handshake_of_cloudevents_is_for_the_origins_of_the_source(origin: str, status: int) -> None:
    with pushing(form="event-grid") as azure:
        answer = azure.http.request("OPTIONS", "/events/drop", headers={"WebHook-Request-Origin": origin})
        assert answer.status_code == status
        assert answer.headers.get("webhook-allowed-origin") == (origin if status == 200 else None)


@pytest.mark.parametrize("origin", ["eventgrid.azure.net", "EventGrid.Azure.net"])
def test_an_origin_that_asks_for_a_rate_has_its_answer_at_once_and_no_callback_is_called(origin: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere, pushing(form="event-grid") as azure:
        elsewhere.setblocking(False)
        callback = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/validate?id=1"
        asked = {"WebHook-Request-Origin": origin, "WebHook-Request-Rate": "120", "WebHook-Request-Callback": callback}
        answer = azure.http.request("OPTIONS", "/events/drop", headers=asked)
        allowed = {name: answer.headers.get(f"webhook-allowed-{name}") for name in ("origin", "rate")}
        assert (answer.status_code, allowed) == (200, {"origin": origin, "rate": "*"})
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_ready_is_503_while_redis_does_not_answer_and_alive_all_the_same() -> None:
    with pushing(is_ready=lambda: False) as away:
        assert away.http.request("GET", "/readyz").status_code == 503
        assert away.http.request("GET", "/healthz").status_code == 200


def test_the_end_of_the_server_ends_the_thread_that_asks_whether_it_is_ready() -> None:
    before = threading.enumerate()
    with pushing() as push:
        push.http.request("GET", "/readyz")
    assert left_running(before) == []


def test_another_method_is_405_as_a_problem(push: Push) -> None:
    answer = push.http.request("GET", "/events/drop")

    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


def test_an_event_that_is_nested_too_deeply_to_be_kept_is_400_and_the_others_are_taken(push: Push) -> None:
    deep = b'{"specversion": "2.0", "data": ' + b"[" * 600 + b"]" * 600 + b"}"
    answer = push.post(b"[" + deep + b"," + posts.packed(posts.cloudevent()) + b"]", **BATCH)

    assert answer.status_code == 400
    assert push.client.started == [("orders.csv", "orders")]


def test_more_posts_than_the_threads_of_a_source_can_work_off_are_asked_to_come_later(push: Push) -> None:
    push.source._waiting = MAX_WAITING

    answer = push.post(posts.cloudevent())

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_bodies_of_all_senders_share_the_memory_and_give_it_back() -> None:
    budget = Budget(100)
    for _ in range(3):
        with budget.share() as one, budget.share() as two:
            one.add(60)
            with pytest.raises(RefusedError) as refused:
                two.add(60)
    assert refused.value.answer.status == 503


def test_posts_that_are_taken_together_are_answered_each_for_itself(push: Push) -> None:
    def received(body: bytes, **headers: str) -> Received:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Received({"content-type": BATCH["content_type"]} | named, {}, body)

    good = [received(posts.packed([posts.cloudevent(f"{name}.csv", id=name)])) for name in "abc"]
    deep = received(b'[{"specversion": "2.0", "data": ' + b"[" * 600 + b"]" * 600 + b"}]")
    bad = [received(b"x", content_encoding="br"), received(b"{"), deep]

    answers = push.source.answers([good[0], bad[0], good[1], bad[1], bad[2], good[2]])

    assert [each.status for each in answers if isinstance(each, Answer)] == [200, 415, 200, 200, 400, 200]
    assert [dict(answers[place].body) for place in (0, 2, 3, 5)] == [  # type: ignore[union-attr]
        counts(taken=1),
        counts(taken=1),
        counts(set_aside=1),
        counts(taken=1),
    ]
    assert [name for name, _ in push.client.started] == ["a.csv", "b.csv", "c.csv"]
