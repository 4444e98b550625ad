"""Warm-up happens exactly when settings, rule or flag ask for it, before the first run, and is never scored."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from selfopt.errors import UsageError
from selfopt.records import Rule, Run, Trial
from selfopt.routing import rule_id_of
from selfopt.scripted.player import ScriptEngine
from selfopt.verbs.measuring import MeasureRequest, measure_model
from selfopt.verbs.warming import validate_model_warm_up

from .kit import LFM, bench_app


def questions(engine: ScriptEngine) -> int:
    """How often "What is 2+2?" was asked; with the suite's tools it is the real chat that follows it."""
    return sum(entry.last_user == "What is 2+2?" and not entry.tool_names for entry in engine.journal)


async def test_warm_up_is_invoked_when_the_config_enables_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """warm_up.default = true: one question before the first of seven runs, logged, its status in the result."""
    with bench_app(tmp_path / "home", SELFOPT_WARM_UP__DEFAULT="true") as (app, engine), caplog.at_level(logging.INFO, "selfopt"):
        async with app:
            measured = await measure_model(app, MeasureRequest(LFM, "atomic", n_runs=7))
            runs = list(app.ledger.read(Run))
            assert questions(engine) == 1
            assert measured.result.warm_up.status == "complete"
            assert [r.warm_up.status for r in runs] == ["complete", *["skipped"] * 6]
            assert "Warm-up complete" in caplog.text
            assert sum(1 for _ in app.ledger.read(Trial)) == 7 * 12
            assert measured.evaluation is not None
            assert measured.evaluation.metrics.accuracy == 1.0


async def test_without_the_setting_nothing_is_warmed_up(tmp_path: Path) -> None:
    """The default asks for no warm-up, and the cold start shows."""
    with bench_app(tmp_path / "home") as (app, engine):
        async with app:
            measured = await measure_model(app, MeasureRequest(LFM, "atomic", n_runs=7))
            assert questions(engine) == 0
            assert measured.result.warm_up.status == "off"
            assert measured.evaluation is not None
            assert measured.evaluation.metrics.accuracy == pytest.approx(5 / 7)


async def test_the_flag_overrides_the_setting_both_ways(tmp_path: Path) -> None:
    """--enable-warmup and --no-warmup win over warm_up.default."""
    with bench_app(tmp_path / "on") as (app, engine):
        async with app:
            await measure_model(app, MeasureRequest(LFM, "atomic", warm_up=True))
            assert questions(engine) == 1
    with bench_app(tmp_path / "off", SELFOPT_WARM_UP__DEFAULT="true") as (app, engine):
        async with app:
            await measure_model(app, MeasureRequest(LFM, "atomic", warm_up=False))
            assert questions(engine) == 0


async def test_a_rule_that_requires_warm_up_brings_it_about(tmp_path: Path) -> None:
    """A rule in force with warm-up is enough."""
    with bench_app(tmp_path / "home") as (app, engine):
        async with app:
            app.home.ensure()
            rule = Rule(rule_id=rule_id_of(LFM, "atomic"), model=LFM, phase="atomic", allow=True, warm_up=True, reason="cold")
            app.enforcer.apply([rule], event="test", reason="test")
            await measure_model(app, MeasureRequest(LFM, "atomic"))
            assert questions(engine) == 1


async def test_the_off_switch_wins_over_setting_flag_and_rule(tmp_path: Path) -> None:
    """warm_up.enabled = false: no warm-up, whatever else is said, and no validation of one."""
    off = {"SELFOPT_WARM_UP__ENABLED": "false", "SELFOPT_WARM_UP__DEFAULT": "true"}
    with bench_app(tmp_path / "home", **off) as (app, engine):
        async with app:
            await measure_model(app, MeasureRequest(LFM, "atomic", warm_up=True))
            assert questions(engine) == 0
            with pytest.raises(UsageError, match="switched off"):
                await validate_model_warm_up(app, LFM, "atomic")


async def test_a_failed_warm_up_is_recorded_and_the_run_goes_on(tmp_path: Path) -> None:
    """A load that does not end within its limit: status failed with the reason, and the trials say the rest."""
    with bench_app(tmp_path / "home", SELFOPT_WARM_UP__WARMUP_LOAD_TIMEOUT_S="0.5") as (app, _):
        async with app:
            measured = await measure_model(app, MeasureRequest(LFM, "atomic", warm_up=True))
            assert measured.result.warm_up.status == "failed"
            assert "0.5" in measured.result.warm_up.reason
            assert measured.result.status == "complete"
