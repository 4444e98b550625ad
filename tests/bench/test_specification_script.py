"""specification.yaml is what the suites' expectations give, and plays as the specification says."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from selfopt.scripted.script import load_script
from selfopt.suites import load_suite
from selfopt.verbs.measuring import MeasureRequest, measure_model

from .kit import BENCH, HAIKU, LFM, Bench, bench_app


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that writes the file."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("make_specification_script")


def test_the_committed_file_is_current(bench: Bench, tmp_path: Path) -> None:
    """After a change of a suite, run make_specification_script.py."""
    done = bench(tmp_path, "make_specification_script.py", "--check")
    assert done.returncode == 0, done.stdout


def test_a_file_that_is_not_current_is_told(maker: ModuleType, tmp_path: Path) -> None:
    """--check ends with 100; writing puts it right."""
    target = tmp_path / "specification.yaml"
    assert maker.main(["--check"], target) == 100
    assert maker.main([], target) == 0
    assert maker.main(["--check"], target) == 0


def test_no_pattern_matches_another_prompt(maker: ModuleType) -> None:
    """A reply is found by the end of the last user message, so no prompt may end like another."""
    prompts = [*load_suite("atomic").prompts, *load_suite("extended").prompts]
    ends = [p.messages[-1].content.strip().casefold() for p in prompts]
    assert [(a, b) for a in ends for b in ends if a != b and a.endswith(b)] == []
    assert len(set(ends)) == len(ends)


def test_two_whole_runs_are_given_up_before_the_load_is_through() -> None:
    """Whatever the machine's speed: the load ends with the 24th request that was given up."""
    script = load_script(BENCH / "specification.yaml")
    assert script.models["lfm2.5-thinking:1.2b"].load_after_aborts == 2 * len(load_suite("atomic").prompts)


@pytest.mark.parametrize("variant", ["native_api", "native_parsed", "restrained", "atomic", "few_shot", "constrained"])
async def test_haiku_is_right_under_every_presentation(tmp_path: Path, variant: str) -> None:
    """Native tools or text, with examples or a grammar: the replies fit."""
    with bench_app(tmp_path / "home") as (app, _):
        async with app:
            found = (await measure_model(app, MeasureRequest(HAIKU, "atomic", variant))).evaluation
            assert found is not None
            assert found.metrics.accuracy == 1.0


@pytest.mark.parametrize("variant", ["native_api", "extended", "few_shot_constrained"])
async def test_extended_is_all_or_nothing(tmp_path: Path, variant: str) -> None:
    """haiku passes everything, lfm2.5 nothing: no call where one is needed, a call where none is."""
    with bench_app(tmp_path / "home") as (app, _):
        async with app:
            for model, accuracy in ((HAIKU, 1.0), (LFM, 0.0)):
                found = (await measure_model(app, MeasureRequest(model, "extended", variant))).evaluation
                assert found is not None
                assert found.metrics.accuracy == accuracy
                assert found.metrics.restraint == accuracy
