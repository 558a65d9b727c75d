"""Looks at the hub: what is said where it is missing, gated, lost, slow, or left out; and how long that takes."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, errors

from magistral_recipe.check import hub
from magistral_recipe.check.hub import HubLooks
from magistral_recipe.errors import DataError


@pytest.fixture
def answering(monkeypatch):
    """A hub that answers whatever is asked."""

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def stalling(monkeypatch):
    """A hub that takes a connection and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield
    listener.close()


def raising(error):
    def find():
        raise error

    return find


def of_hub(kind):
    return kind("no", response=SimpleNamespace(headers={}, status_code=403, request=None))


def look(looks, find, what="model a/b"):
    with looks.as_reached():
        return looks.look(what, "a/b", "model", find)


def test_what_is_there_is_found(answering):
    looks = HubLooks()
    assert look(looks, lambda: 7) == 7
    assert (looks.not_looked, looks.left_out) == ([], [])


def test_a_repository_that_is_not_there_is_a_mistake(answering):
    with pytest.raises(DataError, match=r"no such model on the hub, or it is private \(https://huggingface.co/a/b\)"):
        look(HubLooks(), raising(of_hub(errors.RepositoryNotFoundError)))


def test_a_gated_one_says_where_to_ask(answering):
    looks = HubLooks()
    assert look(looks, raising(of_hub(errors.GatedRepoError))) is None
    (told,) = looks.not_looked
    assert (told.why, told.remedy) == (
        "it is gated",
        "ask for access at https://huggingface.co/a/b, then `hf auth login`",
    )


def test_an_error_of_another_kind_is_its_own(answering):
    with pytest.raises(DataError, match="no column 'x'"):
        look(HubLooks(), raising(DataError("no column 'x'")))


def test_a_connection_that_is_lost_is_no_mistake(answering):
    looks = HubLooks()
    wrapped = OSError("can't load")
    wrapped.__cause__ = ConnectionResetError()
    assert look(looks, raising(wrapped)) is None
    assert looks.not_looked[0].why == "the hub can't be reached, and it is not in its cache"


def test_all_looks_together_get_one_deadline(answering):
    looks, started = HubLooks(seconds=0.6), time.monotonic()
    ended = threading.Event()
    for what in ("model a/b", "data set a/b", "data set a/b"):  # the same once
        assert look(looks, ended.wait, what) is None
    assert time.monotonic() - started < 5
    ended.set()
    assert [told.why for told in looks.not_looked] == ["the hub took longer than 1 s in all"] * 2


def test_a_hub_that_stalls_is_not_waited_for(stalling):
    started = time.monotonic()
    looks = HubLooks(seconds=0.5)
    seen = []
    assert (
        look(looks, lambda: seen.append(constants.HF_HUB_OFFLINE) or raising(errors.OfflineModeIsEnabled("x"))())
        is None
    )
    assert time.monotonic() - started < 5
    assert seen == [True]  # the clients were told to look into their caches alone
    assert looks.not_looked[0].why == "the hub can't be reached, and it is not in its cache"


def test_where_nothing_lies_on_the_hub_it_is_not_asked(monkeypatch):
    monkeypatch.setattr(hub, "_answers", raising(AssertionError))
    assert HubLooks(needed=False).not_looked == []


@pytest.mark.parametrize(("offline", "variable"), [(True, ""), (False, "1")])
def test_offline_by_intent_is_left_out_and_by_the_environment_not_looked_at(monkeypatch, offline, variable):
    monkeypatch.setenv("HF_HUB_OFFLINE", variable)
    monkeypatch.setattr(hub, "_answers", raising(AssertionError))
    looks = HubLooks(offline)
    assert look(looks, raising(errors.LocalEntryNotFoundError("not cached"))) is None
    told = (looks.left_out if offline else looks.not_looked)[0]
    assert told.why.startswith("left out by --offline" if offline else "HF_HUB_OFFLINE is set")
    assert not (looks.not_looked if offline else looks.left_out)
    assert look(looks, lambda: "cached") == "cached"


def test_what_the_clients_are_told_is_put_back(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    before = constants.HF_HUB_OFFLINE
    with HubLooks(offline=True).as_reached():
        assert constants.HF_HUB_OFFLINE is True
    assert constants.HF_HUB_OFFLINE is before
