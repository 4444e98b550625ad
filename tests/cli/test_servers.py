"""Servers that are not there, refuse, hang, close or talk nonsense: one clear line, exit 1, nothing lost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable

import pytest

from selfopt.scripted.script import Script

from .servers import free_port, scripted_server, socket_server
from .world import Project


def serve_as(project: Project, monkeypatch: pytest.MonkeyPatch, name: str, kind: str, url: str, extra: str = "") -> None:
    """Put an endpoint into the user's own settings."""
    project.user_config.write_text(f'[endpoints.{name}]\nkind = "{kind}"\nbase_url = "{url}"\nlocal = true\n{extra}', "utf-8")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama", "anthropic"])
def test_no_server_at_the_url(project: Project, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Exit 1 with the address; the run is left to be continued; no trial is scored."""
    port = free_port()
    serve_as(project, monkeypatch, "there", kind, f"http://127.0.0.1:{port}")
    project.run("run", "there/model", "atomic").assert_refused(1, str(port))
    project.run("try", "there/model", "x", "--tools", "tools.json").assert_refused(1, str(port))
    assert "nothing listens there" in project.ok("doctor").out
    assert "unknown" in project.ok("models", "ps", "there/model").out


def test_a_wrong_url_is_a_usage_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """No URL at all, another scheme: named; doctor fails on it."""
    for url in ("", "ftp://127.0.0.1", "http://", "not a url"):
        serve_as(project, monkeypatch, "there", "openai_compatible", url)
        result = project.run("run", "there/model", "atomic")
        assert result.code in (1, 2), url
        result.assert_refused(result.code)
        assert "Traceback" not in project.run("doctor").err


def test_a_wrong_api_key(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """401: exit 1, says which key, never shows it; nothing is scored. With the right key it runs."""
    script = Script.model_validate({"api_key": "right-key", "models": {"m": {}}})
    with scripted_server(script) as url:
        serve_as(project, monkeypatch, "there", "openai_compatible", f"{url}/v1", 'api_key = "wrong-secret"\n')
        result = project.run("run", "there/m", "atomic")
        result.assert_refused(1, "401")
        assert "wrong-secret" not in result.err + result.out
        serve_as(project, monkeypatch, "there", "openai_compatible", f"{url}/v1", 'api_key_env = "THERE_KEY"\n')
        project.run("run", "there/m", "atomic").assert_refused(1, "401")
        monkeypatch.setenv("THERE_KEY", "right-key")
        project.ok("run", "there/m", "atomic")
        assert "key set" in project.ok("doctor").out


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama", "anthropic"])
def test_a_model_that_the_server_does_not_have(project: Project, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """404: exit 1 with the model's name; for Ollama that is a model that was not pulled."""
    with scripted_server(Script.model_validate({"models": {"m": {}}})) as url:
        serve_as(project, monkeypatch, "there", kind, url)
        project.run("run", "there/nope", "atomic").assert_refused(1, "nope")
        project.ok("run", "there/m", "atomic", "--limit", "1")


@pytest.mark.parametrize(("kind", "place"), [("ollama", "format"), ("openai_compatible", "response_format")])
def test_a_variant_with_a_grammar_is_a_schema_where_no_grammar_is_taken(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, place: str
) -> None:
    """Ollama refuses grammars, others would pass them over: the same calls as a JSON Schema; `grammar = true` says otherwise."""
    script = Script.model_validate({"models": {"m": {"default": {"text": '{"tool_calls": []}'}}}})
    with scripted_server(script) as url:
        serve_as(project, monkeypatch, "there", kind, url)
        tried = project.ok("try", "there/m", "hello", "--tools", "tools.json", "--variant", "constrained", "--json").json()
        assert place in json.loads(tried["steps"][0]["reply"]["request_body"])
        project.ok("run", "there/m", "atomic", "few_shot_constrained", "--limit", "1")
        assert "-> few_shot_constrained" in project.ok("loop", "--dry-run", "--baseline", "there/m atomic native_api").out
        if kind == "openai_compatible":
            serve_as(project, monkeypatch, "there", kind, url, "grammar = true\n")
            tried = project.ok("try", "there/m", "hello", "--tools", "tools.json", "--variant", "constrained", "--json").json()
            assert "grammar" in json.loads(tried["steps"][0]["reply"]["request_body"])


@pytest.mark.parametrize("local", ["false", "true"])
def test_a_cap_on_costs_wants_a_price_before_anything_is_spent(
    project: Project, monkeypatch: pytest.MonkeyPatch, local: str
) -> None:
    """Exit 2 with the setting's name, no request sent; with a price the cap ends the measurement. What is near may be paid, too."""
    with scripted_server(Script.model_validate({"models": {"m": {}}})) as url:
        far = 'kind = "openai_compatible"\nbase_url = "' + url + f'"\nlocal = {local}\n'
        project.user_config.write_text(f"[endpoints.far]\n{far}", "utf-8")
        monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
        refused = project.run("run", "far/m", "atomic", "--max-cost", "1")
        refused.assert_refused(2, "max_cost is set", "the cap can't hold", '[prices."far/m"]')
        assert "ledger.sqlite3" not in project.files()
        project.user_config.write_text(f'[endpoints.far]\n{far}[prices."far/m"]\ninput = 1e6\noutput = 1e6\n', "utf-8")
        stopped = project.run("run", "far/m", "atomic", "--max-cost", "0.5")
        assert (stopped.code, "max_cost = 0.5 reached" in stopped.err + stopped.out) == (1, True)


def test_a_limit_that_a_cloud_may_refuse_is_not_proposed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clouds take a part of JSON Schema only: such a candidate would fail on every prompt."""
    for kind, url in (("anthropic", "http://127.0.0.1:9"), ("openai_compatible", "http://far.example/v1")):
        serve_as(project, monkeypatch, "there", kind, url, "api_key = 'x'\n" if kind == "anthropic" else "")
        text = project.user_config.read_text("utf-8").replace("local = true\n", "")
        project.user_config.write_text(text, "utf-8")
        out = project.ok("loop", "--dry-run", "--baseline", "there/m atomic native_api").out
        assert "constrained" not in out
        assert "restrained" in out


def read_request(connection: socket.socket) -> None:
    """Read until the headers are through."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return
        data += chunk


def hang(connection: socket.socket, over: threading.Event) -> None:
    """Take the request and never answer."""
    read_request(connection)
    over.wait(120)


def close(connection: socket.socket, over: threading.Event) -> None:
    """Close at once."""


def close_in_headers(connection: socket.socket, over: threading.Event) -> None:
    """Half a header line, then nothing."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")


def close_in_body(connection: socket.socket, over: threading.Event) -> None:
    """Less than was promised."""
    read_request(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"choi')


def no_http(connection: socket.socket, over: threading.Event) -> None:
    """Not HTTP at all, with escape sequences."""
    connection.sendall(b"SSH-2.0-OpenSSH\x1b[2J\r\n\x00\xff\r\n")


def endless(connection: socket.socket, over: threading.Event) -> None:
    """A reply that never ends."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"10000\r\n" + b"\x1b[31m" + b"x" * 65531 + b"\r\n")


def endless_headers(connection: socket.socket, over: threading.Event) -> None:
    """Headers without end."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.is_set():
        connection.sendall(b"X-More: " + b"y" * 4000 + b"\r\n")


def redirect(connection: socket.socket, over: threading.Event) -> None:
    """Elsewhere."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/evil\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "talk", [hang, close, close_in_headers, close_in_body, no_http, endless, endless_headers, redirect], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("kind", ["openai_compatible", "ollama", "anthropic"])
def test_a_server_that_misbehaves(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, talk: Callable[[socket.socket, threading.Event], None]
) -> None:
    """It hangs, closes, streams garbage without end: exit 1, one line, nothing hostile in it, and the home is sound."""
    monkeypatch.setattr("selfopt.endpoints.openai_residency.PROBE_TIMEOUT_S", 0.3)
    monkeypatch.setattr("selfopt.endpoints.http.PROBE_TIMEOUT_S", 0.3)
    with socket_server(talk) as url:
        serve_as(project, monkeypatch, "there", kind, url)
        result = project.run("run", "there/m", "atomic", "--limit", "1", "--timeout", "0.3")
        result.assert_refused(1, "there")
        assert "\x1b" not in result.out + result.err
    assert "FAIL" not in project.ok("doctor").out
    project.ok("run", "good", "atomic")


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama"])
def test_a_real_server_is_measured_warmed_and_unloaded(project: Project, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Over HTTP: residency, warm-up and forced unload as for the scripted endpoint in process."""
    script = Script.model_validate({"models": {"m": {"load_ms": 200, "default": {"text": "Hello."}}}})
    with scripted_server(script) as url:
        serve_as(project, monkeypatch, "there", kind, url)
        assert "unloaded" in project.ok("models", "ps", "there/m").out
        result = project.ok("supervise", "there/m", "atomic", "--validate-warm-up", "--runs", "1", "--timeout", "60")
        assert "Warm-up complete" in result.err
        assert "NOT be unloaded" not in result.out


HOSTILE = ["evil", "evil_tool", "huge", "deep", "invalid_utf8", "html", "garbage", "broken"]


@pytest.mark.parametrize("model", HOSTILE)
def test_a_hostile_reply_is_neutralised_wherever_it_is_shown(project: Project, model: str) -> None:
    """10 MB, 10,000 levels, invalid UTF-8, escapes, HTML: in run, show, try, report and JSON nothing acts."""
    result = project.run("run", f"scripted/{model}", "atomic", "--json")
    trial = result.json()["verdicts"][0]["trial_id"]
    texts = [result.out, result.err]
    for arguments in (
        ("run", f"scripted/{model}", "atomic"),
        ("show", trial),
        ("show", trial, "--exact"),
        ("show", trial, "--json"),
        ("feedback",),
        ("loop", "--baseline", f"scripted/{model} atomic native_api", "--max-candidates", "0"),
        ("report",),
        ("try", f"scripted/{model}", "x", "--tools", "tools.json"),
        ("try", f"scripted/{model}", "x", "--tools", "tools.json", "--exact"),
        ("audit", "show"),
        ("routes", "show"),
    ):
        shown = project.run(*arguments)
        assert shown.code in (0, 1), (arguments, shown.err)
        assert "Traceback" not in shown.err, arguments
        assert len(shown.out) < 400_000 or "--json" in arguments
        texts += [shown.out, shown.err]
    for text in texts:
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(text)
    for path in (project.home / "reports").iterdir():
        written = path.read_text("utf-8")
        assert "\x1b" not in written
        if path.suffix == ".md":
            assert "<script>" not in written


def test_what_a_huge_reply_is_cut_to_is_said(project: Project) -> None:
    """Of a reply that is larger than what is shown, the rest is counted, and --json has it."""
    project.write("script.yaml", f'models: {{long: {{default: {{text: "{"y" * 60_000}"}}}}}}')
    body = project.ok("run", "scripted/long", "atomic", "--limit", "1", "--json").json()
    trial = body["verdicts"][0]["trial_id"]
    assert "more characters; --json prints all" in project.ok("show", trial).out
    assert "y" * 60_000 in project.ok("show", trial, "--json").out


def test_evidence_and_rules_count_under_every_name_of_a_model(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server takes NAME and NAME:latest as one model, and so do a measurement, a rule and the gateway's keys."""
    with scripted_server(Script.model_validate({"models": {"m": {}}})) as url:
        serve_as(project, monkeypatch, "there", "ollama", url)
        first = json.loads(project.ok("run", "there/m:latest", "atomic", "native_api", "--json").out)
        again = json.loads(project.ok("run", "there/m", "atomic", "native_api", "--fresh", "--json").out)
        assert (again["served_by"], again["spec_id"]) == ("there/m:latest", first["spec_id"])
        project.ok("routes", "set", "there/M", "atomic", "--deny")
        refused = project.run("run", "there/m", "atomic")
        refused.assert_refused(1, "there/m:latest may not serve atomic")
