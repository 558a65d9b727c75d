"""The endpoint generator against a server that misbehaves: what is tried again, what ends it, and what it may cost."""

from __future__ import annotations

import json
import re
import threading
from email.utils import formatdate

import pytest
from loopback import FakeClock, Reply, by_seed, loopback, said
from pydantic import ValidationError

from magistral_recipe.errors import DataError, RunError
from magistral_recipe.generation import Request, Sampling
from magistral_recipe.generation.endpoint import generator as generator_module
from magistral_recipe.generation.endpoint.answers import Refused, TryAgain, error_text, read_answer, retry_after
from magistral_recipe.generation.endpoint.config import EndpointConfig
from magistral_recipe.generation.endpoint.generator import Clock, EndpointGenerator
from magistral_recipe.writing.thinking import Thinking

SAMPLING = Sampling(temperature=0.7, top_p=0.95, max_new_tokens=8, seed=5)
KEY = "not-really-a-key-0123456789"


def requests(count):
    return [Request(f"p{n}", 0, [{"role": "user", "content": f"What is {n} + 2?"}]) for n in range(count)]


def drawn(url, asked, *, clock=None, told=None, thinking=None, finished=0, **keys):
    """What is finished, and the error that ended it."""
    clock = clock or FakeClock()
    config = EndpointConfig(endpoint=url, name="m", **keys)
    generator = EndpointGenerator(
        config,
        thinking,
        tell=(told if told is not None else []).append,
        finished=finished,
        clock=Clock(clock.now, clock.wall, clock.pause),
    )
    answered, error = [], None
    try:
        for batch in generator.stream(asked, SAMPLING):
            answered += batch
    except (DataError, RunError) as caught:
        error = caught
    return sorted(answered, key=lambda done: done.request.id), error, generator


def test_a_request_a_sample_with_a_seed_of_its_own_and_at_most_so_many_at_once(monkeypatch):
    monkeypatch.setenv("ENDPOINT_KEY", KEY)
    with loopback() as endpoint:
        finished, error, generator = drawn(endpoint.url, requests(30), concurrency=3, key="ENDPOINT_KEY")
    assert error is None
    assert [done.request for done in finished] == sorted(requests(30), key=lambda request: request.id)
    assert len({body["seed"] for body in endpoint.bodies}) == len(endpoint.bodies) == 30
    assert endpoint.most <= 3
    assert set(endpoint.keys) == {f"Bearer {KEY}"}
    first = next(body for body in endpoint.bodies if body["messages"][0]["content"] == "What is 3 + 2?")
    assert {name: first[name] for name in ("model", "temperature", "top_p", "max_tokens")} == {
        "model": "m",
        "temperature": 0.7,
        "top_p": 0.95,
        "max_tokens": 8,
    }
    assert generator.budget.line() == f"30 requests, {sum(done.tokens for done in finished) + 30 * 7} tokens"


HALF = json.dumps(said("whole").data)
MISHAPS = {
    "429": Reply({"error": {"message": "slow down"}}, 429),
    "500": Reply("<html>oops</html>", 500),
    "503": Reply({"detail": "loading"}, 503),
    "half a line": Reply(HALF[:40]),
    "a closed connection": Reply(HALF[:40], length=len(HALF)),
    "no JSON": Reply("upstream timed out"),
    "JSON of another kind": Reply([1, 2]),
    "no choices": Reply({"choices": []}),
    "no token count and nothing said": Reply({"choices": said("").data["choices"]}),
    "an empty answer": said("", 0),
    "an empty answer of many tokens": said("", 40),
    "white space": said(" \n", 2),
    "no content": said(None, 0),
    "content of another kind": said({"a": 1}),
    "bytes that are no text": Reply("\udcff\udcfe"),
    "a call of a tool": said("x", 5, "tool_calls"),
}


@pytest.mark.parametrize("mishap", MISHAPS)
def test_what_goes_wrong_once_is_tried_again_and_never_stored(mishap):
    clock = FakeClock()
    with loopback(lambda number, body: MISHAPS[mishap] if number == 0 else said("fine")) as endpoint:
        finished, error, generator = drawn(endpoint.url, requests(1), clock=clock)
    assert error is None
    assert [(done.text, done.tokens, done.truncated) for done in finished] == [("fine", 5, False)]
    assert (generator.budget.requests, generator.budget.again) == (2, 1)
    assert len(clock.pauses) == 1
    assert 0.5 <= clock.pauses[0] <= 1.5


def test_a_model_that_never_answers_is_left_after_its_time():
    with loopback(lambda number, body: Reply("", stall=True)) as endpoint:
        finished, error, _ = drawn(endpoint.url, requests(2), timeout=0.05, retries=1)
    assert not finished
    assert isinstance(error, RunError)
    assert "2 of 2 requests got no usable answer" in str(error)
    assert "no answer within 0.05 s; what is finished is kept" in str(error)


def test_an_answer_without_end_is_read_so_far_and_no_further(monkeypatch):
    monkeypatch.setattr(generator_module, "LARGEST_ANSWER", 2**20)
    with loopback(lambda number, body: said("x" * 2**21)) as endpoint:
        finished, error, _ = drawn(endpoint.url, requests(1), retries=0)
    assert not finished
    assert "an answer of more than 1 MiB" in str(error)


def test_pauses_grow_and_everybody_waits_as_long_as_the_endpoint_asks():
    clock = FakeClock()
    with loopback(lambda number, body: Reply("", 500) if number < 4 else said("fine")) as endpoint:
        drawn(endpoint.url, requests(1), clock=clock)
    assert [round(pause / 2**n, 3) for n, pause in enumerate(clock.pauses)] == pytest.approx([1, 1, 1, 1], abs=0.5)

    clock = FakeClock()
    busy = Reply("", 429, {"Retry-After": "20"})
    with loopback(lambda number, body: busy if number == 0 else said("fine")) as endpoint:
        finished, _, _ = drawn(endpoint.url, requests(3), clock=clock, concurrency=1)
    assert len(finished) == 3
    assert clock.pauses == [20.0]


def test_a_wait_is_a_number_or_a_date():
    assert retry_after({"retry-after": "1.5"}, 0) == 1.5
    assert retry_after({"retry-after": formatdate(1_790_000_030, usegmt=True)}, 1_790_000_000) == 30
    assert retry_after({"retry-after": formatdate(1_789_999_000)}, 1_790_000_000) == 0
    assert retry_after({"retry-after": "1e9"}, 0) == 3600
    assert [retry_after({"retry-after": text}, 0) for text in ("soon", "nan", "")] == [None, None, None]


def test_a_busy_endpoint_that_answers_others_has_not_failed():
    """It has no time for problem 0 until six others are answered, one between any two tries."""
    answered, turn = [0, 0], threading.Condition()

    def script(number, body):
        first = "What is 0 +" in str(body["messages"])
        with turn:
            answered[first] += 1
            if first:
                turn.wait_for(lambda: answered[0] >= answered[1], timeout=10)
            turn.notify_all()
            return Reply("", 429) if first and answered[1] <= 6 else said("fine")

    with loopback(script) as endpoint:
        finished, error, generator = drawn(endpoint.url, requests(12), retries=2, concurrency=2)
    assert error is None
    assert len(finished) == 12
    assert generator.budget.again == 6


def test_those_that_fail_are_asked_again_by_the_next_run_and_the_others_kept():
    bad = lambda number, body: Reply("", 500) if "What is 4 +" in str(body["messages"]) else said("fine")  # noqa: E731
    with loopback(bad) as endpoint:
        finished, error, _ = drawn(endpoint.url, requests(9), retries=1)
    assert [done.request.id for done in finished] == [f"p{n}" for n in range(9) if n != 4]
    assert "1 of 9 requests got no usable answer, the last for problem 'p4': status 500" in str(error)


def test_an_endpoint_that_is_down_is_not_asked_for_every_problem():
    with loopback(lambda number, body: said("fine") if number < 5 else Reply("", 500)) as endpoint:
        finished, error, generator = drawn(endpoint.url, requests(100), retries=1, concurrency=1)
    assert len(finished) == 5
    assert "got no usable answer" in str(error)
    assert generator.budget.requests == 5 + 3 * 2


def test_nobody_there_is_one_line():
    with loopback() as endpoint:
        pass
    finished, error, _ = drawn(endpoint.url, requests(3))
    assert not finished
    assert isinstance(error, RunError)
    assert str(error).startswith(f"m at {endpoint.url[7:-3]}: cannot be reached (")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply({"error": {"message": f"Incorrect API key provided: {KEY}."}}, 401), r"401: Incorrect.*\(withheld\)\. "),
        (Reply({"error": {"message": "no model m"}}, 404), r"404: no model m \(asked for the model 'm' at http"),
        (Reply("", 307, {"Location": "http://elsewhere/v1"}), "sends elsewhere"),
    ],
)
def test_what_no_request_can_mend_ends_it_at_once(monkeypatch, reply, message):
    monkeypatch.setenv("ENDPOINT_KEY", KEY)
    with loopback(lambda number, body: reply) as endpoint:
        finished, error, generator = drawn(endpoint.url, requests(50), key="ENDPOINT_KEY", concurrency=1)
    assert isinstance(error, DataError)
    assert re.search(message, str(error))
    assert not finished
    assert generator.budget.requests == 1
    assert KEY not in str(error)


def test_a_few_refused_requests_are_left_out_and_told_and_many_are_an_error():
    long = Reply({"error": {"message": "maximum context length is 512 tokens"}}, 400)
    few = lambda number, body: long if "What is 4 +" in str(body["messages"]) else said("fine")  # noqa: E731
    told = []
    with loopback(few) as endpoint:
        finished, error, generator = drawn(endpoint.url, requests(40), told=told)
    assert error is None
    assert len(finished) == 39
    assert generator.budget.again == 0
    assert told == [
        f"m at {endpoint.url[7:-3]}: refuses 1 of 40 requests, as for 'p4': 400: maximum context length is 512 tokens; "
        "they are left out"
    ]
    with loopback(lambda number, body: long) as endpoint:
        finished, error, generator = drawn(endpoint.url, requests(1000), concurrency=1)
    assert isinstance(error, RunError)
    assert "maximum context length" in str(error)
    assert generator.budget.requests == 3


def test_one_refused_prompt_of_a_small_set_is_left_out_and_all_of_them_are_an_error():
    refused = Reply({"error": {"message": "too long"}}, 400)
    one = lambda number, body: refused if "What is 4 +" in str(body["messages"]) else said("fine")  # noqa: E731
    told = []
    with loopback(one) as endpoint:
        finished, error, _ = drawn(endpoint.url, requests(6), told=told)
        assert error is None
        assert (len(finished), len(told)) == (5, 1)
        _, error, _ = drawn(endpoint.url, requests(6)[4:5])
    assert "refuses 1 of 1 requests" in str(error)


def test_a_prompt_with_empty_answers_alone_is_left_out_and_never_stored():
    empty = lambda number, body: said("", 9) if "What is 4 +" in str(body["messages"]) else said("fine")  # noqa: E731
    told = []
    with loopback(empty) as endpoint:
        finished, error, _ = drawn(endpoint.url, requests(6), told=told, retries=1)
    assert error is None
    assert all(done.text == "fine" for done in finished)
    assert len(finished) == 5
    assert "as for 'p4': an empty answer, 2 times" in told[0]


def test_refused_prompts_that_are_asked_first_again_do_not_stop_a_later_start():
    """Ten of three hundred are refused; a budget ends the first start, and the second one begins with those ten."""
    bad = {f"What is {n} + 2?" for n in range(0, 100, 10)}
    refused = Reply({"error": {"message": "too long"}}, 400)
    script = lambda number, body: refused if body["messages"][0]["content"] in bad else said("fine")  # noqa: E731
    with loopback(script) as endpoint:
        first, error, _ = drawn(endpoint.url, requests(300), max_requests=200)
        assert "stopped at max_requests" in str(error)
        done = {each.request.id for each in first}
        rest = [request for request in requests(300) if request.id not in done]
        told = []
        later, error, _ = drawn(endpoint.url, rest, told=told, finished=len(first))
    assert error is None
    assert len(first) + len(later) == 290
    assert "refuses 10 of 110 requests" in told[0]


def test_an_endpoint_that_counts_no_tokens_is_believed_and_said_so():
    told = []
    with loopback(lambda number, body: Reply({"choices": said("x" * 80).data["choices"]})) as endpoint:
        finished, error, generator = drawn(endpoint.url, requests(3), told=told)
    assert error is None
    assert [(done.text, done.tokens) for done in finished] == [("x" * 80, 20)] * 3
    assert told == [f"m at {endpoint.url[7:-3]}: counts no tokens; they are estimated, those of prompts left out"]
    assert generator.budget.tokens == 60


def test_an_endpoint_that_asks_for_no_time_is_given_more_and_more():
    clock = FakeClock()
    busy = Reply("", 429, {"Retry-After": "0"})
    with loopback(lambda number, body: busy if number < 4 else said("fine")) as endpoint:
        finished, _, _ = drawn(endpoint.url, requests(1), clock=clock)
    assert len(finished) == 1
    assert clock.pauses == [1, 2, 4]  # none before the second try


def test_a_long_wait_is_told():
    told = []
    busy = Reply({"error": "daily limit"}, 429, {"Retry-After": "900"})
    with loopback(lambda number, body: busy if number == 0 else said("fine")) as endpoint:
        drawn(endpoint.url, requests(1), told=told)
    assert told == [f"m at {endpoint.url[7:-3]}: asks to wait 900 s (429: daily limit)"]


def test_the_parts_of_a_limit_of_all_processes_are_the_limit(monkeypatch):
    config = EndpointConfig(endpoint="http://host/v1", name="m", max_requests=7, max_tokens_total=2)
    parts = []
    for rank in range(3):
        monkeypatch.setenv("WORLD_SIZE", "3")
        monkeypatch.setenv("RANK", str(rank))
        budget = EndpointGenerator(config).budget
        parts.append((budget.max_requests, budget.max_tokens))
    assert parts == [(3, 1), (2, 1), (2, 0)]


@pytest.mark.parametrize("keys", [{"max_requests": 10}, {"max_tokens_total": 120}])
def test_a_budget_stops_it_cleanly_and_the_next_run_goes_on(keys):
    with loopback(lambda number, body: said("fine")) as endpoint:  # 12 tokens each
        finished, error, _ = drawn(endpoint.url, requests(25), concurrency=1, **keys)
        assert len(finished) == 10
        assert isinstance(error, RunError)
        assert "15 of 25 samples are still to be drawn" in str(error)
        assert f"stopped at {next(iter(keys))} (" in str(error)
        done = {completion.request.id for completion in finished}
        rest = [request for request in requests(25) if request.id not in done]
        _, error, _ = drawn(endpoint.url, rest, max_requests=15)
    assert error is None
    assert len(endpoint.bodies) == 25


def test_not_one_request_more_is_sent_however_many_are_begun_at_once():
    with loopback(lambda number, body: said("fine")) as endpoint:
        finished, error, _ = drawn(endpoint.url, requests(40), concurrency=16, max_requests=7)
    assert len(finished) == len(endpoint.bodies) == 7
    assert "stopped at max_requests (7), after 7 requests" in str(error)
    assert "33 of 40 samples" in str(error)


def test_a_reader_that_stops_leaves_nothing_behind():
    with loopback(lambda number, body: said("fine") if number == 0 else Reply("", stall=True)) as endpoint:
        generator = EndpointGenerator(EndpointConfig(endpoint=endpoint.url, name="m"))
        stream = generator.stream(requests(50), SAMPLING)
        assert len(next(stream)) == 1
        stream.close()  # returns, whatever is under way
    assert len(endpoint.bodies) <= 50


def test_thoughts_in_a_field_of_their_own_are_joined_with_the_recipes_tags():
    thinking = Thinking("[THINK]", "[/THINK]")

    def text(data):
        return read_answer(json.dumps(data).encode(), thinking).text

    for field in ("reasoning_content", "reasoning"):
        assert text(said("So 4.", **{field: "Two and two."}).data) == "[THINK]Two and two.[/THINK]So 4."
    assert text(said("So 4.", reasoning_content=None).data) == "So 4."
    cut = said(None, 8, "length", reasoning_content="Two and").data
    assert text(cut) == "[THINK]Two and"
    assert read_answer(json.dumps(cut).encode(), thinking).truncated
    assert read_answer(json.dumps(said("", 1).data).encode(), thinking).text == ""  # the model ended at once
    with pytest.raises(Refused, match="filter"):
        text(said("", 0, "content_filter").data)
    with pytest.raises(TryAgain, match="no numbers"):
        text(said("x", True).data)


def test_what_an_endpoint_says_of_an_error_is_one_short_line():
    assert error_text(b'{"error": {"message": "a\\n  b", "code": 3}}') == "a b"
    assert error_text(b'{"detail": [{"msg": "field required"}]}') == "field required"
    assert error_text(b"<html>Bad gateway</html>") == error_text(b"") == error_text(b"[]") == ""
    assert len(error_text(b"x" * 10_000)) == 200


def test_raw_text_goes_to_plain_completions_and_fields_can_be_added_and_left_out():
    with loopback() as endpoint:
        finished, error, _ = drawn(
            endpoint.url, [Request("a", 0, "Once \ud800 upon")], body={"top_k": 5, "top_p": None, "temperature": 0.1}
        )
    assert error is None
    assert endpoint.paths == ["/v1/completions"]
    assert endpoint.bodies[0]["prompt"] == finished[0].prompt == "Once \ud800 upon"
    assert endpoint.bodies[0]["top_k"] == 5
    assert endpoint.bodies[0]["temperature"] == 0.1
    assert "top_p" not in endpoint.bodies[0]
    assert finished[0].text == by_seed(0, endpoint.bodies[0]).data["choices"][0]["text"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"endpoint": "localhost:8000"}, "expected an address"),
        ({"endpoint": "http://me:secret@host/v1"}, "a key belongs into the environment"),
        ({"endpoint": "http://host/v1?key=1"}, "a key belongs into the environment"),
        ({"endpoint": "http://host:notaport/v1"}, "not an address"),
        ({"key": "two words"}, "name of an environment variable"),
        ({"body": {"messages": []}}, "messages: set by what is asked"),
        ({"max_requests": 0}, "greater than or equal to 1"),
    ],
)
def test_an_endpoint_is_named_by_an_address_and_holds_no_secret(keys, message):
    with pytest.raises(ValidationError, match=message):
        EndpointConfig(**{"endpoint": "http://host/v1", "name": "m", **keys})


def test_a_key_that_is_not_there_is_a_mistake_of_the_users(monkeypatch):
    monkeypatch.delenv("ENDPOINT_KEY", raising=False)
    with pytest.raises(DataError, match="the environment has no ENDPOINT_KEY"):
        EndpointGenerator(EndpointConfig(endpoint="http://host/v1", name="m", key="ENDPOINT_KEY"))
    monkeypatch.setenv("ENDPOINT_KEY", "a\nb")
    with pytest.raises(DataError, match="can't be a key"):
        EndpointGenerator(EndpointConfig(endpoint="http://host/v1", name="m", key="ENDPOINT_KEY"))
