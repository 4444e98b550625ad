"""Settings: precedence, refusals, and what a project may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.dialects.logprobs import TOP
from selfopt.errors import SettingsError, UnknownModelError
from selfopt.home import TrustStore
from selfopt.settings import Settings, load_settings, read_settings, settings_files
from selfopt.settings.endpoint import default_endpoints


def load(
    tmp_path: Path, *, user: str = "", project: str = "", dotenv: str = "", env: dict[str, str] | None = None, **flags: object
) -> Settings:
    """Settings from a user file, a project file, a .env, an environment and flags."""
    user_file = tmp_path / "user.toml"
    user_file.write_text(user)
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    if project:
        (folder / "selfopt.toml").write_text(project)
    if dotenv:
        (folder / ".env").write_text(dotenv)
    return load_settings({"SELFOPT_CONFIG": str(user_file), **(env or {})}, folder, dict(flags))


def trust(folder: Path) -> None:
    """Trust a project as it is now."""
    project = read_settings({}, folder, as_trusted=True).project
    assert project is not None
    TrustStore().add(folder, dict(project.digests), "2026-01-01T00:00:00Z")


def test_defaults_are_the_specifications_thresholds(tmp_path: Path) -> None:
    """With no file at all the thresholds are the documented ones."""
    policy = load(tmp_path).policy
    assert (policy.extended_phase_min_accuracy, policy.restraint_min, policy.promote_margin, policy.min_runs) == (
        0.30,
        0.80,
        0.02,
        3,
    )


def test_later_sources_override_earlier_ones(tmp_path: Path) -> None:
    """File, then environment, then flags."""
    user = "[limits]\ntimeout_s = 1.0\nretries = 1\nmax_trials = 1\n"
    project = "[limits]\ntimeout_s = 2.0\nretries = 2\n"
    load(tmp_path, user=user, project=project)
    trust(tmp_path / "project")
    settings = load(tmp_path, user=user, project=project, env={"SELFOPT_LIMITS__TIMEOUT_S": "3"})
    assert (settings.limits.timeout_s, settings.limits.retries, settings.limits.max_trials) == (3.0, 2, 1)
    assert load(tmp_path, user=user, env={"SELFOPT_LIMITS__TIMEOUT_S": "3"}, limits={"timeout_s": 4.0}).limits.timeout_s == 4.0


def test_a_flag_that_was_not_given_overrides_nothing(tmp_path: Path) -> None:
    """None in the flags' tree means not given."""
    assert load(tmp_path, user="[limits]\ntimeout_s = 9.0\n", limits={"timeout_s": None}).limits.timeout_s == 9.0


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nonsense = 1\n", "nonsense"),
        ("[limits]\nnonsense = 1\n", "limits.nonsense"),
        ("[policy]\nextended_phase_min = 1\n", "policy.extended_phase_min"),
        ("[endpoints.x]\nkind = 'scripted'\nnonsense = 1\n", "nonsense"),
    ],
)
def test_unknown_keys_are_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    """A misspelt setting is an error, not silence."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, user=text)
    assert named in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unknown_variable_of_a_section_is_refused(tmp_path: Path) -> None:
    """SELFOPT_LIMIT__X names no section."""
    with pytest.raises(SettingsError, match="SELFOPT_LIMIT__TIMEOUT_S"):
        load(tmp_path, env={"SELFOPT_LIMIT__TIMEOUT_S": "3"})
    with pytest.raises(SettingsError, match=r"limits\.timeout"):
        load(tmp_path, env={"SELFOPT_LIMITS__TIMEOUT": "3"})


@pytest.mark.parametrize(
    "text", ["[limits]\ntimeout_s = 'soon'\n", "[limits]\ntimeout_s = -1\n", "[policy]\nrestraint_min = 2.0\n", "= broken"]
)
def test_wrong_values_name_their_file(tmp_path: Path, text: str) -> None:
    """The message says which file to fix."""
    with pytest.raises(SettingsError, match=r"user\.toml"):
        load(tmp_path, user=text)


@pytest.mark.parametrize(
    "text",
    [
        "[endpoints.evil]\nkind = 'openai_compatible'\nbase_url = 'http://evil'\n",
        "[endpoints.openai]\nbase_url = 'http://evil'\n",
        "[endpoints.local]\nkind = 'embedded'\nbase_url = 'http://evil'\n",
        "[endpoints.x]\nkind = 'scripted'\napi_key = 'k'\n",
        "[endpoints.x]\nkind = 'scripted'\napi_key_env = 'AWS_SECRET'\n",
        "allow_remote = true\n",
        "home = '/elsewhere'\n",
        "[models]\ncatalogue = 'mine.toml'\n",
        "[gateway]\nhost = '0.0.0.0'\n",
    ],
)
def test_a_project_file_cannot_set_urls_keys_homes_or_consents(tmp_path: Path, text: str) -> None:
    """A cloned repository must not redirect prompts or keys."""
    with pytest.raises(SettingsError, match=r"project.selfopt\.toml"):
        load(tmp_path, project=text)


def test_a_project_file_may_define_scripted_and_embedded_endpoints(tmp_path: Path) -> None:
    """Their scripts are found from the file's folder."""
    settings = load(tmp_path, project="[endpoints.demo]\nkind = 'scripted'\nscript = 'demo.yaml'\n")
    assert settings.endpoints["demo"].script == str((tmp_path / "project" / "demo.yaml").resolve())


@pytest.mark.parametrize(
    "line",
    [
        "OPENAI_API_KEY=sk-1",
        "export OPENAI_BASE_URL=http://evil",
        "OLLAMA_HOST=evil",
        "SELFOPT_ENDPOINTS__OPENAI__BASE_URL=http://evil",
        "SELFOPT_ALLOW_REMOTE=true",
        "SELFOPT_HOME=/x",
    ],
)
def test_a_dotenv_cannot_set_keys_urls_or_consents(tmp_path: Path, line: str) -> None:
    """It is refused by name, and the message never shows the value."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, dotenv=line + "\n")
    assert line.removeprefix("export ").partition("=")[0] in str(caught.value)
    assert "sk-1" not in str(caught.value)


def test_a_dotenv_may_set_harmless_settings_and_can_be_ignored(tmp_path: Path) -> None:
    """Other variables in it are none of our business."""
    assert load(tmp_path, dotenv="# c\nSELFOPT_LIMITS__RETRIES=0\nSTRIPE_API_KEY=x\n").limits.retries == 0
    assert load(tmp_path, dotenv="OPENAI_API_KEY=sk\n", env={"SELFOPT_DOTENV": "off"}).limits.retries == Settings().limits.retries


def test_a_moved_endpoint_loses_the_stored_key(tmp_path: Path) -> None:
    """A caller's base URL is never combined with a key stored for another server."""
    user = "[endpoints.openai]\nkind='openai_compatible'\nbase_url='https://api.openai.com/v1'\napi_key='stored'\n"
    kept = load(tmp_path, user=user).endpoint_config("openai", {})
    moved = load(tmp_path, user=user, env={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}).endpoint_config("openai", {})
    assert kept.api_key is not None
    assert kept.api_key.get_secret_value() == "stored"
    assert moved.base_url == "http://127.0.0.1:9/v1"
    assert moved.api_key is None


def test_keys_never_appear_in_a_dump(tmp_path: Path) -> None:
    """Neither in repr nor in JSON."""
    settings = load(tmp_path, user="[endpoints.openai]\napi_key='stored-secret'\n")
    assert "stored-secret" not in repr(settings)
    assert "stored-secret" not in settings.model_dump_json()


def test_ollama_host_without_a_scheme_is_understood(tmp_path: Path) -> None:
    """OLLAMA_HOST=0.0.0.0:11434 is common."""
    assert load(tmp_path, env={"OLLAMA_HOST": "0.0.0.0:11434"}).endpoints["ollama"].base_url == "http://0.0.0.0:11434"


def test_models_resolve_by_alias_or_full_name() -> None:
    """Tags are kept; anything else is refused with what is known."""
    settings = Settings()
    assert settings.resolve_model("lfm2.5") == "ollama/lfm2.5-thinking:1.2b"
    assert settings.resolve_model("ollama/x:1b") == "ollama/x:1b"
    for name in ("gpt", "nowhere/x", "local/", "/x", ""):
        with pytest.raises(UnknownModelError, match="unknown model"):
            settings.resolve_model(name)


def test_a_circle_of_aliases_is_refused(tmp_path: Path) -> None:
    """a -> b -> a."""
    settings = load(tmp_path, user="[models.aliases]\na = 'b'\nb = 'a'\n")
    with pytest.raises(SettingsError, match="circle"):
        settings.resolve_model("a")


def test_only_endpoints_declared_local_are_local() -> None:
    """The engine and Ollama are; a cloud is not; an unknown provider is not."""
    settings = Settings()
    assert settings.is_local("local/x")
    assert settings.is_local("ollama/x")
    assert not settings.is_local("openai/x")
    assert not settings.is_local("other/x")


def test_the_warm_up_off_switch_beats_every_wish(tmp_path: Path) -> None:
    """warm_up.enabled = false means no warm-up at all."""
    assert load(tmp_path).warm_up_policy(True).enabled
    assert not load(tmp_path, user="[warm_up]\nenabled = false\n").warm_up_policy(True).enabled


@pytest.mark.parametrize("text", ["x = " + "[" * 10_000, "x = " + "{a=" * 10_000])
def test_a_file_nested_too_deeply_is_refused(tmp_path: Path, text: str) -> None:
    """10,000 levels are an error of the file, not of the program."""
    with pytest.raises(SettingsError, match=r"user\.toml is nested too deeply"):
        load(tmp_path, user=text)
    assert load(tmp_path, env={"SELFOPT_SUITES__ATOMIC": "[" * 10_000}).suites.atomic == "[" * 10_000


def test_a_variable_below_one_that_is_a_value_is_refused(tmp_path: Path) -> None:
    """Both cannot hold; the message names the deeper one."""
    for name in ("SELFOPT_LIMITS__RETRIES", "SELFOPT_ALLOW_REMOTE"):
        with pytest.raises(SettingsError, match=f"{name}__X goes below"):
            load(tmp_path, env={name: "true", f"{name}__X": "1"})


def test_a_variables_text_is_read_by_the_type_of_its_setting(tmp_path: Path) -> None:
    """A key of digits is a key, a number a number; lists are written as in TOML."""
    env = {
        "SELFOPT_ENDPOINTS__OPENAI__API_KEY": "12345",
        "SELFOPT_SUITES__ATOMIC": "7",
        "SELFOPT_LIMITS__RETRIES": "7",
        "SELFOPT_LIMITS__MAX_MINUTES": "1.5",
        "SELFOPT_WARM_UP__ENABLED": "false",
        "SELFOPT_FALLBACKS__EXTENDED": '["local/a", "local/b"]',
    }
    settings = load(tmp_path, env=env)
    key = settings.endpoint_config("openai", {}).api_key
    assert key is not None
    assert key.get_secret_value() == "12345"
    assert (settings.suites.atomic, settings.limits.retries, settings.limits.max_minutes) == ("7", 7, 1.5)
    assert settings.fallbacks.extended == ("local/a", "local/b")
    assert not settings.warm_up.enabled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limits = 3", "limits: must be a table; write [limits]"),
        ("[fallbacks]\nextended = 'good'", "fallbacks.extended: must be a list"),
        ("[limits]\nretrys = 3", "did you mean retries?"),
        ("[endpoints.lab]\nbase_url = 'http://x'", "endpoints.lab.kind: is missing; allowed are openai_compatible"),
        ("[endpoints.ollama]\nbase_uri = 'http://x'", "did you mean base_url?"),
        ("[prices.'openai/x']\nin = 1", "prices.openai/x"),
        ("[limits]\nretries = true", "limits.retries: must be a whole number, not true or false (got True)"),
        ("[limits]\nmax_trials = false", "limits.max_trials: must be a whole number, not true or false (got False)"),
        ("[limits]\ntimeout_s = true", "limits.timeout_s: must be a number, not true or false (got True)"),
        ("[policy]\nmin_runs = true", "policy.min_runs: must be a whole number, not true or false (got True)"),
        ("[endpoints.ollama]\nslots = true", "endpoints.ollama.slots: must be a whole number, not true or false (got True)"),
        (
            "[prices.'openai/x']\ninput = true\noutput = 1",
            "prices.openai/x.input: must be a number, not true or false (got True)",
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_file(tmp_path: Path, text: str, words: str) -> None:
    """Tables and lists, not the names of classes; the nearest key that there is."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, user=text)
    assert words in str(caught.value)
    assert "user.toml" in str(caught.value)
    assert "instance of" not in str(caught.value)


def test_an_overlong_value_is_shown_in_part(tmp_path: Path) -> None:
    """One line stays one line that can be read."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, env={"SELFOPT_LIMITS__RETRIES": "9" * 10_000})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0:11434", "http://0.0.0.0:11434"),
        ("192.168.1.5", "http://192.168.1.5:11434"),
        ("gpubox", "http://gpubox:11434"),
        ("gpubox/ollama", "http://gpubox:11434/ollama"),
        (":8080", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:80", "http://[::1]:80"),
        ("https://gpubox", "https://gpubox"),
        (" 'gpubox' ", "http://gpubox:11434"),
        ("gpubox:port", "http://gpubox:port"),
    ],
)
def test_ollama_host_means_what_it_means_to_ollama(tmp_path: Path, host: str, url: str) -> None:
    """Scheme, host and port may each be missing; without a scheme the port is 11434."""
    assert load(tmp_path, env={"OLLAMA_HOST": host}).endpoints["ollama"].base_url == url


def test_an_endpoint_that_is_moved_off_this_machine_is_not_local(tmp_path: Path) -> None:
    """Prompts of a local model are not sent to a server that merely took over the endpoint's name."""
    lab = "[endpoints.lab]\nkind = 'openai_compatible'\nbase_url = 'http://lab.local/v1'\nlocal = true\napi_key = 'stored'\n"
    moved = (
        load(tmp_path, env={"OLLAMA_HOST": "gpubox.example"}),
        load(tmp_path, env={"OLLAMA_BASE_URL": "https://ollama.example"}),
        load(tmp_path, env={"SELFOPT_ENDPOINTS__OLLAMA__BASE_URL": "http://gpubox.example"}),
        load(tmp_path, user="[endpoints.ollama]\nbase_url = 'http://gpubox.example:11434'\n"),
        load(tmp_path, env={"OLLAMA_HOST": "127.0.0.1.example"}),
    )
    assert [s.is_local("ollama/m") for s in moved] == [False] * len(moved)
    assert load(tmp_path, env={"OLLAMA_HOST": "0.0.0.0"}).is_local("ollama/m")
    assert load(tmp_path, user=lab).is_local("lab/m")
    elsewhere = load(tmp_path, user=lab, env={"SELFOPT_ENDPOINTS__LAB__BASE_URL": "http://else.example/v1"})
    assert not elsewhere.is_local("lab/m")
    assert elsewhere.endpoint_config("lab", {}).api_key is None
    said = load(tmp_path, user="[endpoints.ollama]\nbase_url = 'http://gpubox.example:11434'\nlocal = true\n")
    assert said.is_local("ollama/m")


def test_a_server_on_this_machine_is_local_without_saying_so(tmp_path: Path) -> None:
    """And one that is said not to be (a tunnel) is not."""
    text = "[endpoints.lab]\nkind = 'openai_compatible'\nbase_url = 'http://127.0.0.1:8000/v1'\n"
    assert load(tmp_path, user=text).is_local("lab/m")
    assert not load(tmp_path, user=text + "local = false\n").is_local("lab/m")


def test_a_dotenv_stands_beside_the_projects_file(tmp_path: Path) -> None:
    """Also when the command is called further down; a flag's variable in it would not be read, and is refused."""
    load(tmp_path, project="[limits]\nretries = 0\n", dotenv="SELFOPT_LIMITS__TIMEOUT_S=9\nOTHER=\xff\n")
    below = tmp_path / "project" / "a" / "b"
    below.mkdir(parents=True)
    environ = {"SELFOPT_CONFIG": str(tmp_path / "user.toml")}
    limits = load_settings(environ, below).limits
    assert (limits.retries, limits.timeout_s) == (0, 9.0)
    assert [p.name for p in settings_files(environ, below)] == ["user.toml", "selfopt.toml", ".env"]
    with pytest.raises(SettingsError, match="SELFOPT_RUN_LIMIT, which is not a setting"):
        load(tmp_path, dotenv="SELFOPT_RUN_LIMIT=3\n")


def test_a_file_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    """A byte order mark is no harm."""
    (tmp_path / "user.toml").write_bytes(b"\xff\xfe[limits]\n")
    environ = {"SELFOPT_CONFIG": str(tmp_path / "user.toml")}
    with pytest.raises(SettingsError, match=r"user\.toml is not UTF-8"):
        load_settings(environ, tmp_path)
    (tmp_path / "user.toml").write_bytes(b"\xef\xbb\xbf[limits]\nretries = 4\n")
    assert load_settings(environ, tmp_path).limits.retries == 4


def test_paths_in_a_file_are_meant_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever they are; `~` is the user's own folder, and an empty text no path."""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    text = (
        "variants = 'v.yaml'\nhome = 'h'\n[models]\ncatalogue = '~/c.toml'\n[suites]\natomic = 'a.json'\nextended = 'extended'\n"
    )
    settings = load(tmp_path, user=text)
    assert settings.variants == str(tmp_path / "v.yaml")
    assert settings.home == str(tmp_path / "h")
    assert settings.models.catalogue == str(tmp_path / "me" / "c.toml")
    assert (settings.suites.atomic, settings.suites.extended) == (str(tmp_path / "a.json"), "extended")
    assert load(tmp_path, user="variants = ''\n").variants == ""
    with pytest.raises(SettingsError, match="variants"):
        load(tmp_path, user="variants = 3\n")


def test_how_much_is_asked_at_once_depends_on_the_server() -> None:
    """One on this machine and four elsewhere, the engine's slots, what the settings name, and above all the flag."""
    tree = {
        "engine": {"slots": 2},
        "endpoints": {
            **{name: entry.model_dump() for name, entry in default_endpoints().items()},
            "lan": {"kind": "ollama", "base_url": "http://10.1.1.1", "slots": 8},
        },
    }
    found = Settings.model_validate(tree)
    names = ("local", "ollama", "openai", "anthropic", "lan")
    assert [found.concurrency_of(name) for name in names] == [2, 1, 4, 4, 8]
    assert [found.live_concurrency_of(name) for name in names] == [2, 64, 64, 64, 8]
    for cap in ("max_cost", "max_tokens"):
        capped = Settings.model_validate({**tree, "limits": {cap: 5}})
        assert [capped.concurrency_of(name) for name in names] == [2, 1, 1, 1, 8]
    flagged = Settings.model_validate({**tree, "limits": {"concurrency": 3}})
    assert {f(name) for name in names for f in (flagged.concurrency_of, flagged.live_concurrency_of)} == {3}
    assert (found.engine_slots, flagged.engine_slots) == (2, 3)


def test_fields_of_an_endpoint_are_left_out_and_added_but_not_the_chat_itself(tmp_path: Path) -> None:
    """Into the configuration of its adapter; a llama.cpp that takes grammars is one without saying so twice."""
    text = '[endpoints.lab]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:1"\n'
    settings = load(tmp_path, user=f'{text}omit = ["temperature"]\nextra_body = {{top_k = 1}}\ngrammar = true\n')
    config = settings.endpoint_config("lab", {})
    assert (config.omit, config.extra_body, config.server) == (("temperature",), {"top_k": 1}, "llama.cpp")
    assert load(tmp_path, user=text).endpoint_config("lab", {}).server is None
    for wrong in ('omit = ["messages"]', 'omit = ["tools.x"]', 'extra_body = {model = "x"}'):
        with pytest.raises(SettingsError, match="part of the chat"):
            load(tmp_path, user=f"{text}{wrong}\n")
    with pytest.raises(SettingsError, match="server"):
        load(tmp_path, user=f'{text}server = "litellm"\n')


def test_log_probabilities_are_asked_for_where_there_may_be_some(tmp_path: Path) -> None:
    """By kind, unless the endpoint's settings say otherwise; never where the field is left out."""
    user = (
        '[endpoints.off]\nkind = "openai_compatible"\nlogprobs = false\n'
        '[endpoints.omits]\nkind = "openai_compatible"\nomit = ["logprobs", "top_logprobs"]\n'
        '[endpoints.played]\nkind = "scripted"\n[endpoints.served]\nkind = "scripted"\nlogprobs = true\n'
    )
    settings = load(tmp_path, user=user)
    asked = {name: entry.logprobs_asked(read=False) for name, entry in settings.endpoints.items()}
    none = {name for name, top in asked.items() if top is None}
    assert none == {"anthropic", "off", "omits", "played"}
    assert {top for name, top in asked.items() if name not in none} == {TOP}


@pytest.mark.parametrize(
    ("kind", "also", "said"),
    [
        ("openai_compatible", '["klingon"]', "klingon"),
        ("openai_compatible", '["openai_chat"]', "openai_chat"),
        ("ollama", '["anthropic"]', "leave it out"),
    ],
)
def test_only_a_dialect_that_can_be_passed_on_is_spoken_beside(tmp_path: Path, kind: str, also: str, said: str) -> None:
    """A server's further dialects are those of the gateway's clients, and not its own."""
    text = '[endpoints.gpu]\nbase_url = "http://gpu:8000/v1"\nkind = '
    assert load(tmp_path, user=f'{text}"openai_compatible"\nalso = ["anthropic"]\n').endpoints["gpu"].also == ("anthropic",)
    with pytest.raises(SettingsError, match=said):
        load(tmp_path, user=f'{text}"{kind}"\nalso = {also}\n')
