"""The composition root: what is opened, named, priced and closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import SettingsError, SuiteError, UnknownModelError, UsageError
from selfopt.records import Spec, Usage
from selfopt.wiring.app import App
from tests.cli.world import Project


async def test_nothing_is_created_before_it_is_needed(project: Project) -> None:
    """Opening reads; the home is made with the ledger; closing twice is fine."""
    app = App.open()
    before = app.has_ledger
    assert not project.home.exists()
    assert app.environments() == {}
    _ = app.ledger
    assert (before, app.has_ledger) == (False, True)
    await app.close()
    await app.close()


def test_the_home_is_found_by_flag_variable_setting_and_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is named wins over SELFOPT_HOME; without it the user's setting; else .selfopt upwards."""
    assert App.open("elsewhere").home.root == project.root / "elsewhere"
    assert App.open().home.root == project.home
    monkeypatch.delenv("SELFOPT_HOME")
    project.user_config.write_text('home = "~/mine"\n', "utf-8")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    assert App.open().home.root == Path("~/mine").expanduser()
    monkeypatch.delenv("SELFOPT_CONFIG")
    (project.root / ".selfopt").mkdir()
    (project.root / "below").mkdir()
    assert App.open(cwd=project.root / "below").home.root == project.root / ".selfopt"


def test_models_are_resolved_and_checked_against_the_catalogue(project: Project) -> None:
    """Aliases, full names; the embedded engine knows its own; the server's name drops the provider."""
    app = App.open()
    assert app.resolve_model("good") == "scripted/good"
    assert app.sender.server_model("scripted/good") == "good"
    assert app.sender.server_model("local/smollm2-135m") == "local/smollm2-135m"
    with pytest.raises(UnknownModelError, match="local/smollm2-135m"):
        app.resolve_model("local/nope")
    with pytest.raises(SettingsError, match="neither script nor base_url"):
        App.open(flags={"endpoints": {"bare": {"kind": "scripted"}}}).require_ready(["bare/m"])


def test_a_suite_is_found_again_by_what_it_was(project: Project) -> None:
    """The spec of a reference suite finds its file in another process; one that is gone is an error."""
    spec = App.open().spec("scripted/good", "atomic", "native_api")
    assert App.open().suite_for(spec).name == "small"
    other = App.open(flags={"suites": {"atomic": "atomic"}})
    with pytest.raises(SuiteError, match="small"):
        other.suite_for(spec)
    other.suite(str(project.root / "atomic.yaml"))
    assert other.suite_for(spec).content_id() == spec.suite_hash


def test_a_spec_that_makes_no_sense_is_a_usage_error(project: Project) -> None:
    """Values out of range, by whatever way they came."""
    app = App.open()
    for options in ({"timeout_s": -1.0}, {"retries": 99}, {"timeout_s": float("nan")}):
        with pytest.raises(UsageError):
            app.spec("scripted/good", "atomic", "native_api", options)


def test_fields_that_an_endpoint_leaves_out_or_adds_are_part_of_a_spec(project: Project) -> None:
    """Evidence from before does not count after; without such settings a spec is what it always was."""
    plain = App.open().spec("scripted/good", "atomic", "native_api")
    assert not {"omit", "extra_body"} & set(plain.model_dump())
    kept = App.open().settings.endpoints["scripted"].model_dump(exclude_defaults=True)
    for more in ({"omit": ["temperature"]}, {"extra_body": {"top_k": 1}}):
        other = App.open(flags={"endpoints": {"scripted": {**kept, **more}}}).spec("scripted/good", "atomic", "native_api")
        assert other.request_id != plain.request_id


def test_trials_have_a_price_where_the_user_names_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Per million tokens; without a price nothing on this machine, and None elsewhere."""
    text = '[endpoints.far]\nkind = "openai_compatible"\nbase_url = "http://far.example"\n'
    project.user_config.write_text(
        text + '[prices."far/m"]\ninput = 2.0\noutput = 10.0\n[prices."scripted/mute"]\ninput = 1.0\noutput = 0.0\n', "utf-8"
    )
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    app = App.open()
    usage = Usage(input_tokens=500_000, output_tokens=100_000)
    price = app.measure_context().price_for
    assert price(app.spec("far/m", "atomic", "native_api"), usage, 1.0) == pytest.approx(2.0)
    assert price(app.spec("far/other", "atomic", "native_api"), usage, 1.0) is None
    assert price(app.spec("scripted/good", "atomic", "native_api"), usage, 1.0) == 0.0
    assert price(app.spec("scripted/mute", "atomic", "native_api"), usage, 1.0) == pytest.approx(0.5)
    assert "cores" in app.measure_context().hardware
    app.release()


async def test_the_engine_is_made_once_and_closed(project: Project) -> None:
    """Settings reach the engine; endpoint and residency of the embedded kind share it."""
    async with App.open(flags={"engine": {"threads": 1}}) as app:
        engine = app.engine
        assert app.engine is engine
        model = "local/smollm2-135m"
        residency = app.sender.residency(model, asked=model)
        assert app.sender.residency(model, asked=model) is residency
        status = await residency.status(model)
        assert status.state == "unloaded"


async def test_a_model_is_spelled_as_this_home_spells_it(project: Project) -> None:
    """What was measured or set under another name of it still counts; a new model is spelled as typed."""
    app = App.open()
    assert app.resolve_model("ollama/Qwen2.5:latest") == "ollama/Qwen2.5:latest"
    app.enforcer.set_rule("ollama/qwen2.5", "atomic", allow=True)
    assert app.resolve_model("ollama/Qwen2.5:latest") == "ollama/qwen2.5"
    spec = app.spec("ollama/Qwen2.5", "atomic", "native_api")
    await app.ledger.append([spec])
    assert app.resolve_model("ollama/qwen2.5:latest") == "ollama/Qwen2.5"
    assert [s.spec_id for s in app.ledger.read(Spec, {"model": "ollama/qwen2.5:latest"})] == [spec.spec_id]
    assert app.resolve_model("ollama/qwen2.5:3b") == "ollama/qwen2.5:3b"
    await app.close()


def test_a_price_counts_for_every_name_of_its_model(project: Project) -> None:
    """So does a cap on cost."""
    price = {"ollama/M:latest": {"input": 1.0, "output": 2.0}}
    app = App.open(flags={"prices": price, "endpoints": {"ollama": {"kind": "ollama", "base_url": "http://10.1.1.1"}}})
    assert app.settings.price_of("ollama/m") is not None
    assert app.settings.price_of("ollama/m2") is None
