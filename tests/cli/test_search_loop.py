"""`loop --search`: what it says on the way and at the end, and what it refuses."""

from __future__ import annotations

from itertools import pairwise

from .test_loop import WRITER
from .world import Project


def test_a_search_says_each_new_best_and_closes_with_what_nothing_beats(project: Project) -> None:
    """One paragraph for a best point, however many batches leave it so; then the reports."""
    result = project.ok("loop", "--search", "--max-trials", "60", "--baseline", WRITER)
    told = [line.partition("best so far: ")[2] for line in result.out.splitlines() if "best so far: " in line]
    assert told
    points = [line.partition(",")[0] for line in told]
    assert all(one != other for one, other in pairwise(points))
    closing = result.out[result.out.index("no point beats these on search prompts") :]
    assert "restraint " in closing
    assert "reports: " in closing
    report = (project.home / "reports" / "SELF_OPTIMIZING_REPORT.md").read_text()
    assert "## Searches" in report


def test_fresh_without_a_search_is_refused(project: Project) -> None:
    """In one line, before anything is asked."""
    project.run("loop", "--fresh", "--baseline", WRITER).assert_refused(2, "--search")
    assert not project.home.exists()
