"""Log probabilities from the settings to the ledger: measured models are asked for them, live traffic is not."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from selfopt.ledger import open_ledger
from selfopt.measure.stored import stored_replies
from selfopt.records import Trial
from selfopt.scripted.script import Script

from .servers import scripted_server
from .world import Project

SURE = Script.model_validate({"models": {"m": {"default": {"text": "I cannot say that.", "logprob": -0.25}}}})


class NewOllama(BaseHTTPRequestHandler):
    """Tells the version and the models of an Ollama."""

    def do_GET(self) -> None:
        """Whatever is asked."""
        body = json.dumps({"version": "0.12.11", "models": [{"name": "m"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """The same."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def new_ollama() -> Iterator[str]:
    """Its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), NewOllama)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(120)


def own_endpoint(project: Project, monkeypatch: pytest.MonkeyPatch, *tables: str) -> None:
    """Endpoints of the user's own settings."""
    project.user_config.write_text("".join(f"[endpoints.{table}\n" for table in tables), "utf-8")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))


def lab(url: str, kind: str = "openai_compatible", more: str = "") -> str:
    """The table of an endpoint called lab."""
    return f'lab]\nkind = "{kind}"\nbase_url = "{url}"\nlocal = true\n{more}'


def sums(project: Project) -> list[tuple[str, float, int]]:
    """The text, the sum and the number of tokens of each stored reply that has log probabilities."""
    ledger = open_ledger(project.home / "ledger.sqlite3")
    found = []
    for trial in ledger.read(Trial):
        for reply in stored_replies(ledger, trial):
            logprobs = reply.logprobs()
            if logprobs is not None:
                found.append((logprobs.text, logprobs.total, len(logprobs)))
    ledger.close()
    return found


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama"])
def test_a_measured_server_is_asked_and_the_sum_is_kept(project: Project, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Four characters are a token of this server, and its end is one, which counts in no sum. `show` says how many there are."""
    with scripted_server(SURE) as url:
        own_endpoint(project, monkeypatch, lab(url, kind))
        body = project.ok("run", "lab/m", "atomic", "--json").json()
        shown = project.ok("show", body["verdicts"][0]["trial_id"], "--json").json()
    assert sums(project) == [("I cannot say that.", -1.25, 6)] * len(body["verdicts"])
    step = shown["exchanges"][0]
    assert (step["content"]["text"], step["tokens_with_logprobs"]) == ("I cannot say that.", 6)
    sent = json.loads(step["attempts"][0]["request"])
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 5)
    received = json.loads(step["attempts"][0]["reply"])
    assert (received["choices"][0] if "choices" in received else received)["logprobs"] is None


def test_the_setting_switches_them_off_and_nothing_else_changes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run under the same id, with the same verdicts."""
    runs: list[Any] = []
    for setting in ("", "logprobs = false\n"):
        with scripted_server(SURE) as url:
            own_endpoint(project, monkeypatch, lab(url, more=setting))
            runs.append(project.ok("run", "lab/m", "atomic", "--json").json())
        assert len(sums(project)) == len(runs[0]["verdicts"])
    shown = [project.ok("show", run["verdicts"][0]["trial_id"], "--json").json() for run in runs]
    assert [one["exchanges"][0]["tokens_with_logprobs"] for one in shown] == [6, 0]
    assert shown[0]["run"]["request_id"] == shown[1]["run"]["request_id"]
    assert shown[0]["exchanges"][0]["content"] == shown[1]["exchanges"][0]["content"]


def test_a_script_in_process_gives_them_where_the_settings_ask(project: Project) -> None:
    """To practise on. A reply without them has none."""
    replies = [{"match": {"contains": "Oslo"}, "text": "ok", "logprob": -0.5}]
    project.write("sure.yaml", yaml.safe_dump({"models": {"m": {"replies": replies}}}))
    project.settings('[endpoints.sure]\nkind = "scripted"\nscript = "sure.yaml"\nlogprobs = true\n')
    verdicts = project.ok("run", "sure/m", "atomic", "--json").json()["verdicts"]
    found = sums(project)
    assert 0 < len(found) < len(verdicts)
    assert all((text, tokens) == ("ok", 2) and math.isclose(total, -0.5) for text, total, tokens in found)


def test_a_prompt_that_is_only_tried_does_not_ask(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only measurements do."""
    with scripted_server(SURE) as url:
        own_endpoint(project, monkeypatch, lab(url))
        tried = project.ok("try", "lab/m", "hello", "--tools", "tools.json", "--json").out
    assert "I cannot say that." in tried
    assert "logprob" not in tried


def test_doctor_says_which_endpoint_has_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its kind, by what a local server says, or that they are switched off."""
    with new_ollama() as url:
        off = lab(url, "ollama", "logprobs = false\n").replace("lab]", "off]")
        own_endpoint(project, monkeypatch, lab(url, "ollama"), off)
        said = {check["name"]: check["detail"] for check in project.run("doctor", "--json").json()}
    assert "has no log probabilities" in said["endpoint anthropic"]
    assert "log probabilities" not in said["endpoint openai"]
    assert "log probabilities are switched off" in said["endpoint off"]
    assert "gives log probabilities" in said["endpoint lab"]
