"""What a user brings and what a server says, through the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfopt.cli.main import run

from .conftest import by_python, selfopt, settle
from .kit import DATA, marked
from .odd_server import OddServer

TOOL = [{"name": "f", "parameters": {"type": "object", "properties": {}}}]
PROMPTFOO = [
    "mixedforms", "tz", "providersfile", "testslist", "testscsv", "testsjsonl", "latency", "traj", "js", "contains", "toolsingle", "bom",
    "chatjson", "crlf", "f1str1", "testsplain",
]  # fmt: skip
JSONL = ["jsonl_extra_key", "jsonl_ft_functions", "jsonl_reasoning", "jsonl_u2028"]
ALWAYS_CALLS = ["glm", "gptoss", "mistral", "deepseek", "gemma", "hermes"]

# Where the models are that `make test-model` pulled.
CACHE = {name: os.environ[name] for name in ("SELFOPT_CACHE", "XDG_CACHE_HOME") if name in os.environ}


def said(*arguments: str, code: int = 0) -> Any:
    """What a command prints as JSON."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        ended = run([*arguments, "--json"])
    assert ended == code, (ended, out.getvalue()[-2000:], err.getvalue()[-2000:])
    return json.loads(out.getvalue())


@pytest.mark.parametrize("name", [marked("jsonl", name, name) for name in JSONL])
def test_lawful_json_lines_are_imported(project: Path, name: str) -> None:
    """Functions, reasoning and keys of others; a line ends at its newline alone."""
    said("suites", "import", "jsonl", str(DATA / "jsonl" / f"{name}.jsonl"), "--name", name)
    assert len(said("suites", "show", name)["prompts"]) == 1


@pytest.mark.parametrize("name", [marked("promptfoo", name, name) for name in PROMPTFOO])
def test_promptfoo_files_are_imported_as_people_write_them(project: Path, name: str) -> None:
    """Every form of its documentation; what cannot be carried over is left out with a word, and the rest is kept."""
    said("suites", "import", "promptfoo", str(DATA / "promptfoo" / f"{name}.yaml"), "--name", name)
    assert said("suites", "show", name)["prompts"]


@pytest.mark.parametrize("name", ["tabs", "noassert"])
def test_a_promptfoo_file_that_says_nothing_usable_is_refused_in_one_line(project: Path, name: str) -> None:
    """No YAML, or no test that expects anything."""
    done = selfopt(project, "suites", "import", "promptfoo", str(DATA / "promptfoo" / f"{name}.yaml"), "--name", name)
    assert done.returncode == 2
    assert done.stderr.count("selfopt: ") == 1


@pytest.mark.parametrize(
    "mode", [marked("mcp", mode, mode) for mode in ("normal", "logs", "bom", "name128", "boolprop", "reqmissing")]
)
def test_tools_of_real_mcp_servers_are_taken(project: Path, mode: str) -> None:
    """Log lines on standard output, long names, schemas that are just true, required names without a property."""
    server = f"mcp:{sys.executable} {Path(__file__).parent / 'mcp_server.py'} {mode}"
    said("suites", "new", f"m_{mode}", "--tools", server)


@pytest.mark.parametrize("model", [marked("unread", model, model) for model in [*ALWAYS_CALLS, "thinking"]])
def test_calls_that_nothing_reads_are_no_restraint(project: Path, model: str) -> None:
    """Every reply of this model is a call: it keeps quiet nowhere, and is not said to be unable to call."""
    measured = said("run", f"un/{model}", "atomic", "native_parsed")
    metrics = measured["evaluation"]["metrics"]
    kinds = {finding["type"] for finding in said("feedback")["findings"]}
    if model != "thinking":  # a call within thinking is none, and the reply keeps quiet
        assert metrics["restraint"] == 0.0, metrics["counts"]
        assert kinds >= ({"unread_format"} if metrics["counts"].get("unparsed") else set())
    assert "capability_limit" not in kinds or metrics["counts"].get("wrong", 0) + metrics["counts"].get("uncalled_for", 0) > 0


@pytest.mark.parametrize("variant", [marked("schema words", v, v) for v in ("atomic", "constrained", "few_shot")])
def test_a_prompt_tells_the_model_the_parameters_as_they_are(project: Path, variant: str) -> None:
    """References, constants and choices, as pydantic and FastMCP write them."""
    schema = {
        "type": "object",
        "properties": {
            "req": {"$ref": "#/$defs/Q"},
            "kind": {"allOf": [{"$ref": "#/$defs/K"}]},
            "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            "unit": {"const": "km"},
        },
        "required": ["req", "kind"],
        "$defs": {
            "Q": {"type": "object", "properties": {"text": {"type": "string"}, "lang": {"type": "string"}}, "required": ["text"]},
            "K": {"type": "string", "enum": ["web", "news"]},
        },
    }
    (project / "tools.json").write_text(json.dumps([{"name": "search", "description": "Search", "parameters": schema}]))
    shown = json.dumps(said("variants", "render", variant, "x", "--tools", str(project / "tools.json")))
    assert "req: any" not in shown
    for word in ("text", "lang", "web", "news", "km"):
        assert word in shown, word


@pytest.mark.parametrize("local", [marked("request fields", str(local), local) for local in (True, False)])
def test_a_plain_server_is_sent_no_field_of_others(tmp_path: Path, odd_server: OddServer, local: bool) -> None:
    """`chat_template_kwargs` is llama.cpp's and vLLM's; a strict server refuses it."""
    folder = settle(tmp_path, odd_server)
    config = folder / "user.toml"
    config.write_text(config.read_text().replace("[endpoints.held]", f"local = {str(local).lower()}\n[endpoints.held]"), "utf-8")
    (folder / "t.json").write_text(json.dumps(TOOL))
    assert selfopt(folder, "try", "lab/ok", "hi", "--tools", "t.json").returncode == 0
    path, asked = odd_server.asked[-1]
    assert path == "/v1/chat/completions"
    assert "chat_template_kwargs" not in asked


def test_a_field_that_a_server_refuses_can_be_left_out(tmp_path: Path, odd_server: OddServer) -> None:
    """By a setting of the endpoint."""
    folder = settle(tmp_path, odd_server)
    config = folder / "user.toml"
    config.write_text(config.read_text().replace("[endpoints.held]", 'omit = ["temperature"]\n[endpoints.held]'), "utf-8")
    (folder / "t.json").write_text(json.dumps(TOOL))
    assert selfopt(folder, "try", "lab/ok", "hi", "--tools", "t.json").returncode == 0
    assert "temperature" not in odd_server.asked[-1][1]


def test_a_model_without_tools_is_asked_as_text_at_once(project: Path, odd_server: OddServer) -> None:
    """The loop spends no further native request on it, and keeps no variant that cannot work."""
    before = len(odd_server.asked)
    (cycle,) = said("loop", "--baseline", "oll/no_tools atomic native_api", "--max-trials", "600")
    asked = Counter(bool(body.get("tools")) for path, body in odd_server.asked[before:] if path == "/api/chat")
    assert asked[True] <= 12
    assert cycle["targets"][0]["winner_variant"] not in (None, "native_api")


@pytest.mark.parametrize(
    ("model", "words"), [marked("causes", name, name, words) for name, words in (("no_tools", "tools"), ("parse", "pars"))]
)
def test_advice_names_the_cause_that_the_server_named(project: Path, model: str, words: str) -> None:
    """In the server's words, and not "look at the server and the network"."""
    run(["run", f"oll/{model}", "atomic"])
    advice = [item["reason"] for item in said("feedback")["recommendations"] if item["model"] == f"oll/{model}"]
    assert advice
    assert not any("look at the server and the network" in text for text in advice)
    assert any(words in text for text in advice)


@contextlib.contextmanager
def proxy() -> Iterator[tuple[int, list[str]]]:
    """A port that notes the first line of whatever is sent to it, and hangs up."""
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, connection.makefile("rb") as reader:
                        lines.append(reader.readline().decode().strip())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], lines


def test_a_proxy_is_used_for_a_remote_endpoint(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As curl does. The name is resolved by the proxy; nothing here may leave this machine."""
    found = socket.getaddrinfo

    def only_here(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "no name is resolved in tests")
        return found(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", only_here)
    with (project / "user.toml").open("a") as settings:
        settings.write('[endpoints.rem]\nkind = "openai_compatible"\nbase_url = "http://models.example.test/v1"\n')
    (project / "t.json").write_text(json.dumps(TOOL))
    with proxy() as (port, lines):
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        with contextlib.redirect_stderr(io.StringIO()):
            run(["try", "rem/m", "hi", "--tools", str(project / "t.json")])
    assert [line for line in lines if "models.example.test" in line]


@pytest.mark.parametrize("line", ['SELFOPT_LIMITS__TIMEOUT_S="7"  # seconds', "SELFOPT_LIMITS__TIMEOUT_S=7  # seconds"])
def test_a_comment_behind_a_value_of_dotenv_is_no_part_of_it(project: Path, line: str) -> None:
    """Quoted or not."""
    (project / ".env").write_text(f"{line}\n")
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        assert run(["run", "un/hermes", "atomic"]) == 0
    assert "12 trials" in out.getvalue()


@pytest.mark.parametrize("said", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
@pytest.mark.parametrize("arguments", [("run", "un/hermes", "atomic"), ("routes", "set", "un/hermes", "atomic", "--allow")])
def test_a_file_system_without_locks_is_named_with_the_cure(
    tmp_path: Path, odd_server: OddServer, arguments: tuple[str, ...], said: str
) -> None:
    """One line, exit code 1, whichever error the file system knows for it; nothing is half written."""
    folder = settle(tmp_path, odd_server)
    (folder / "x").mkdir()
    text = "import fcntl, errno, os\ndef no(*a, **k): raise OSError(errno.{0}, os.strerror(errno.{0}))\nfcntl.flock = fcntl.lockf = no\n"
    (folder / "x" / "sitecustomize.py").write_text(text.format(said))
    found = os.environ.get("PYTHONPATH")
    done = by_python(folder, *arguments, PYTHONPATH=os.pathsep.join(filter(None, [str(folder / "x"), found])))
    assert done.returncode == 1
    assert "no locks" in done.stderr
    assert "--home" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not [
        path for path in (folder / "home").rglob("*") if path.is_file() and path.name != ".gitignore" and path.stat().st_size
    ]


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory, odd_server: OddServer) -> Iterator[Path]:
    """A folder whose home has a measurement and cannot be written any more."""
    folder = settle(tmp_path_factory.mktemp("read-only"), odd_server)
    assert selfopt(folder, "run", "un/hermes", "atomic", "native_parsed").returncode == 0
    assert selfopt(folder, "routes", "set", "un/hermes", "atomic", "--allow").returncode == 0
    assert selfopt(folder, "compare", "un/hermes", "un/glm", "--variant", "native_parsed").returncode == 0
    subprocess.run(["chmod", "-R", "a-w", str(folder / "home")], check=True)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", str(folder / "home")], check=True)


def without_privileges(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as somebody whom the modes of files concern: root is held to them too."""
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv may write everywhere")
        prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
    return selfopt(folder, *arguments, through=prefix)


def test_serve_refuses_a_home_that_it_cannot_write(read_only: Path) -> None:
    """Before it says that it is there, with the reason."""
    done = without_privileges(read_only, "serve", "--port", "0")
    assert done.returncode == 1
    assert "gateway at" not in done.stdout
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("feedback", "cannot be written"),
        ("report", "cannot be written"),
        ("compare un/hermes un/glm --variant native_parsed", "un/glm"),
        ("routes show", "un/hermes"),
        ("audit verify", "verif"),
        ("show TRIAL", "un/hermes"),
    ],
)
def test_what_only_reads_works_on_a_home_that_cannot_be_written(read_only: Path, verb: str, words: str) -> None:
    """The answer is printed; that it could not be kept is said. Not one file changes."""
    with contextlib.closing(sqlite3.connect(f"file:{read_only}/home/ledger.sqlite3?immutable=1", uri=True)) as ledger:
        (trial,) = ledger.execute("SELECT id FROM records WHERE kind = 'trial' LIMIT 1").fetchone()
    before = {path: path.stat().st_mtime_ns for path in (read_only / "home").rglob("*")}
    done = without_privileges(read_only, *verb.replace("TRIAL", trial).split())
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (read_only / "home").rglob("*")} == before


@pytest.mark.parametrize(
    "verb", ["compare un/deepseek", "run un/hermes atomic", "routes set un/glm atomic --deny", "suites new x"]
)
def test_what_writes_refuses_a_home_that_cannot_be_written(read_only: Path, verb: str) -> None:
    """In one line."""
    done = without_privileges(read_only, *verb.split())
    assert done.returncode == 1, done.stdout
    assert [line.startswith("selfopt: ") for line in done.stderr.splitlines()].count(True) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.model
@pytest.mark.parametrize("variant", ["native_parsed", "constrained"])
def test_a_limit_cuts_no_text(project: Path, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence of 240 characters comes back whole from a real model."""
    monkeypatch.delenv("SELFOPT_CACHE")
    for name, value in CACHE.items():
        monkeypatch.setenv(name, value)
    tools = [
        {
            "name": name,
            "description": told,
            "parameters": {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]},
        }
        for name, told, key in (
            ("save_note", "Save a note with exactly the text given", "text"),
            ("play_song", "Play a song", "title"),
        )
    ]
    (project / "t.json").write_text(json.dumps(tools))
    note = (
        "The plumber comes on Tuesday between nine and eleven, the key is under the blue pot, the dog has to stay in the kitchen, and the "
        "water must be turned off at the main valve in the cellar before he starts to work on the pipe."
    )
    tried = said(
        "try",
        "local/qwen2.5-coder-0.5b",
        f"Save this note exactly: {note}",
        "--tools",
        str(project / "t.json"),
        "--variant",
        variant,
        "--timeout",
        "120",
    )
    assert note[150:] in json.dumps(tried)
