"""The configuration that the bench runs under: one checked tree, and rules that are written whole."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from selfopt.errors import CorruptError, NewerSchemaError, SettingsError
from selfopt.records import RoutingConfig, Rule
from selfopt.routing import routing_config_schema, rule_id_of
from selfopt.settings import PolicySettings, load_settings
from selfopt.wiring.app import App

from .kit import BENCH, HAIKU, LFM, Bench, bench_app


def test_the_script_prints_the_settings_in_force(bench: Bench, tmp_path: Path) -> None:
    """`python3 config_manager.py`: the tree as JSON, with the specification's models."""
    shown = bench(tmp_path, "config_manager.py")
    assert shown.returncode == 0, shown.stderr
    tree = json.loads(shown.stdout)
    assert tree["models"]["aliases"]["lfm2.5"] == LFM
    assert tree["fallbacks"]["extended"] == ["haiku"]
    assert tree["policy"]["extended_phase_min_accuracy"] == 0.30


def test_the_environment_overrides_the_file(bench: Bench, tmp_path: Path) -> None:
    """A variable of the environment wins over specification.toml."""
    shown = bench(tmp_path, "config_manager.py", SELFOPT_POLICY__EXTENDED_PHASE_MIN_ACCURACY="0.4")
    assert json.loads(shown.stdout)["policy"]["extended_phase_min_accuracy"] == 0.4


def test_an_unknown_key_is_refused_by_name(bench: Bench, tmp_path: Path) -> None:
    """A misspelt setting ends the script with one line and exit code 2."""
    shown = bench(tmp_path, "config_manager.py", SELFOPT_POLICY__EXTENDED_MIN="0.4")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "extended_min" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_a_user_may_name_other_settings(bench: Bench, tmp_path: Path) -> None:
    """SELFOPT_CONFIG replaces specification.toml as a whole."""
    other = tmp_path / "mine.toml"
    other.write_text("[loop]\nn_runs = 5\n")
    tree = json.loads(bench(tmp_path, "config_manager.py", SELFOPT_CONFIG=str(other)).stdout)
    assert tree["loop"]["n_runs"] == 5
    assert tree["models"]["aliases"]["lfm2.5"] != LFM


def test_the_specifications_thresholds_are_the_defaults() -> None:
    """The gates' names and values are those that the specification gives."""
    settings = load_settings({"SELFOPT_CONFIG": str(BENCH / "specification.toml")}, BENCH)
    assert settings.policy == PolicySettings()
    assert settings.policy.extended_phase_min_accuracy == 0.30


def test_aliases_resolve_to_the_scripted_models() -> None:
    """lfm2.5 and lfm2.5-thinking:1.2b are one model; haiku stays on this machine."""
    settings = load_settings({"SELFOPT_CONFIG": str(BENCH / "specification.toml")}, BENCH)
    assert [settings.resolve_model(n) for n in ("lfm2.5", "lfm2.5-thinking:1.2b", "haiku")] == [LFM, LFM, HAIKU]
    assert settings.is_local(HAIKU)


def test_a_file_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """The file and the key are named, and what is allowed."""
    path = tmp_path / "selfopt.toml"
    path.write_text("[loop]\nn_run = 5\n")
    with pytest.raises(SettingsError, match=r"loop\.n_run; allowed in \[loop\]"):
        load_settings({"SELFOPT_CONFIG": str(path)}, tmp_path)


def _rule(allow: bool) -> Rule:
    fallback = None if allow else HAIKU
    return Rule(rule_id=rule_id_of(LFM, "extended"), model=LFM, phase="extended", allow=allow, fallback=fallback, reason="test")


async def test_routing_config_follows_its_schema_and_is_versioned(tmp_path: Path) -> None:
    """What is written validates against the shipped JSON schema; each change is a version that can be put back."""
    with bench_app(tmp_path / "home") as (app, _):
        app.home.ensure()
        app.enforcer.apply([_rule(False)], event="test", reason="first")
        app.enforcer.apply([_rule(True)], event="test", reason="second")
        body = json.loads(app.home.routing_config.read_text("utf-8"))
        jsonschema.validate(body, routing_config_schema())
        assert RoutingConfig.model_validate(body).version == 2
        back = app.enforcer.rollback(1)
        assert (back.version, back.rules[0].allow, back.rules[0].fallback) == (3, False, HAIKU)


@pytest.mark.parametrize(
    ("text", "error"), [("{ torn", CorruptError), ('{"schema_version": 99, "version": 1, "rules": []}', NewerSchemaError)]
)
async def test_a_damaged_or_newer_routing_config_is_refused_and_left(tmp_path: Path, text: str, error: type[Exception]) -> None:
    """It is named and not overwritten."""
    with bench_app(tmp_path / "home") as (app, _):
        app.home.ensure()
        app.home.routing_config.write_text(text)
        with pytest.raises(error, match="routing_config"):
            app.enforcer.load()
        assert app.home.routing_config.read_text() == text


def test_the_specifications_example_file_can_be_imported(tmp_path: Path) -> None:
    """The small routing_config.json of the specification loads through `routes import`."""
    example = tmp_path / "example.json"
    rules = [{"model": "lfm2.5-thinking:1.2b", "phase": p, "allow": p == "atomic"} for p in ("extended", "atomic")]
    example.write_text(json.dumps({"rules": rules}))
    app = App.open(tmp_path / "home", environ={"SELFOPT_CONFIG": str(BENCH / "specification.toml")}, cwd=tmp_path)
    from selfopt.verbs.routing import import_routes

    config = import_routes(app, example)
    assert {(r.model, r.phase, r.allow) for r in config.rules} == {(LFM, "extended", False), (LFM, "atomic", True)}
