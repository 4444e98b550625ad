"""Races as the report shows them: replayed from the ledger, the same figures as the race had."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.records import PromptTest, RaceEnd
from selfopt.verbs.courses import newest_courses
from selfopt.verbs.reporting import write_artefacts
from tests.loop.kit import World
from tests.loop.race_kit import ATOMIC, candidates, sample_suite, sometimes, steady, towns, with_suite


async def test_courses_end_where_the_races_ended(tmp_path: Path) -> None:
    """Search and held-out race in their order, each candidate's last point as its standing; the page shows them."""
    w = with_suite(World(tmp_path / "world", {"m": sometimes(0.4, 0.7, towns(140))}), sample_suite(40, 100))
    await w.loop(ATOMIC, candidates=candidates(tmp_path, {"variant": "restrained"}, {"timeout_s": 50}))
    with w.app() as app:
        ends = list(app.ledger.read(RaceEnd))
        courses = newest_courses(app.ledger)
        assert [c.purpose for c in courses] == ["search", "search", "heldout"]
        standings = [standing for end in ends for standing in end.standings]
        for course, standing in zip(courses, standings, strict=True):
            last = course.points[-1]
            assert (last.log_e, last.log_f, last.gain) == (standing.log_e, standing.log_f, standing.estimate)
            assert last.interval == pytest.approx(standing.interval)
            assert course.points[0].interval == (-1.0, 1.0)
            trials = [point.trials for point in course.points]
            assert trials == sorted(set(trials))
        (page,) = [path for path in write_artefacts(app) if path.suffix == ".html"]
        text = page.read_text("utf-8")
        assert text.count("<figcaption>") == 4
        assert "variant native_api &rarr; restrained" in text


async def test_a_race_that_goes_on_from_an_earlier_one_begins_with_its_evidence(tmp_path: Path) -> None:
    """Not at nothing."""
    w = World(tmp_path / "world", {"m": sometimes(0.5, 0.58)}, {"policy": {"race_trials": 100}})
    for _ in range(2):
        await w.loop(ATOMIC, candidates=candidates(tmp_path))
    with w.app() as app:
        newer, older = newest_courses(app.ledger)
        assert (newer.cycle, older.cycle) == (2, 1)
        assert newer.points[0].log_e == older.points[-1].log_e
        assert older.ended == "is held: race_trials = 100 reached"


@pytest.mark.parametrize("passes", [True, False])
async def test_a_heldout_test_is_shown_prompt_by_prompt_as_it_was_decided(tmp_path: Path, passes: bool) -> None:
    """Deterministic specs: the evidence after each held-out prompt, the largest of it what the test recorded; no evidence against, as none is
    gathered; each cycle's test with that cycle's outcomes."""
    better = towns(140) if passes else towns(40)
    w = with_suite(World(tmp_path / "world", {"m": steady(towns(10), better)}), sample_suite(40, 100))
    await w.loop(ATOMIC, candidates=candidates(tmp_path))
    with w.app() as app:
        (test,) = app.ledger.read(PromptTest)
        (course,) = newest_courses(app.ledger)
        assert (course.purpose, course.cycle, course.name, course.unit) == ("heldout", 1, "restrained", "prompts")
        assert [point.trials for point in course.points] == list(range(101))
        assert {point.log_f for point in course.points} == {course.log_f_needed} == {None}
        assert max(point.log_e for point in course.points[1:]) == pytest.approx(test.log_e)
        last = course.points[-1]
        assert (last.gain, last.interval) == (test.estimate, test.interval)
        assert test.passed is passes
        assert course.ended.startswith(
            "passes: 100 prompts won, 0 lost, E = " if passes else "does not pass: 0 prompts won, 0 lost, E = "
        )
        (page,) = [path for path in write_artefacts(app) if path.suffix == ".html"]
        text = page.read_text("utf-8")
        assert "held-out prompts: <b>restrained</b>" in text
        assert ("A gain on held-out prompts" in text) is passes


async def test_tests_of_one_cycle_are_shown_in_the_order_in_which_they_ran(tmp_path: Path) -> None:
    """Of several models."""
    scripts = {name: steady(towns(10), towns(140)) for name in ("m", "n")}
    w = with_suite(World(tmp_path / "world", scripts), sample_suite(40, 100))
    await w.loop(ATOMIC, "scripted/n atomic native_api", candidates=candidates(tmp_path))
    with w.app() as app:
        ran = [test.key.candidate_spec_id for test in app.ledger.read(PromptTest)]
        assert len(ran) == 2
        assert [course.model for course in newest_courses(app.ledger)] == ["scripted/m", "scripted/n"]
