"""A rollback holds, whichever door it came through."""

from __future__ import annotations

import pytest

import selfopt
from tests.cli.world import Project


@pytest.mark.parametrize("door", ["command", "python"])
def test_a_rollback_is_not_undone_by_the_next_cycle(project: Project, door: str) -> None:
    """The next cycle starts from what the earlier rules served, and the promotion that was taken back stays away."""
    project.write("c.yaml", "- variant: native_parsed\n")
    project.ok("loop", "--baseline", "scripted/writer atomic native_api", "--candidates", "c.yaml")
    with selfopt.open() as harness:
        promoted = harness.routes.show().rule_for("scripted/writer", "atomic")
        assert promoted is not None
        assert promoted.variant is not None
        if door == "python":
            harness.routes.rollback(0)
        else:
            project.ok("routes", "rollback", "0")
        (cycle,) = harness.loop(max_candidates=0)
        assert cycle.targets[0].baseline_variant == "native_api"
        rule = harness.routes.show().rule_for("scripted/writer", "atomic")
        assert rule is None or rule.spec_id != promoted.spec_id


CANDIDATES = "- variant: native_parsed@2\n"
BASELINE = ("--baseline", "scripted/writer atomic native_api")


@pytest.fixture
def rolled_back(project: Project) -> Project:
    """One promotion, taken back."""
    project.write("c.yaml", CANDIDATES)
    project.ok("loop", *BASELINE, "--candidates", "c.yaml")
    project.ok("routes", "rollback", "0")
    return project


def proposed(project: Project) -> set[str]:
    """The variants that the next cycle would try of itself."""
    plan = project.ok("loop", "--dry-run", "--json", "--max-candidates", "30").json()
    return {candidate["change"].rpartition(" ")[2] for target in plan["targets"] for candidate in target["candidates"]}


def test_what_a_rollback_bans_is_shown_where_rules_are(rolled_back: Project) -> None:
    """By `routes show`, by the report, and by `routes unban` without a model; with the way to lift it."""
    told = "scripted/writer atomic: variant native_parsed@2 is not tried again, because it was rolled back"
    shown = rolled_back.ok("routes", "show", "--json")
    assert shown.json()["bans"]
    saved = rolled_back.root / "shown.json"
    saved.write_text(shown.out, "utf-8")
    rolled_back.ok("routes", "import", str(saved))
    assert told in rolled_back.ok("routes", "show").out
    assert told in rolled_back.ok("routes", "unban").out
    rolled_back.ok("report")
    report = (rolled_back.home / "reports" / "SELF_OPTIMIZING_REPORT.md").read_text("utf-8")
    assert "is not tried again, because it was rolled back" in report
    assert "selfopt routes unban" in report
    assert "native_parsed@2" not in proposed(rolled_back)


def test_a_ban_that_is_lifted_is_tried_again_and_no_longer_shown(rolled_back: Project) -> None:
    """Until it is taken back once more."""
    assert "variant native_parsed@2 may be tried again" in rolled_back.ok("routes", "unban", "scripted/writer", "atomic").out
    assert "not tried again" not in rolled_back.ok("routes", "show").out
    assert "native_parsed@2" in proposed(rolled_back)
    rolled_back.run("routes", "unban", "scripted/writer").assert_refused(2, "nothing of scripted/writer was taken back")
    rolled_back.ok("loop", *BASELINE, "--candidates", "c.yaml")
    rolled_back.ok("routes", "rollback", "0")
    assert len(rolled_back.ok("routes", "unban", "--json").json()) == 1


def test_a_ban_ends_with_the_model_file_that_it_was_measured_on(rolled_back: Project) -> None:
    """The evidence is new."""
    rolled_back.write("script.yaml", (rolled_back.root / "script.yaml").read_text("utf-8").replace("writer-1", "writer-2"))
    rolled_back.ok("run", "scripted/writer", "atomic", "--force-model", "--fresh")
    assert rolled_back.ok("routes", "unban", "--json").json() == []
    assert "native_parsed@2" in proposed(rolled_back)


def test_a_loop_touches_the_rules_of_the_models_that_it_names(rolled_back: Project) -> None:
    """The other model, whose rule was taken back, gets none by a loop that does not name it."""
    rolled_back.ok("loop", "--baseline", "scripted/good atomic native_api")
    with selfopt.open() as harness:
        assert {rule.model for rule in harness.routes.show().rules} == {"scripted/good"}


def test_nothing_taken_back_is_nothing_to_show(project: Project) -> None:
    """Neither in an empty home."""
    assert project.ok("routes", "unban").out == "nothing was taken back\n"
    assert "taken back" not in project.ok("routes", "show").out
    project.run("routes", "unban", "scripted/good").assert_refused(2, "was taken back")
    for command in (("routes", "unban"), ("audit", "trace")):
        project.run(*command, "scripted/good", "atomci").assert_refused(2, "unknown phase 'atomci'", "atomic", "extended")
