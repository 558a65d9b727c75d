"""The page of a run that goes on: it answers this machine alone, keeps up, and survives what happens to files."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from browser import browser
from fabricated import make_run
from typer.testing import CliRunner

from magistral_recipe.cli import app
from magistral_recipe.errors import DataError
from magistral_recipe.report.live import LiveReport, make_server


@contextmanager
def served(run):
    server = make_server(run)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(port, path="/", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), dict(answer.getheaders())


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", 6)


def go_on(run, step=91):
    with open(run / "02-grpo" / "metrics.jsonl", "a") as stream:
        stream.write(json.dumps({"step": step, "reward": 1.99, "entropy": 0.2}) + "\n")


def test_the_page_is_served_and_may_ask_its_own_server_for_news(run):
    with served(run) as port:
        status, page, headers = ask(port)
        assert status == 200
        assert "<h1><bdi>quickstart</bdi></h1>" in page
        assert "connect-src &#39;self&#39;" in page
        assert '"live":true' in page
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert ask(port, "/favicon.ico")[0] == 404
        assert ask(port, "/../../etc/passwd")[0] == 404
        assert ask(port, method="POST")[0] == 501
    assert not (run / "report.html").exists()  # serving writes nothing


def test_only_this_machine_under_its_own_name_is_answered(run):
    with served(run) as port:
        assert ask(port, Host=f"localhost:{port}")[0] == 200
        status, page, _ = ask(port, Host=f"evil.example:{port}")
        assert status == 403
        assert "quickstart" not in page


def test_the_version_changes_with_the_run_and_with_nothing_else(run):
    report = LiveReport(run)
    report._took = 0.0
    first = report.version()
    assert "1.99" not in report.page()
    report._took = 0.0
    assert report.version() == first
    (run / "log.txt").write_text("chatter")
    assert report.version() == first
    go_on(run)
    assert report.version() != first
    assert "1.99" in report.page()


def test_building_pages_leaves_the_machine_to_the_run(run):
    report = LiveReport(run)
    report.page()
    report._took = 1_000.0  # a page that took long
    before = report.version()
    go_on(run)
    assert report.version() == before


def test_a_run_that_goes_away_is_an_answer_not_an_end(run):
    with served(run) as port:
        shutil.move(run, run.with_name("moved"))
        status, text, _ = ask(port)
        assert status == 503
        assert "no such run folder" in text
        shutil.move(run.with_name("moved"), run)
        assert ask(port)[0] == 200


def test_a_port_that_is_taken_and_a_folder_that_is_no_run_are_told_at_once(run, tmp_path):
    with served(run) as port, pytest.raises(DataError, match=f"--port {port}: .*leave it out"):
        make_server(run, port)
    with pytest.raises(DataError, match="no such run folder"):
        make_server(tmp_path / "absent")


def test_the_command_refuses_what_does_not_go_together(run, tmp_path):
    def invoke(*words):
        done = CliRunner().invoke(app, ["report", *map(str, words)])
        return done.exit_code, done.stderr.strip()

    other = make_run(tmp_path / "other", 2)
    assert invoke(run, other, "--watch") == (2, "--watch follows one run; leave it out to compare several")
    assert invoke(run, "--output", "x.html")[0] == 2
    assert invoke(run, run) == (2, f"{run}: given twice; a run is not compared with itself")
    assert invoke(tmp_path / "absent") == (2, f"{tmp_path / 'absent'}: no such run folder")
    done = CliRunner().invoke(app, ["report", str(run)])
    assert done.output.strip() == str(run / "report.html")


def test_the_command_says_where_it_serves_and_ends_by_ctrl_c(run):
    words = [sys.executable, "-m", "magistral_recipe", "report", str(run), "--watch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            told = process.stdout.readline()
            port = int(re.match(r"http://127\.0\.0\.1:(\d+)/ ", told)[1])
            assert ask(port)[0] == 200
        finally:
            process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=60)
    assert (process.returncode, rest, complaints) == (0, "no longer served\n", "")


@pytest.mark.browser
def test_an_open_page_keeps_up_and_keeps_the_readers_place(run):
    with served(run) as port, browser() as tab:
        tab.resize(1400, 1000)
        tab.open(f"http://127.0.0.1:{port}/")
        tab.click("#entries [role=option]:nth-child(3)")
        chosen = tab.evaluate("document.querySelector('.detail h3').textContent")
        tab.evaluate("document.querySelector('.numbers').open = true; window.sameDocument = true")
        numbers = "document.querySelectorAll('.numbers')[1].textContent"
        assert "1.99" not in tab.evaluate(numbers)
        tab.until("performance.getEntriesByType('resource').some(e => e.name.endsWith('/version'))")
        go_on(run)
        tab.until(f"{numbers}.includes('1.99')", frames=1200)
        assert tab.evaluate("window.sameDocument") is True  # taken up, not loaded anew
        assert tab.evaluate("document.querySelector('.detail h3').textContent") == chosen
        assert tab.evaluate("document.querySelector('.numbers').open") is True
        tab.until("document.querySelectorAll('.uplot').length > 0")
        assert tab.errors() == []
        asked = [url for url in tab.requests() if url != "about:blank"]
        assert len(asked) > 1
        assert all(url.startswith(f"http://127.0.0.1:{port}/") for url in asked)
