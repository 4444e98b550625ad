"""What a project that nobody trusts can reach: no other server, no softer rule; and how trust is given, shown and lost."""

from __future__ import annotations

import json
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import selfopt
from selfopt.cli.main import run
from selfopt.errors import ConsentError, SettingsError
from selfopt.scripted.script import Script
from selfopt.wiring.sending import Sender

from .servers import scripted_server, socket_server
from .world import ATOMIC, EXTENDED, RIGHT, Result

ROUND = """
[endpoints.here]
kind = "openai_compatible"
base_url = "{here}/v1"
[endpoints.far]
kind = "openai_compatible"
base_url = "{far}/v1"
api_key = "sk-of-the-user-0123456789"
local = false
[models.aliases]
small = "here/m"
[suites]
atomic = "{folder}/atomic.yaml"
extended = "{folder}/extended.yaml"
[loop]
baseline = "here/m atomic native_api"
n_runs = 2
max_candidates = 0
[limits]
retries = 0
"""

FILE = """
[models.aliases]
"here/m" = "far/m"
"here" = "far/m"
small = "far/m"
"local/smollm2-135m" = "far/m"
[fallbacks]
atomic = ["far/m"]
extended = ["far/m"]
[enforcement]
enabled = false
[policy]
unmeasured = "allow"
atomic_phase_min_accuracy = 0.0
[warm_up]
default = true
[limits]
max_cost = 1000.0
retries = 20
[loop]
baseline = "far/m atomic native_api"
n_runs = 1000
"""

DOTENV = """
SELFOPT_MODELS__ALIASES='{"here/m" = "far/m", small = "far/m"}'
export SELFOPT_models__aliases__HERE="far/m"
SELFOPT_FALLBACKS__ATOMIC=["far/m"]   # standbys
SELFOPT_ENFORCEMENT__ENABLED=false
SELFOPT_LOOP__BASELINE="far/m atomic native_api"
SELFOPT_POLICY__UNMEASURED=allow
SELFOPT_LIMITS__RETRIES=20
"""


@dataclass(slots=True)
class Listener:
    """Where no request must arrive."""

    url: str
    got: list[bytes]


@contextmanager
def listener() -> Iterator[Listener]:
    """A server that notes what it is sent, and answers nothing."""
    got: list[bytes] = []

    def note(connection: socket.socket, over: threading.Event) -> None:
        connection.settimeout(60)
        got.append(connection.recv(65_536))

    with socket_server(note) as url:
        yield Listener(url if "://" in url else f"http://{url}", got)


@dataclass(slots=True)
class Clone:
    """A project folder that came from elsewhere, and the user's own settings beside it."""

    root: Path
    user: Path
    far: Listener
    patch: pytest.MonkeyPatch
    files: list[str] = field(default_factory=list)

    def run(self, *words: str) -> Result:
        """One command line in the project."""
        import contextlib
        import io

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(words)
        return Result(code, out.getvalue(), err.getvalue())

    def write(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path


def chat(url: str, model: str) -> tuple[int, Any]:
    """Status and body of one chat at a gateway."""
    tool = {"type": "function", "function": {"name": "f"}}  # rules hold for requests that call tools
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "secret"}], "tools": [tool]}).encode()
    request = urllib.request.Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, far: Listener) -> Clone:
    for name in [n for n in os.environ if n.startswith(("SELFOPT_", "OLLAMA_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    user = tmp_path / "user"
    user.mkdir()
    clone = Clone(tmp_path / "clone", user, far, monkeypatch)
    for name, text in (("atomic.yaml", ATOMIC), ("extended.yaml", EXTENDED)):
        (user / name).write_text(text, "utf-8")
    (user / "selfopt.toml").write_text(ROUND.format(here=here, far=far.url, folder=user), "utf-8")
    monkeypatch.setenv("XDG_DATA_HOME", str(user / "data"))
    monkeypatch.setenv("SELFOPT_CONFIG", str(user / "selfopt.toml"))
    monkeypatch.setenv("SELFOPT_CACHE", str(user / "cache"))
    tools = [{"name": "get_weather", "description": "w", "parameters": {"type": "object", "properties": {"city": {}}}}]
    clone.write("tools.json", json.dumps(tools))
    monkeypatch.chdir(clone.root)
    return clone


GOOD = f"""
models:
  m:
    replies:
{RIGHT}    default: {{text: "Hello."}}
"""


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clone]:
    """A clone beside a local server that works and a remote one that must hear nothing."""
    import yaml

    with scripted_server(Script.model_validate(yaml.safe_load(GOOD))) as here, listener() as far:
        yield _world(tmp_path, monkeypatch, here, far)


VERBS: dict[str, tuple[str, ...]] = {
    "try": ("try", "here/m", "weather in Oslo?", "--tools", "tools.json"),
    "try an alias": ("try", "small", "weather in Oslo?", "--tools", "tools.json"),
    "run": ("run", "here/m", "atomic", "--limit", "1"),
    "supervise": ("supervise", "here/m", "atomic", "--runs", "2", "--enable-warmup"),
    "validate": ("supervise", "here/m", "atomic", "--runs", "1", "--limit", "1", "--validate-warm-up"),
    "loop": ("loop", "--max-candidates", "0"),
    "compare": ("compare", "here/m", "--limit", "1"),
    "ps": ("models", "ps", "here/m"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("name", "text"), [("selfopt.toml", FILE), (".env", DOTENV)])
def test_a_projects_files_send_no_verb_elsewhere(clone: Clone, verb: str, name: str, text: str) -> None:
    """Aliases that shadow, fallbacks, the loop's baseline: the local server is asked, the remote one never, and one line says so."""
    clone.write(name, text)
    result = clone.run(*VERBS[verb])
    assert result.code == 0, (result.out, result.err)
    assert clone.far.got == []
    told = [line for line in result.err.splitlines() if line.startswith("ignored: ")]
    assert len(told) == 1
    assert name in told[0]
    assert "selfopt trust" in told[0]


@pytest.mark.parametrize(("name", "text"), [("selfopt.toml", FILE), (".env", DOTENV)])
def test_a_projects_files_send_no_chat_of_a_gateway_elsewhere(clone: Clone, name: str, text: str) -> None:
    """Asked in full or by alias; also when the local server fails and a standby is looked for."""
    clone.write(name, text)
    with selfopt.open() as opened, opened.serve() as url:
        for model in ("here/m", "small"):
            assert chat(url, model)[0] == 200
        assert chat(url, "here/nobody")[0] == 404
    assert clone.far.got == []


@pytest.mark.parametrize(("name", "text"), [("selfopt.toml", FILE), (".env", DOTENV)])
def test_a_projects_files_switch_no_rule_off(clone: Clone, name: str, text: str) -> None:
    """A model that the user denied stays denied, for `run` and for a gateway."""
    assert clone.run("routes", "set", "here/m", "atomic", "--deny").code == 0
    clone.write(name, text)
    clone.run("run", "here/m", "atomic").assert_refused(1, "may not serve")
    with selfopt.open() as opened, opened.serve() as url:
        status, body = chat(url, "here/m")
    assert (status, body["error"]["code"]) == (403, "refused_by_rules")


@pytest.mark.parametrize("verb", ["try", "run", "supervise", "validate", "loop", "compare"])
def test_every_verb_asks_for_leave_where_requests_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """With the one check saying no to everything, no verb reaches any server."""
    with listener() as here, listener() as far:
        clone = _world(tmp_path, monkeypatch, here.url, far)

        def no(self: Sender, asked: str, served: str) -> None:
            raise ConsentError("not sent: nothing is")

        monkeypatch.setattr(Sender, "require", no)
        clone.run(*VERBS[verb]).assert_refused(1, "not sent")
        with selfopt.open() as opened, opened.serve() as url:
            status, body = chat(url, "here/m")
        assert (status, body["error"]["code"]) == (403, "no_consent")
        assert (here.got, far.got) == ([], [])


@pytest.mark.parametrize("verb", ["run", "supervise", "validate"])
def test_a_route_that_crosses_without_consent_is_stopped_at_the_door(clone: Clone, verb: str) -> None:
    """Should routing ever name a remote model for a local one: the request is not sent, and nothing is measured."""
    from selfopt.routing import RouteOptions

    assert clone.run("routes", "set", "here/m", "atomic", "--deny", "--fallback", "far/m").code == 0
    known: Callable[..., None] = RouteOptions.__init__

    def careless(self: RouteOptions, *args: Any, **kwargs: Any) -> None:
        known(self, *args, **{**kwargs, "allow_remote": True})

    clone.patch.setattr(RouteOptions, "__init__", careless)
    clone.run(*VERBS[verb]).assert_refused(1, "not sent", "far/m", "allow_remote")
    with selfopt.open() as opened, opened.serve() as url:
        status, body = chat(url, "here/m")
    assert (status, body["error"]["code"]) == (403, "no_consent")
    assert clone.far.got == []


def test_a_remote_model_that_is_asked_by_its_own_name_needs_no_consent(clone: Clone) -> None:
    """The user wrote where it goes. (The server only listens, so the command fails after it was asked.)"""
    clone.run("try", "far/m", "hello", "--tools", "tools.json").assert_refused(1, "far")
    assert clone.far.got


def test_trust_lets_a_project_count_until_a_file_changes(clone: Clone) -> None:
    """Shown before, listed after; a change of any file that it names ends it, and says which."""
    clone.write("selfopt.toml", 'variants = "mine.yaml"\n[models.aliases]\nquick = "here/m"\n')
    clone.write("mine.yaml", "variants: {mine: {parsers: [native]}}\n")
    unknown = clone.run("try", "quick", "weather in Oslo?", "--tools", "tools.json")
    unknown.assert_refused(2, "unknown model 'quick'")
    shown = clone.run("trust", "--yes")
    assert shown.code == 0, shown.err
    assert 'models.aliases.quick = "here/m" (without it: not set)' in shown.out
    assert "mine.yaml" in shown.out
    assert clone.run("try", "quick", "weather in Oslo?", "--tools", "tools.json").code == 0
    assert clone.run("trust", "--list", "--json").json()[0]["state"] == "in force"
    clone.write("mine.yaml", "variants: {mine: {parsers: [json]}}\n")
    changed = clone.run("try", "quick", "weather in Oslo?", "--tools", "tools.json")
    changed.assert_refused(2, "unknown model")
    assert "mine.yaml changed since the folder was trusted" in changed.err
    listed = clone.run("trust", "--list", "--json").json()[0]
    assert (listed["state"], len(listed["files"])) == ("changed", 1)
    assert clone.run("trust", "--yes").code == 0
    assert clone.run("trust", "--withdraw", ".").code == 0
    clone.run("try", "quick", "hello", "--tools", "tools.json").assert_refused(2, "unknown model")
    clone.run("trust", "--withdraw", ".").assert_refused(2, "is not trusted")
    assert clone.run("trust", "--list", "--json").json() == []


def test_a_dotenv_that_appears_ends_trust(clone: Clone) -> None:
    """What was not there when the user looked is a change."""
    clone.write("selfopt.toml", '[models.aliases]\nquick = "here/m"\n')
    assert clone.run("trust", "--yes").code == 0
    clone.write(".env", "SELFOPT_LIMITS__RETRIES=0\n")
    result = clone.run("models", "list")
    assert result.code == 0
    assert ".env changed since the folder was trusted" in result.err


def test_trust_of_a_folder_is_not_trust_of_its_copy(clone: Clone) -> None:
    """Same bytes, another place."""
    text = '[models.aliases]\nquick = "here/m"\n'
    clone.write("selfopt.toml", text)
    assert clone.run("trust", "--yes").code == 0
    clone.write("copy/selfopt.toml", text)
    clone.patch.chdir(clone.root / "copy")
    assert "models.aliases.quick" in clone.run("models", "list").err


def test_trust_asks_nobody_where_nobody_answers(clone: Clone) -> None:
    """Without a terminal --yes has to be said; nothing is trusted before."""
    clone.write("selfopt.toml", '[models.aliases]\nquick = "here/m"\n')
    clone.run("trust").assert_refused(2, "--yes")
    assert clone.run("trust", "--list", "--json").json() == []
    clone.run("trust", "nowhere").assert_refused(2, "not a folder")
    clone.run("trust", "--withdraw").assert_refused(2, "needs the folder")


def test_trust_shows_a_long_value_to_its_end(clone: Clone) -> None:
    """What is agreed to cannot be moved out of sight by what stands before it."""
    before = ", ".join(['"here/m"'] * 60)
    clone.write("selfopt.toml", f'[fallbacks]\natomic = [{before}, "far/m"]\n[models.aliases]\n"{"a" * 500}" = "far/n"\n')
    shown = clone.run("trust").out
    assert '"here/m", "far/m"]' in shown
    assert '"far/n"' in shown
    told = [line for line in clone.run("doctor").out.splitlines() if "project asks" in line]
    assert all(len(line) < 600 for line in told)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("allow_remote = true\n", "allow_remote"),
        ("[endpoints.far]\nkind = 'scripted'\nbase_url = 'http://evil'\n", "base_url"),
        ('[models.aliases]\n"here/m" = "far/m"\n', "here/m"),
    ],
)
def test_trust_cannot_give_what_no_project_may_have(clone: Clone, text: str, word: str) -> None:
    """Consents, servers and aliases that shadow a full name are refused by name; doctor says so and goes on."""
    clone.write("selfopt.toml", text)
    clone.run("trust", "--yes").assert_refused(2, word)
    assert clone.run("trust", "--list", "--json").json() == []
    doctor = clone.run("doctor", "--json")
    checks = {check["name"]: check for check in doctor.json()}
    told = " ".join(check["detail"] for name, check in checks.items() if name.startswith("project"))
    assert word in told
    if "aliases" not in text:
        assert checks["project"]["status"] == "FAIL"
        assert doctor.code == 1


def test_a_trusted_project_takes_no_server_of_the_users_over(clone: Clone) -> None:
    """A scripted endpoint in the place of the user's remote one has neither its address nor its key, and is not called local there."""
    clone.write("quiet.yaml", 'models: {m: {default: {text: "played"}}}')
    clone.write("selfopt.toml", "[endpoints.far]\nkind = 'scripted'\nscript = 'quiet.yaml'\nlocal = true\n")
    assert clone.run("trust", "--yes").code == 0
    result = clone.run("try", "far/m", "hello", "--tools", "tools.json")
    assert result.code == 0, result.err
    assert "played" in result.out
    assert clone.far.got == []


def test_doctor_lists_what_was_asked_and_what_is_in_force(clone: Clone) -> None:
    """One by one, escaped, without secrets."""
    clone.write("selfopt.toml", FILE + '[endpoints."\\u202eevil"]\nkind = "embedded"\n')
    details = [c["detail"] for c in clone.run("doctor", "--json").json() if c["name"] == "project asks, ignored"]
    assert any("enforcement.enabled = false (now true)" in d for d in details)
    assert any('loop.baseline = "far/m atomic native_api" (now "here/m atomic native_api")' in d for d in details)
    assert any('models.aliases."here/m" = "far/m" (now not set)' in d for d in details)
    assert not any("\u202e" in d for d in details)
    assert "sk-of-the-user" not in " ".join(details)


def test_the_python_api_loads_the_same_settings(clone: Clone, caplog: pytest.LogCaptureFixture) -> None:
    """What does not count on the command line does not count here, and is said."""
    clone.write("selfopt.toml", FILE)
    with selfopt.open() as opened:
        assert opened.settings.enforcement.enabled
        assert opened.settings.loop.baseline.startswith("here/m")
    assert "ignored: " in caplog.text


def test_a_file_that_changes_while_it_is_used_is_refused(clone: Clone) -> None:
    """The check is made once more when a named file was read."""
    clone.write("selfopt.toml", 'variants = "mine.yaml"\n')
    clone.write("mine.yaml", "variants: {mine: {parsers: [native]}}\n")
    assert clone.run("trust", "--yes").code == 0
    with selfopt.open() as opened:
        clone.write("mine.yaml", "variants: {mine: {parsers: [json]}}\n")
        with pytest.raises(SettingsError, match="has changed since"):
            opened.variants.show("mine")


def test_a_home_that_came_with_a_project_is_passed_over(clone: Clone) -> None:
    """Its rules are not in force; the line says how to take it."""
    clone.run("--home", str(clone.user / "other"), "routes", "set", "here/m", "atomic", "--deny")
    (clone.user / "other").rename(clone.root / ".selfopt")
    result = clone.run("run", "here/m", "atomic", "--limit", "1")
    assert result.code == 0, result.err
    assert "passed over" in result.err
    assert "selfopt trust" in result.err
    clone.run("quickstart").assert_refused(1, ".selfopt", "was not made in this place by your selfopt")
    assert clone.run("trust", "--yes").code == 0
    clone.run("run", "here/m", "atomic", "--limit", "1").assert_refused(1, "may not serve")
    assert clone.run("trust", "--withdraw", ".").code == 0
    assert clone.run("run", "here/m", "atomic", "--limit", "1").code == 0


def test_a_home_that_is_the_users_needs_no_trust(clone: Clone) -> None:
    """Nothing is asked where there is nothing to give; taking it back names the whole path."""
    (clone.root / ".selfopt").mkdir()
    assert clone.run("routes", "set", "here/m", "atomic", "--allow").code == 0
    clone.run("trust").assert_refused(2, "counts already")
    assert clone.run("trust", "--withdraw", ".").out == f"{clone.root}: withdrawn\n"


def test_a_lowered_timeout_decides_nothing_about_rules(clone: Clone) -> None:
    """It counts for measuring; a gateway, whose standbys answer after a timeout, and the loop keep the user's own."""
    from selfopt.verbs.looping import parse_target
    from selfopt.wiring.serving import gateway_options

    clone.write("selfopt.toml", "[limits]\ntimeout_s = 0.5\n")
    with selfopt.open() as opened:
        app = opened._app
        assert app.spec("here/m", "atomic", "native_api").timeout_s == 0.5
        assert gateway_options(app, None, 0).limits.timeout_s == 60.0
        target = parse_target(app, "here/m atomic")
        assert target.baseline is not None
        assert target.baseline.timeout_s == 60.0
        opened.trust.accept(opened.trust.propose())
        assert [row.state for row in opened.trust.list()] == ["in force"]
    with selfopt.open() as opened:
        assert gateway_options(opened._app, None, 0).limits.timeout_s == 0.5
        opened.trust.withdraw(clone.root)
        assert list(opened.trust.list()) == []


def test_a_server_cannot_send_a_request_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirects are not followed, when measuring and by a gateway."""
    with listener() as far:

        def elsewhere(connection: socket.socket, over: threading.Event) -> None:
            connection.recv(65_536)
            head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {far.url}/v1/chat/completions\r\nContent-Length: 0\r\n"
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode())

        with socket_server(elsewhere) as url:
            clone = _world(tmp_path, monkeypatch, url if "://" in url else f"http://{url}", far)
            clone.run(*VERBS["try"]).assert_refused(1, "307")
            with selfopt.open() as opened, opened.serve() as gateway:
                assert chat(gateway, "here/m")[0] == 502
        assert far.got == []


def test_a_spec_of_another_endpoint_than_its_models_is_not_asked(clone: Clone) -> None:
    """A ledger that came from elsewhere cannot send a local model's prompts to another server."""
    from selfopt.errors import UsageError

    with selfopt.open() as opened:
        app = opened._app
        spec = app.spec("here/m", "atomic", "native_api").model_copy(update={"endpoint": "far"})
        context = app.measure_context()
        for ask in (context.endpoint_for, context.residency_for):
            with pytest.raises(UsageError, match="is not asked"):
                ask(spec)


@pytest.mark.parametrize(("answer", "code", "trusted"), [("y", 0, 1), ("n", 1, 0)])
def test_somebody_at_a_terminal_is_asked_after_everything_was_shown(clone: Clone, answer: str, code: int, trusted: int) -> None:
    """Yes trusts, no leaves everything as it was."""
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clone.write("selfopt.toml", '[models.aliases]\nquick = "here/m"\n')
    clone.patch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    result = clone.run("trust")
    assert result.code == code, result.err
    assert "models.aliases.quick" in result.out
    assert len(clone.run("trust", "--list", "--json").json()) == trusted
