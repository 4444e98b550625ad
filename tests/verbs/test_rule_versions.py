"""The versions of the rules: what each changed, how two differ, and what a rollback would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import StoreError, UsageError
from selfopt.home import AuditEvent
from selfopt.records import Baseline, Spec, ToolMatch
from selfopt.routing import Enforcer
from selfopt.verbs.opening import App
from selfopt.verbs.routing import bans_in_force, roll_back
from selfopt.verbs.rule_versions import rollback_preview, rule_versions, version_difference
from tests.routing.make import rule, spec, surely


@pytest.fixture
def app(tmp_path: Path) -> App:
    """A home with three versions: a model serves, it serves when sure, and its threshold is void."""
    app = App.open(tmp_path, environ={}, cwd=tmp_path)
    writer, large = Enforcer(app.home), rule("a/large")
    writer.apply([large, rule("a/small")], event="loop", reason="cycle 1")
    sure = rule("a/small", fallback="a/large", serve_when=surely(), spec_id="spec-1")
    writer.apply([large, sure, rule("a/small", when=ToolMatch(names="sql_*"), allow=False)], event="set", reason="by hand")
    writer.void(sure.rule_id, "drift", calibration_id="calibration-1")
    return app


def test_versions_come_newest_first_with_what_they_changed(app: App) -> None:
    """In words, with who made them; requests of the trail between them are passed over."""
    app.enforcer.trail.append_all([AuditEvent("diverted", {"original_model": "a/small", "phase": "extended"})] * 50)
    found = rule_versions(app)
    assert (found.in_force, found.more) == (3, False)
    assert [(one.version, one.cause, one.reason, one.in_force) for one in found.versions] == [
        (3, "void", "drift", True),
        (2, "set", "by hand", False),
        (1, "loop", "cycle 1", False),
    ]
    (void,) = found.versions[0].changes
    assert (void.kind, void.before, void.after) == (
        "changed",
        "may serve every request, and escalates to a/large when unsure",
        "escalates every request to a/large, since its threshold is void",
    )
    assert [(one.kind, one.about) for one in found.versions[1].changes] == [
        ("changed", "a/small extended"),
        ("added", "a/small extended, sql_* tools"),
    ]


def test_versions_are_paged_and_of_one_model(app: App) -> None:
    """A page says whether there are older ones."""
    page = rule_versions(app, newer_than_first=1, most=1)
    assert ([one.version for one in page.versions], page.more) == ([2], True)
    mine = rule_versions(app, about=("a/large", "extended"))
    assert [(one.version, len(one.changes)) for one in mine.versions] == [(1, 1)]
    assert rule_versions(app, about=("a/none", "extended")).versions == ()


def test_two_versions_differ_as_their_rules_do(app: App) -> None:
    """Backwards too; version 0 has no rules; one that is not kept is an error."""
    forth, back = version_difference(app, 1, 3), version_difference(app, 3, 1)
    assert [one.kind for one in forth.changes] == ["changed", "added"]
    assert [one.kind for one in back.changes] == ["changed", "removed"]
    assert (forth.changes[0].before, forth.changes[0].after) == (back.changes[0].after, back.changes[0].before)
    assert version_difference(app, 2, 2).changes == ()
    assert {one.kind for one in version_difference(app, 0, 1).changes} == {"added"}
    with pytest.raises(UsageError, match="version 9 is not kept"):
        version_difference(app, 1, 9)


def test_an_empty_home_has_no_versions(tmp_path: Path) -> None:
    """And looking makes nothing."""
    app = App.open(tmp_path / "none", environ={}, cwd=tmp_path)
    assert rule_versions(app).versions == ()
    assert rollback_preview(app, 0).changes == ()
    assert not (tmp_path / "none").exists()


async def test_a_preview_tells_what_the_rollback_then_does(tmp_path: Path) -> None:
    """The rules, what the next cycle starts from, and warm-ups that are not recommended again."""
    app = App.open(tmp_path, environ={}, cwd=tmp_path)
    old, new = spec("a/m", variant="old"), spec("a/m", variant="new")
    app.enforcer.apply([rule("a/m", spec_id=old.spec_id, variant=old.variant)], event="loop")
    app.enforcer.apply([rule("a/m", spec_id=new.spec_id, variant=new.variant, warm_up=True)], event="loop")
    at = {"model": "a/m", "phase": "extended", "at": "2026"}
    await app.ledger.append(
        [old, new, Baseline(baseline_id="b", spec_id=new.spec_id, previous_spec_id=old.spec_id, source="promotion", **at)]
    )
    seen = rollback_preview(app, 1)
    assert seen.in_force == 2
    assert [(one.before, one.after) for one in seen.starts] == [("new", "old")]
    assert seen.warm_ups == (("a/m", "extended"),)
    assert seen.changes == version_difference(app, 2, 1).changes
    assert len(list(app.ledger.read(Baseline))) == 1  # nothing was written
    config = await roll_back(app, 1, seen.in_force)
    assert config.version == 3
    assert [one.spec_id for one in app.ledger.read(Baseline)][-1] == old.spec_id
    assert {ban.kind for ban in bans_in_force(app)} == {"variant", "warm_up"}
    assert next(iter(app.ledger.read(Spec, {"id": old.spec_id}))) == old
    app.release()


async def test_a_rollback_from_other_rules_than_were_seen_changes_nothing(app: App) -> None:
    """Neither rules nor baselines."""
    with pytest.raises(StoreError, match="the rules were changed meanwhile"):
        await roll_back(app, 1, 2)
    assert app.enforcer.load().version == 3
