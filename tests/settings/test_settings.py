"""Settings: precedence, refusals, and what a project may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import SettingsError, UnknownModelError
from selfopt.settings import Settings, load_settings


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
    assert load(tmp_path, dotenv="# c\nSELFOPT_LIMITS__RETRIES=4\nSTRIPE_API_KEY=x\n").limits.retries == 4
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
