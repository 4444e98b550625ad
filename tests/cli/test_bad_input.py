"""What users and files get wrong: one clear line, the right exit code, no traceback, nothing written."""

from __future__ import annotations

import os

import pytest

from .world import SETTINGS, Project


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "nope", "atomic"), ("unknown model 'nope'", "provider/name", "good")),
        (("run", "mars/rover", "atomic"), ("unknown model 'mars/rover'", "scripted")),
        (("run", "local/nope", "atomic"), ("unknown model 'local/nope'", "local/smollm2-135m")),
        (("run", "good", "molecular"), ("unknown phase 'molecular'", "atomic", "extended")),
        (("run", "good", "atomic", "nope"), ("unknown variant 'nope'", "native_api")),
        (("run", "good", "atomic", "--suite", "nope"), ("unknown suite", "atomic")),
        (("run", "good", "atomic", "--suite", "nope.yaml"), ("nope.yaml", "no such file")),
        (("run", "good", "atomic", "--suite", "extended.yaml"), ("phase",)),
        (("run", "good", "atomic", "--split", "sideways"), ("sideways", "heldout")),
        (("run", "good", "atomic", "--split", "canary"), ("canary",)),
        (("run", "good", "atomic", "--timeout", "0"), ("--timeout",)),
        (("run", "good", "atomic", "--timeout", "nan"), ("timeout",)),
        (("run", "good", "atomic", "--timeout", "inf"), ("timeout",)),
        (("run", "good", "atomic", "--retries", "21"), ("--retries",)),
        (("run", "good", "atomic", "--limit", "0"), ("--limit",)),
        (("run", "good"), ("PHASE",)),
        (("run", "good", "atomic", "--colour"), ("--colour",)),
        (("supervise", "good", "atomic", "--runs", "0"), ("--runs",)),
        (("loop", "--cycles", "0"), ("--cycles",)),
        (("loop", "--max-trials", "0"), ("--max-trials",)),
        (("loop", "--gain", "5"), ("--gain", "--dry-run")),
        (("loop", "--dry-run", "--gain", "0"), ("--gain",)),
        (("loop", "--dry-run", "--power", "1"), ("--power",)),
        (("loop", "--max-minutes", "0"), ("--max-minutes",)),
        (("loop", "--max-minutes", "nan"), ("--max-minutes",)),
        (("loop", "--max-tokens", "0"), ("--max-tokens",)),
        (("loop", "--max-cost", "-1"), ("--max-cost",)),
        (("enforce", "--input", "nope.json"), ("nope.json", "feedback file")),
        (("enforce",), ("harness_feedback.json", "selfopt feedback")),
        (("decide", "nope", "atomic"), ("unknown model",)),
        (("try", "good", "x", "--tools", "tools.json", "--variant", "nope"), ("unknown variant",)),
        (("models", "ps", "nope"), ("unknown model",)),
        (("audit", "show", "--last", "0"), ("--last",)),
        (("quickstart", "--home", "x"), ("--home", "before the command", "selfopt --home DIR COMMAND")),
        (("routes", "show", "-v"), ("-v", "before the command", "selfopt -v COMMAND")),
        (("suites", "import", "promptfo", "x.yaml"), ("promptfo", "jsonl", "promptfoo")),
        (("suites", "new", "x", "--tools", "broken.txt"), ("broken.txt: not valid JSON",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_typed_wrong_is_a_usage_error(project: Project, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Exit 2, one line that says what was got and what is allowed, and no home is made for it."""
    project.write("broken.txt", "no JSON")
    project.run(*arguments).assert_refused(2, *words)
    assert "ledger.sqlite3" not in project.files()


def test_a_model_that_is_not_pulled_names_the_command_that_pulls_it(project: Project) -> None:
    """Refused before anything is started; exit 1."""
    for arguments in (("run", "local/smollm2-135m", "atomic"), ("try", "local/smollm2-135m", "x", "--tools", "tools.json")):
        project.run(*arguments).assert_refused(1, "not pulled", "selfopt models pull local/smollm2-135m")
    project.run("loop", "--baseline", "local/smollm2-135m atomic native_api").assert_refused(1, "not pulled")


@pytest.mark.parametrize("model", ["haiku", "openai/gpt-4o", "openrouter/a/b"])
def test_a_cloud_is_not_asked_without_a_key(project: Project, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """The variable is named before anything is sent; exit 2. A server that took over the endpoint's name may want none."""
    for variable in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    for arguments in (("run", model, "atomic"), ("try", model, "x", "--tools", "tools.json")):
        project.run(*arguments).assert_refused(2, "has no API key", "_API_KEY is not set")
    assert "ledger.sqlite3" not in project.files()
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    project.run("try", "openai/x", "x", "--tools", "tools.json").assert_refused(1, "127.0.0.1:9")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("[limits_]\nx = 1", ("unknown setting", "limits_", "limits")),
        ("[warm_up]\nenable = true", ("unknown setting warm_up.enable", "enabled")),
        ("[warm_up]\nenabled = 3.5", ("warm_up.enabled",)),
        ("[policy]\nextended_phase_min_accuracy = 7", ("extended_phase_min_accuracy", "7")),
        ("[policy]\nalpha = 0", ("policy.alpha", "above 0 and at most 0.5")),
        ("[policy]\nalpha = 0.6", ("policy.alpha", "0.6", "at most 0.5")),
        ("[policy]\nalpha = nan", ("policy.alpha", "finite number")),
        ("[policy]\nsmallest_gain = 0.0", ("policy.smallest_gain", "above 0")),
        ("[policy]\nsmallest_gain = -0.05", ("policy.smallest_gain", "above 0")),
        ("[policy]\nbeta = 0.0", ("policy.beta", "strictly between 0 and 1")),
        ("[policy]\nbeta = 1.0", ("policy.beta", "strictly between 0 and 1")),
        ("[policy]\nhorizon = 0", ("policy.horizon", "at least 1")),
        ("[policy]\nrace_trials = 0", ("policy.race_trials",)),
        ("[policy]\nheldout_margin = 3", ("policy.heldout_margin", "0.03 for 3 points")),
        ("[policy]\nschedule = 'bonferroni'", ("policy.schedule", "fwer")),
        ("[engine", ("not valid TOML", "selfopt.toml")),
        ("allow_remote = true", ("allow_remote",)),
        ('home = "/tmp/elsewhere"', ("home",)),
        ("[prices]\n", ("prices",)),
        ('[models]\ncatalogue = "x.toml"', ("models.catalogue",)),
        (
            '[endpoints.openai]\nkind = "openai_compatible"\nbase_url = "http://evil"',
            ("endpoint 'openai'", "scripted and embedded"),
        ),
        ('[endpoints.x]\nkind = "scripted"\nbase_url = "http://evil"', ("endpoints.x.base_url",)),
        ('[endpoints.x]\nkind = "scripted"\napi_key = "k"', ("endpoints.x.api_key",)),
        ('[endpoints.x]\nkind = "scripted"\napi_key_env = "AWS_SECRET"', ("endpoints.x.api_key_env",)),
        ('hooks = ["rm -rf /"]', ("unknown setting", "hooks")),
        ('[hooks]\nbefore = "rm"', ("unknown setting", "hooks")),
        ("endpoints = 3", ("endpoints",)),
    ],
)
def test_a_project_file_that_sets_what_it_may_not_is_refused(project: Project, settings: str, words: tuple[str, ...]) -> None:
    """Named with the file; exit 2; nothing is measured."""
    project.write("selfopt.toml", settings + "\n")
    project.run("run", "scripted/good", "atomic").assert_refused(2, *words)
    assert project.files() == {}


@pytest.mark.parametrize(
    "line",
    [
        "OPENAI_API_KEY=stolen",
        "OPENAI_BASE_URL=http://evil",
        "export OLLAMA_HOST=evil:80",
        "ANTHROPIC_API_KEY='x'",
        "SELFOPT_HOME=/tmp/elsewhere",
        "SELFOPT_CONFIG=evil.toml",
        "SELFOPT_ALLOW_REMOTE=true",
        "SELFOPT_ENDPOINTS__OPENAI__BASE_URL=http://evil",
    ],
)
def test_a_dotenv_that_sets_a_key_base_url_or_consent_is_refused(project: Project, line: str) -> None:
    """The variable is named, its value is not shown; SELFOPT_DOTENV=off ignores the file."""
    project.write(".env", f"# a comment\n{line}\n")
    result = project.run("run", "good", "atomic")
    result.assert_refused(2, ".env", line.removeprefix("export ").partition("=")[0])
    assert "stolen" not in result.err


def test_a_dotenv_can_be_ignored(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """SELFOPT_DOTENV=off; and what a .env may set is read."""
    project.write(".env", "OPENAI_API_KEY=x\n")
    monkeypatch.setenv("SELFOPT_DOTENV", "off")
    project.ok("run", "good", "atomic", "--limit", "1")
    monkeypatch.delenv("SELFOPT_DOTENV")
    project.write(".env", "SELFOPT_LIMITS__TIMEOUT_S=not-a-number\n")
    project.run("run", "good", "atomic").assert_refused(2, "limits.timeout_s")


def test_a_wrong_variable_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown section, a wrong type, a flag's variable with a wrong value, a settings file that is not there."""
    monkeypatch.setenv("SELFOPT_LIMITZ__TIMEOUT_S", "3")
    project.run("doctor").assert_refused(2, "SELFOPT_LIMITZ__TIMEOUT_S")
    monkeypatch.delenv("SELFOPT_LIMITZ__TIMEOUT_S")
    monkeypatch.setenv("SELFOPT_LIMITS__TIMEOUT_S", "soon")
    project.run("doctor").assert_refused(2, "limits.timeout_s", "soon")
    monkeypatch.delenv("SELFOPT_LIMITS__TIMEOUT_S")
    monkeypatch.setenv("SELFOPT_RUN_LIMIT", "many")
    project.run("run", "good", "atomic").assert_refused(2, "many")
    monkeypatch.setenv("SELFOPT_CONFIG", "nowhere.toml")
    project.run("doctor").assert_refused(2, "SELFOPT_CONFIG", "nowhere.toml")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SELFOPT_MAX_TRIALS", "SELFOPT_RUN_MAX_TRIALS"),
        ("SELFOPT_RUN_LIMITS", "SELFOPT_RUN_LIMIT"),
        ("SELFOPT_RUN_TIMEOUT", "SELFOPT_RUN_TIMEOUT_S"),
        ("SELFOPT_ALLOW_REMOT", "SELFOPT_ALLOW_REMOTE"),
        ("SELFOPT_LOOP_MAX_TRAILS", "SELFOPT_LOOP_MAX_TRIALS"),
        ("SELFOPT_SUITES_ATOMIC", "SELFOPT_SUITES__ATOMIC"),
        ("SELFOPT_ENGINE_THREADS", "SELFOPT_ENGINE__THREADS"),
        ("SELFOPT_ZZ", "SELFOPT_SECTION__KEY"),
    ],
)
def test_a_misspelt_variable_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    """A cap that nothing reads would not hold: exit 2 with the name that was meant; nothing is measured."""
    monkeypatch.setenv(name, "1")
    project.run("run", "good", "atomic").assert_refused(2, name, meant)
    assert "ledger.sqlite3" not in project.files()


def test_variables_of_other_commands_are_left_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may stand in a profile; those of the command below a group are known too."""
    monkeypatch.setenv("SELFOPT_SUPERVISE_N_RUNS", "3")
    monkeypatch.setenv("SELFOPT_AUDIT_SHOW_LAST", "5")
    project.ok("run", "good", "atomic", "--limit", "1")
    project.ok("audit", "show")
    monkeypatch.setenv("SELFOPT_AUDIT_SHOW_LATS", "5")
    project.run("audit", "show").assert_refused(2, "SELFOPT_AUDIT_SHOW_LAST")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("id: A2", "id: A1"), ("A1",)),
        (("{name: get_weather, arguments: {city: [Rome]}}", "{name: get_wether}"), ("get_wether", "A2")),
        (("tool_set: t", "tool_set: u"), ("u", "A1")),
        (("phase: atomic", "phase: molecular"), ("phase", "molecular")),
        (("scope: whole", "scope: whole\nschema_version: 99"), ("99", "update selfopt")),
        (("scope: whole", "scape: whole"), ("scape", "unknown key")),
        (("prompts:", "prompts: *x"), ("atomic.yaml",)),
    ],
    ids=["duplicate id", "undefined tool", "undefined tool set", "phase", "newer schema", "unknown key", "alias"],
)
def test_a_broken_suite_is_refused(project: Project, change: tuple[str, str], words: tuple[str, ...]) -> None:
    """The reference suite is a file with a mistake: file, prompt and fix are named; exit 2."""
    text = (project.root / "atomic.yaml").read_text("utf-8")
    assert change[0] in text
    project.write("atomic.yaml", text.replace(*change))
    project.run("run", "good", "atomic").assert_refused(2, "atomic.yaml", *words)
    project.run("loop", "--baseline", "good atomic native_api").assert_refused(2, "atomic.yaml")
    assert "ledger.sqlite3" not in project.files()


def test_a_sample_without_search_prompts_is_refused_by_the_loop(project: Project) -> None:
    """There is nothing to search on; which splits there are and what to do is said, and nothing else is measured instead."""
    text = (project.root / "atomic.yaml").read_text("utf-8").replace("scope: whole", "scope: sample")
    project.write("atomic.yaml", text.replace("tool_set: t, messages", "split: heldout, tool_set: t, messages"))
    for more in ((), ("--dry-run", "--gain", "5")):
        refused = project.run("loop", "--baseline", "good atomic native_api", *more)
        refused.assert_refused(2, "no prompt in split 'search', only in heldout", "scope: whole")
    assert "ledger.sqlite3" not in project.files()


def test_a_broken_script_is_refused(project: Project) -> None:
    """The scripted endpoint's file is wrong, missing, or not named at all."""
    project.write("script.yaml", "models: {good: {replies: [{match: {regex: '('}}]}}")
    project.run("run", "good", "atomic").assert_refused(2, "script.yaml")
    (project.root / "script.yaml").unlink()
    project.trust()
    project.run("run", "good", "atomic").assert_refused(2, "script.yaml")
    project.write("selfopt.toml", '[endpoints.scripted]\nkind = "scripted"\n')
    project.run("run", "scripted/good", "atomic").assert_refused(2, "scripted", "script")


def test_a_scripted_model_that_the_script_does_not_have(project: Project) -> None:
    """As a server's 404: exit 1 with the names that are there; no trial is scored."""
    project.run("run", "scripted/nope", "atomic").assert_refused(1, "nope", "not found", "good")


def test_a_wrong_variants_file_is_refused(project: Project) -> None:
    """Unknown field; taken name; no YAML; missing."""
    text = (project.root / "selfopt.toml").read_text("utf-8")
    project.write("selfopt.toml", 'variants = "mine.yaml"\n' + text)
    project.run("variants", "list").assert_refused(2, "mine.yaml")
    for content in ("variants: {x: {colour: blue}}", "variants: {native_api: {}}", "variants: ["):
        project.write("mine.yaml", content)
        project.run("run", "good", "atomic").assert_refused(2, "mine.yaml")


@pytest.mark.parametrize(
    "arguments",
    [
        ("scripted", "--check", "PATH"),
        ("suites", "show", "PATH"),
        ("run", "good", "atomic", "--suite", "PATH"),
        ("try", "good", "x", "--tools", "PATH"),
        ("loop", "--dry-run", "--baseline", "good atomic native_api", "--candidates", "PATH"),
        ("variants", "list"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_file_that_cannot_be_one_is_refused_and_not_waited_for(
    project: Project, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """A pipe, a folder, bytes that are no text, 10,000 levels, an alias bomb: exit 2, one line with the file's name."""
    pipe, folder = project.root / "pipe.yaml", project.root / "folder.yaml"
    os.mkfifo(pipe)
    folder.mkdir()
    files = [pipe, folder, project.write("deep.yaml", "variants: " + "[" * 10_000), project.root / "latin.yaml"]
    files[-1].write_bytes(b"a: \xff\xfe")
    files.append(project.write("bomb.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"))
    files.append(project.write("date.yaml", "a: 2024-99-99\n"))
    for file in files:
        monkeypatch.setenv("SELFOPT_VARIANTS", str(file) if arguments[0] == "variants" else "")
        result = project.run(*(str(file) if word == "PATH" else word for word in arguments))
        assert result.code == 2, (file.name, result.err)
        assert file.name in result.err + result.out
        assert "Traceback" not in result.err


def test_a_home_that_is_a_file_is_refused(project: Project) -> None:
    """--home names a file: exit 2; below a file: exit 1."""
    project.write("afile", "")
    project.run("--home", "afile", "run", "good", "atomic").assert_refused(2, "afile")
    project.run("--home", "afile/below", "run", "good", "atomic").assert_refused(1, "afile")


def test_terminal_escapes_in_a_projects_names_are_neutralised(project: Project) -> None:
    """Aliases, a script's models, what a suite says: shown escaped everywhere."""
    project.write("selfopt.toml", SETTINGS.replace("[models.aliases]", '[models.aliases]\n"\\u001b[2J" = "scripted/good"'))
    project.write("evil.yaml", 'models: {"\\e[2J": {}}\n')
    text = (
        (project.root / "atomic.yaml")
        .read_text("utf-8")
        .replace("kind: direct", 'kind: "\\e[2J\\a"')
        .replace("A small", "\x1b[2J")
    )
    project.write("atomic.yaml", text.replace("title: \x1b[2J suite", 'title: "\\e[2J suite"'))
    for arguments in (
        ("models", "list"),
        ("models", "ps"),
        ("scripted", "--check", "evil.yaml"),
        ("suites", "show", "atomic.yaml"),
        ("run", "\x1b[2J", "atomic"),
        ("report",),
    ):
        result = project.ok(*arguments)
        assert "\x1b" not in result.out + result.err, arguments
        assert "\x07" not in result.out + result.err, arguments


def test_terminal_escapes_in_what_was_typed_are_neutralised(project: Project) -> None:
    """A name with escape sequences in an error message does nothing to the terminal."""
    for arguments in (("run", "\x1b[2Jx", "atomic"), ("run", "good", "\x1b]0;x\x07"), ("\x1b[31mrun",), ("show", "\x1b[2J")):
        result = project.run(*arguments)
        assert result.code == 2
        assert "\x1b" not in result.err
        assert "\x07" not in result.err
