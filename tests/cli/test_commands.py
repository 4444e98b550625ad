"""The small commands, and what holds for every command: help, JSON, exit codes, a light start."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from selfopt import __version__
from selfopt.cli.main import COMMANDS, cli

from .world import SETTINGS, Project

ROOT = Path(__file__).resolve().parent.parent.parent
EVERY = ["", *COMMANDS]


def every_command(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, groups included."""
    yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            below = command.get_command(click.Context(command), name)
            assert below is not None
            yield from every_command(below, (*path, name))


PATHS = list(every_command(cli))


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_has_help_that_fits_80_columns(project: Project, path: tuple[str, ...]) -> None:
    """--help explains the command, exits 0, and does not wrap."""
    result = project.ok(*path, "--help")
    assert "Usage: selfopt" in result.out
    assert max(map(len, result.out.splitlines())) <= 80
    assert result.err == ""
    assert not project.home.exists()


@pytest.mark.parametrize("path", [path for path in PATHS if len(path) == 1], ids=" ".join)
def test_the_list_of_commands_cuts_no_sentence_off(project: Project, path: tuple[str, ...]) -> None:
    """The first line of a command's help is short enough for the list of its group."""
    listed = project.ok(*path, "--help").out.partition("Commands:")[2]
    assert not any(line.endswith("...") for line in listed.splitlines())


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_that_does_something_has_json(path: tuple[str, ...]) -> None:
    """Groups aside, each takes --json."""
    command: click.Command = cli
    for word in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    if not isinstance(command, click.Group):
        assert any("--json" in param.opts for param in command.params)


PROMPTFOO_TESTS = "tests: [{vars: {prompt: x}, assert: [{type: is-valid-openai-tools-call}]}]"
JSON_LINES = [
    "run good atomic",
    "supervise mute extended --runs 3",
    "supervise good extended --runs 3",
    "supervise scripted/cold atomic --validate-warm-up --runs 1",
    "feedback --dry-run",
    "feedback",
    "decide mute extended --candidate native_api --baseline native_api",
    "enforce --dry-run",
    "enforce",
    "run mute extended --enable-warmup",
    "loop --dry-run --baseline good atomic native_api",
    "loop --baseline good atomic native_api --max-candidates 0",
    "loop --report",
    "report",
    "routes show",
    "routes history",
    "routes set good atomic --allow",
    "routes remove good atomic",
    "routes import rules.json",
    "routes rollback 1",
    "keys list",
    "keys add mine --model good --scope phase",
    "keys revoke mine",
    "audit show",
    "audit verify",
    "audit trace mute extended",
    "try good 'weather in Oslo?' --tools tools.json",
    "models list",
    "models ps",
    "models ps good",
    "models rm local/smollm2-135m",
    "suites list",
    "suites show atomic",
    "suites validate atomic extended atomic.yaml",
    "suites new mine",
    "suites import jsonl lines.jsonl --name lines",
    "suites import promptfoo foo.yaml",
    "variants list",
    "variants show few_shot",
    "variants render few_shot_constrained 'weather?' --tools tools.json",
    "scripted script.yaml --check",
    "doctor",
]


def exit_code_of(line: str) -> int:
    """The candidate is the baseline itself, which `decide` does not promote; everything else does its work."""
    return 100 if line.startswith("decide") else 0


def test_every_command_prints_valid_json_and_nothing_else(project: Project) -> None:
    """With --json, standard output is one document; with --verbose and warm-up as well."""
    project.write("rules.json", '{"rules": [{"model": "mute", "phase": "atomic", "allow": true}]}')
    project.write("lines.jsonl", '{"messages": [{"role": "user", "content": "x"}], "tools": [{"name": "play"}], "expected": []}')
    project.write("foo.yaml", "providers: [{id: x, config: {tools: [{name: play}]}}]\n" + PROMPTFOO_TESTS)
    for line in JSON_LINES:
        result = project.run("--verbose", *shlex.split(line), "--json")
        assert result.code == exit_code_of(line), (line, result.err)
        json.loads(result.out)
    body = project.ok("run", "good", "atomic", "--json").json()
    assert project.ok("show", body["verdicts"][0]["trial_id"], "--json").json()["trial"]
    assert project.ok("rescore", body["run_ids"][0], "--parser", "json", "--json").json()["trials"] == 3


def test_every_command_prints_text(project: Project) -> None:
    """The same commands without --json print something readable on standard output."""
    project.write("rules.json", '{"rules": [{"model": "mute", "phase": "atomic", "allow": true}]}')
    project.write("lines.jsonl", '{"messages": [{"role": "user", "content": "x"}], "tools": [{"name": "play"}], "expected": []}')
    project.write("foo.yaml", "providers: [{id: x, config: {tools: [{name: play}]}}]\n" + PROMPTFOO_TESTS)
    for line in JSON_LINES:
        result = project.run(*shlex.split(line))
        assert result.code == exit_code_of(line), (line, result.err)
        assert result.out.strip(), line
        assert "\x1b" not in result.out, line


def test_models_lists_installed_ones_and_aliases(project: Project) -> None:
    """Nothing is pulled in this cache; the aliases say where they lead."""
    out = project.ok("models", "list").out
    assert "local/smollm2-135m" in out
    assert "not pulled" in out
    assert "-> scripted/good" in out


def test_models_ps_asks_without_loading(project: Project) -> None:
    """State of a scripted model before and after."""
    assert "unloaded" in project.ok("models", "ps", "scripted/cold").out


def test_models_pull_fetches_verifies_and_removes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file source, with the checksum of the catalogue; a second pull fetches nothing; rm removes it."""
    content = b"GGUF" + bytes(4096)
    source = project.root / "weights.gguf"
    source.write_bytes(content)
    entry = f'[[model]]\nname = "local/tiny"\nfile = "tiny.gguf"\nsha256 = "{hashlib.sha256(content).hexdigest()}"\n'
    entry += f'size_bytes = {len(content)}\nsources = ["file:{source}"]\n'
    catalogue = project.write("catalogue.toml", entry)
    project.user_config.write_text(f'[models]\ncatalogue = "{catalogue}"\n', "utf-8")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    result = project.ok("models", "pull", "local/tiny")
    assert "local/tiny: pulled and verified" in result.out
    assert project.ok("models", "pull", "local/tiny", "--json").json()[0]["fetched"] is False
    assert "already here" in project.ok("models", "pull", "local/tiny").out
    assert "removed" in project.ok("models", "rm", "local/tiny").out
    assert "not installed" in project.ok("models", "rm", "local/tiny").out
    source.write_bytes(b"GGUF" + bytes(4095) + b"x")
    project.run("models", "pull", "local/tiny").assert_refused(1, "sha256", "removed")
    assert "not pulled" in project.ok("models", "list").out


def test_a_pulled_model_that_the_catalogue_lost_or_changed_is_no_dead_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file under its name is pulled anew; without an entry it is listed, passed over by ps, and can be removed."""

    def name_in_catalogue(content: bytes) -> None:
        source = project.root / "weights.gguf"
        source.write_bytes(content)
        entry = f'[[model]]\nname = "local/tiny"\nfile = "t"\nsha256 = "{hashlib.sha256(content).hexdigest()}"\n'
        project.write("catalogue.toml", entry + f'size_bytes = {len(content)}\nsources = ["file:{source}"]\n')

    project.user_config.write_text('[models]\ncatalogue = "catalogue.toml"\n', "utf-8")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    for content in (b"GGUF one", b"GGUF two"):
        name_in_catalogue(content)
        listed = {m["name"]: m["installed"] for m in project.ok("models", "list", "--json").json()["models"]}
        assert listed["local/tiny"] is False
        assert project.ok("models", "pull", "local/tiny", "--json").json()[0]["fetched"] is True
    project.user_config.write_text("", "utf-8")
    assert "not in the catalogue" in project.ok("models", "list").out
    assert "local/tiny" not in project.ok("models", "ps").out
    assert "removed" in project.ok("models", "rm", "local/tiny").out
    assert "local/tiny" not in project.ok("models", "list").out


def test_doctor_names_an_alias_or_a_fallback_that_leads_nowhere(project: Project) -> None:
    """Exit 1 with the name; models ps passes a broken alias over."""
    project.write("selfopt.toml", SETTINGS.replace("[models.aliases]", '[models.aliases]\nlost = "nowhere/m"'))
    result = project.run("doctor")
    assert result.code == 1
    assert "FAIL  names in settings: unknown model 'nowhere/m'" in result.out
    assert "scripted/good" in project.ok("models", "ps").out
    project.write("selfopt.toml", SETTINGS.replace('extended = ["good"]', 'extended = ["lost"]'))
    assert "unknown model 'lost'" in project.run("doctor").out


def test_models_pull_is_for_the_embedded_engine(project: Project) -> None:
    """A scripted model cannot be pulled, an unknown one is unknown."""
    project.run("models", "pull", "good").assert_refused(2, "not a model of the embedded engine")
    project.run("models", "pull", "local/nope").assert_refused(2, "local/nope", "local/smollm2-135m")
    project.run("models", "rm", "good").assert_refused(2, "embedded engine")


def test_suites_show_says_what_is_expected(project: Project) -> None:
    """Prompts, accepted calls in words, and the reasons."""
    out = project.ok("suites", "show", "atomic.yaml").out
    assert 'expected: get_weather(city="Oslo" or "Oslo, Norway")' in out
    assert "expected: no call" in out
    assert "It is asked for." in out
    assert "or left out" in project.ok("suites", "show", "atomic").out


def test_suites_validate_lists_every_problem(project: Project) -> None:
    """A duplicate id and an undefined tool, both named; exit 1."""
    text = (
        (project.root / "atomic.yaml").read_text("utf-8").replace("id: A2", "id: A1").replace("{name: get_weather", "{name: nope")
    )
    project.write("bad.yaml", text)
    result = project.run("suites", "validate", "atomic", "bad.yaml")
    assert result.code == 1
    assert "atomic: ok" in result.out
    assert "A1" in result.out
    assert "nope" in result.out
    assert len([line for line in result.out.splitlines() if line.startswith("  ")]) >= 2
    assert project.run("suites", "validate", "bad.yaml", "--json").json()["bad.yaml"]["errors"]
    project.run("suites", "validate", "missing.yaml").assert_refused(2, "missing.yaml")
    project.run("suites", "show", "nope").assert_refused(2, "nope", "atomic")


def test_variants_are_listed_shown_and_rendered(project: Project) -> None:
    """The catalogue and the user's own; what would be sent, line by line."""
    project.write("mine.yaml", "variants:\n  mine: {title: My own, parsers: [json]}\n")
    text = (project.root / "selfopt.toml").read_text("utf-8")
    project.write("selfopt.toml", 'variants = "mine.yaml"\n' + text)
    assert "My own" in project.ok("variants", "list").out
    shown = project.ok("variants", "show", "few_shot").out
    assert "example: " in shown
    assert "variant_hash: variant-" in shown
    out = project.ok("variants", "render", "constrained", "weather?", "--tools", "tools.json").out
    assert "-- output limited by a grammar" in out
    assert "\nroot ::= " in out
    project.run("variants", "show", "nope").assert_refused(2, "nope", "native_api")


def test_try_shows_raw_and_parsed(project: Project) -> None:
    """A model that writes its call is not read natively, and is through the parser chain."""
    line = ["try", "scripted/writer", "weather in Oslo?", "--tools", "tools.json"]
    out = project.ok(*line).out
    assert "-- raw reply" in out
    assert "no call" in out
    assert "the reply seems to hold a call as json, which variant native_api does not read; the chain all@2 does" in out
    assert 'get_weather(city="Oslo")' in project.ok(*line, "--variant", "native_parsed").out
    assert "-- raw reply" in project.ok(*line, "--exact", "--timeout", "60").out


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "not valid JSON"),
        ('"text"', "list"),
        ("[1]", "tool 1"),
        ('[{"description": "x"}]', "name"),
        ('[{"name": "a"}, {"name": "a"}]', "twice"),
        ("[" * 100_000, "nested deeper"),
    ],
)
def test_wrong_tools_are_refused(project: Project, content: str, word: str) -> None:
    """A tools file that is none is named with what is wrong."""
    project.write("wrong.json", content)
    project.run("try", "good", "x", "--tools", "wrong.json").assert_refused(2, "wrong.json", word)


def test_tools_of_other_conventions_are_understood(project: Project) -> None:
    """OpenAI's wrapper, MCP's inputSchema, an object with `tools`; too large and missing files are refused."""
    tools = [
        {"type": "function", "function": {"name": "a", "strict": True, "parameters": {"type": "object", "properties": {}}}},
        {"name": "b", "inputSchema": {"type": "object", "properties": {"x": {"type": "string"}}}},
    ]
    project.write("mixed.json", json.dumps({"tools": tools}))
    body = project.ok("variants", "render", "native_api", "hi", "--tools", "mixed.json", "--json").json()
    assert [t["name"] for t in body[0]["tools"]] == ["a", "b"]
    assert body[0]["tools"][1]["parameters"]["properties"] == {"x": {"type": "string"}}
    project.write("large.json", json.dumps(" " * 2_100_000))
    project.run("try", "good", "x", "--tools", "large.json").assert_refused(2, "large.json")
    project.run("try", "good", "x", "--tools", "missing.json").assert_refused(2, "missing.json")


def test_scripted_checks_a_script(project: Project) -> None:
    """--check reads and lists; a broken one is refused."""
    assert "script.yaml: ok; models: broken, close, cold" in project.ok("scripted", "script.yaml", "--check").out
    project.write("bad.yaml", "models: {x: {latency: 3}}")
    project.run("scripted", "bad.yaml", "--check").assert_refused(2, "latency")
    project.run("scripted", "missing.yaml").assert_refused(2, "missing.yaml")


def test_doctor_says_what_is_there_and_what_is_missing(project: Project) -> None:
    """Settings, home, switches, endpoints; a broken script is a FAIL and exit 1."""
    out = project.ok("doctor").out
    for words in ("ok    python", f"{project.root}/selfopt.toml", "made at the first measurement", "not contacted", "in process"):
        assert words in out
    project.settings("[warm_up]\nenabled = false\n")
    assert "switched off: warm_up.enabled" in project.ok("doctor").out
    project.ok("run", "good", "atomic")
    project.ok("feedback")
    project.ok("enforce")
    assert "recommendations of" in project.ok("doctor").out
    project.write("script.yaml", "models: [")
    result = project.run("doctor")
    assert result.code == 1
    assert "FAIL  endpoint scripted" in result.out
    assert project.run("doctor", "--json").code == 1


def test_an_unknown_command_names_the_nearest(project: Project) -> None:
    """Typing errors get a hint; without a command there is help and exit 2."""
    project.run("suprevise").assert_refused(2, "no such command 'suprevise'; did you mean 'supervise'? See 'selfopt --help'")
    project.run("rum").assert_refused(2, "no such command 'rum'; did you mean 'run'? See 'selfopt --help'")
    project.run("run", "good", "atomic", "--varian", "x").assert_refused(2, "? See 'selfopt run --help'")
    project.run("xyzzy").assert_refused(2, "selfopt --help")
    project.run("routes", "nope").assert_refused(2, "no such command 'nope'; see 'selfopt routes --help'")
    project.run("routes", "shwo").assert_refused(2, "no such command 'shwo'; did you mean 'show'? See 'selfopt routes --help'")
    bare = project.run()
    assert bare.code == 2
    assert "Commands:" in bare.out
    assert __version__ in project.ok("--version").out


def test_the_reference_of_the_command_line_is_current() -> None:
    """docs/cli.md is what docs/generate_cli.py would write."""
    done = subprocess.run([sys.executable, str(ROOT / "docs" / "generate_cli.py"), "--check"], check=False)
    assert done.returncode == 0, "call: make docs"


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["loop", "--help"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """Help and version import neither pydantic nor aiohttp nor anything that draws or stores."""
    code = (
        "import sys\nfrom selfopt.cli import main\n"
        f"sys.argv = ['selfopt', *{words!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('HEAVY', sorted({'pydantic', 'aiohttp', 'numpy', 'yaml', 'rich', 'sqlite3', 'psutil'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout


def test_import_selfopt_alone_is_light() -> None:
    """`import selfopt` loads no dependency; the API is loaded when it is asked for."""
    code = "import selfopt, sys; print(sorted({'pydantic', 'aiohttp', 'click', 'rich', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_suites_of_the_home_are_listed_shown_and_measured_by_name(project: Project) -> None:
    """`<home>/suites/NAME.yaml` is found by its name; one that is broken is listed as such and hides no other."""
    folder = project.home / "suites"
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text((project.root / "atomic.yaml").read_text("utf-8"))
    (folder / "broken.yaml").write_text("name: [")
    rows = {row["name"]: row for row in project.ok("suites", "list", "--json").json()}
    assert rows["small"]["source"] == "home"
    assert rows["atomic"]["source"] == "built in"
    assert "not valid YAML" in rows["broken"]["problem"]
    assert "not usable" in project.ok("suites", "list").out
    assert project.ok("suites", "show", "small", "--json").json()["name"] == "small"
    assert "small: ok" in project.ok("suites", "validate", "small").out
    body = project.ok("run", "good", "atomic", "--suite", "small", "--json").json()
    assert project.ok("rescore", body["run_ids"][0], "--parser", "json", "--json").json()["trials"] == 3
    project.run("suites", "show", "nope").assert_refused(2, "yours are broken, small")


def test_an_unknown_variant_is_said_before_a_prompt_is_asked_for(project: Project) -> None:
    """Whatever else is missing in the command."""
    project.run("variants", "render", "atomicc").assert_refused(2, "unknown variant 'atomicc'; did you mean atomic")
    project.run("variants", "render", "atomic").assert_refused(2, "PROMPT")
