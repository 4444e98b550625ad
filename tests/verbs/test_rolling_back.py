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
