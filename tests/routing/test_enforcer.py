"""Changing the rules: audited first, versioned, atomic, reversible."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from selfopt.errors import AuditError, CorruptError, LockedError, NewerSchemaError, StoreError, UsageError
from selfopt.home import Home, guarded
from selfopt.records import Rule
from selfopt.routing import STEPS, Enforcer, read_config, rule_id_of
from selfopt.routing import enforcer as enforcer_module

from .make import advice, rule, spec, warm_up_advice


def effects(rules: tuple[Rule, ...]) -> list[Rule]:
    return [r.model_copy(update={"since_version": 0}) for r in rules]


def test_a_fresh_home_has_no_rules_and_reading_writes_nothing(enforcer: Enforcer) -> None:
    """Version 0, no rules, no file."""
    assert (enforcer.load().version, enforcer.load().rules) == (0, ())
    assert enforcer.history() == ()
    assert enforcer.verify().ok
    assert not enforcer.home.root.exists()


def test_a_change_is_audited_versioned_and_in_force(enforcer: Enforcer) -> None:
    """One audit record per changed rule with before, after and version; the version file equals the configuration."""
    first = enforcer.enforce([advice(1, "a/1", fallback="a/2"), advice(2, "a/3")], reason="cycle 1")
    second = enforcer.enforce([warm_up_advice(3, "a/1"), advice(4, "a/4", action="allow")], reason="cycle 2")
    assert (first.version, second.version) == (1, 2)
    assert read_config(enforcer.home.routing_config) == second == enforcer.load()
    assert (enforcer.home.routing_versions / "2.json").read_text() == enforcer.home.routing_config.read_text()
    records = list(enforcer.trail.records())
    assert [(r.event, r.original_model, r.config_version) for r in records] == [
        ("rule_added", "a/1", 1), ("rule_added", "a/3", 1), ("rule_changed", "a/1", 2), ("rule_added", "a/4", 2),
    ]  # fmt: skip
    assert second.audit_hash == records[-1].hash
    assert records[2].details["before"]["warm_up"] is False
    assert records[2].details["after"]["warm_up"] is True
    assert records[2].details["after"]["since_version"] == 2
    assert records[0].evidence == ("rec-1", "run-1")
    assert [r.since_version for r in second.rules] == [2, 1, 2]
    assert enforcer.verify().ok
    for path in (enforcer.home.routing_config, enforcer.home.routing_versions / "1.json", enforcer.home.audit_log):
        assert path.stat().st_mode & 0o777 == 0o600


def test_unchanged_rules_make_no_version(enforcer: Enforcer) -> None:
    """The same advice again: nothing is written."""
    enforcer.enforce([advice(1, "a/1")])
    before = enforcer.home.audit_trail.read_bytes()
    assert enforcer.enforce([advice(2, "a/1")]).version == 1
    assert enforcer.apply(enforcer.load().rules).version == 1
    assert enforcer.home.audit_trail.read_bytes() == before


def test_the_steps_come_in_their_order(home: Home) -> None:
    """Audit before version before configuration; the configuration is old until the rename."""
    seen: list[tuple[str, int]] = []
    watched = Enforcer(home, on_step=lambda step: seen.append((step, Enforcer(home).load(repair_pending=False).version)))
    watched.set_rule("a/1", "atomic", allow=False)
    assert seen == [("locked", 0), ("audit_written", 0), ("version_written", 0), ("config_renamed", 1), ("read_back", 1)]
    assert tuple(step for step, _ in seen) == STEPS


def test_a_removed_rule_is_audited(enforcer: Enforcer) -> None:
    """`rule_removed` with what stood there."""
    enforcer.set_rule("a/1", "atomic", allow=False)
    assert enforcer.apply([], event="clear").rules == ()
    record = next(enforcer.trail.newest_first())
    assert (record.event, record.details["after"]) == ("rule_removed", None)
    assert record.details["before"]["allow"] is False


def test_a_rollback_restores_the_exact_rules_as_a_new_version(enforcer: Enforcer) -> None:
    """Rules, reasons and evidence of the old version; 0 means none; an unknown version is named."""
    one = enforcer.enforce([advice(1, "a/1", fallback="a/2")], promoted={("a/2", "extended"): spec("a/2")})
    enforcer.set_rule("a/1", "extended", allow=True)
    back = enforcer.rollback(1)
    assert back.version == 3
    assert effects(back.rules) == effects(one.rules)
    assert enforcer.rollback(0).rules == ()
    with pytest.raises(UsageError, match=r"version 9 is not kept; kept are: 1, 2, 3, 4"):
        enforcer.rollback(9)
    entries = enforcer.history()
    assert [(e.version, e.cause, e.in_force) for e in entries] == [
        (1, "enforce", False), (2, "set", False), (3, "rollback", False), (4, "rollback", True),
    ]  # fmt: skip
    assert entries[2].reason == "to version 1"
    assert enforcer.verify().ok


def test_setting_by_hand_keeps_variant_and_pins_the_verdict(enforcer: Enforcer) -> None:
    """Manual allow and fallback survive later recommendations; variant and limits stay."""
    enforcer.enforce([], promoted={("a/1", "extended"): spec("a/1", warm_up=True)})
    enforcer.set_rule("a/1", "extended", allow=False, fallback="a/2", warm_up=False)
    made = enforcer.enforce([advice(1, "a/1", action="allow", allow=True)]).rule_for("a/1", "extended")
    assert made is not None
    assert (made.allow, made.fallback, made.warm_up, made.source) == (False, "a/2", False, "manual")
    assert made.variant == spec("a/1").variant


def test_impossible_rules_are_refused_before_anything_is_written(enforcer: Enforcer) -> None:
    """Circles, doubles, foreign ids, empty names: UsageError, no trail."""
    circle = [rule("a/1", allow=False, fallback="a/2"), rule("a/2", allow=False, fallback="a/1")]
    for rules, said in (
        (circle, "circle"),
        ([rule("a/1", fallback="a/1")], "circle"),
        ([rule("a/1"), rule("a/1")], "two rules"),
        ([rule("a/1").model_copy(update={"rule_id": "x"})], "rule_id"),
        ([rule("")], "empty"),
    ):
        with pytest.raises(UsageError, match=said):
            enforcer.apply(rules)
    assert not enforcer.home.audit_trail.exists()
    enforcer.set_rule("a/1", "atomic", allow=False, fallback="a/2")
    with pytest.raises(UsageError, match="circle"):
        enforcer.set_rule("a/2", "atomic", allow=False, fallback="a/1")


def test_a_failed_audit_write_blocks_the_change(enforcer: Enforcer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No audit record: no version, no configuration."""
    enforcer.set_rule("a/1", "atomic", allow=True)
    before = enforcer.home.routing_config.read_bytes()

    def failing(_: object) -> None:
        raise AuditError("no space")

    monkeypatch.setattr(enforcer.trail, "append_all", failing)
    with pytest.raises(AuditError):
        enforcer.set_rule("a/1", "atomic", allow=False)
    assert enforcer.home.routing_config.read_bytes() == before
    assert os.listdir(enforcer.home.routing_versions) == ["1.json"]


@pytest.mark.parametrize("failing", ["write_version", "write_config"])
def test_a_change_that_could_not_be_written_is_recorded_as_aborted(
    enforcer: Enforcer, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """StoreError, the old rules stay in force for good, and the number is not used again."""
    enforcer.set_rule("a/1", "atomic", allow=True)

    def full(*_: object) -> None:
        raise StoreError("could not write: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(enforcer_module, failing, full)
        with pytest.raises(StoreError, match="No space"):
            enforcer.set_rule("a/1", "atomic", allow=False)
    assert next(enforcer.trail.newest_first()).event == "version_aborted"
    assert enforcer.load().version == 1
    assert enforcer.set_rule("a/1", "atomic", allow=False).version == 3
    assert [(e.version, e.aborted) for e in enforcer.history()] == [(1, False), (2, True), (3, False)]
    assert enforcer.verify().ok


def test_a_damaged_or_newer_configuration_is_refused_and_kept(enforcer: Enforcer) -> None:
    """Corrupt, not fitting the schema, newer: named, refused for reading and writing, byte for byte as it was."""
    enforcer.set_rule("a/1", "atomic", allow=False)
    path = enforcer.home.routing_config
    for text, error in (
        ("{", CorruptError),
        ("[]", CorruptError),
        ('{"schema_version": 1, "rules": [{"model": "x"}]}', CorruptError),
        ('{"schema_version": 1, "version": "1"}', CorruptError),
        ('{"schema_version": 1, "later": 1}', CorruptError),
        ('{"schema_version": 4}', NewerSchemaError),
    ):
        path.write_text(text)
        with pytest.raises(error, match=r"routing_config\.json"):
            enforcer.load()
        with pytest.raises(error, match=r"routing_config\.json"):
            enforcer.set_rule("a/2", "atomic", allow=True)
        with pytest.raises(error, match=r"routing_config\.json"):
            enforcer.rollback(1)
        assert path.read_text() == text
    assert len(list(enforcer.trail.records())) == 1


def test_a_missing_configuration_is_restored(enforcer: Enforcer) -> None:
    """The file is removed: the version in force comes back, and the trail says so. Rules do not vanish silently."""
    enforcer.set_rule("a/1", "atomic", allow=False)
    config = enforcer.set_rule("a/2", "atomic", allow=False)
    enforcer.home.routing_config.unlink()
    assert enforcer.load(repair_pending=False) == config
    assert not enforcer.home.routing_config.exists()
    assert enforcer.load() == config == read_config(enforcer.home.routing_config)
    assert next(enforcer.trail.newest_first()).event == "version_completed"
    assert enforcer.verify().ok


def test_a_missing_configuration_after_an_abort_is_restored_too(enforcer: Enforcer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest version that was in force comes back, not the aborted one."""
    enforcer.set_rule("a/1", "atomic", allow=False)

    def full(*_: object) -> None:
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr(enforcer_module, "write_config", full)
        with pytest.raises(StoreError):
            enforcer.set_rule("a/1", "atomic", allow=True)
    enforcer.home.routing_config.unlink()
    assert enforcer.load().version == 1
    assert enforcer.verify().ok


def test_lost_rules_that_cannot_be_restored_are_an_error(enforcer: Enforcer) -> None:
    """Configuration gone and trail damaged: serving without rules is not an answer."""
    enforcer.set_rule("a/1", "atomic", allow=False)
    enforcer.home.routing_config.unlink()
    enforcer.home.audit_trail.write_text("garbage\n")
    with pytest.raises(AuditError, match="version 1 of the rules was in force, and the audit trail does not tell of it"):
        enforcer.load()
    enforcer.home.audit_trail.unlink()
    with pytest.raises(AuditError, match="version 1 of the rules was in force"):
        enforcer.load()
    enforcer.home.audit_head.unlink()
    with pytest.raises(AuditError, match="no routing configuration"):
        enforcer.load()


def test_a_damaged_trail_does_not_stop_reading_but_stops_changes(enforcer: Enforcer, caplog: pytest.LogCaptureFixture) -> None:
    """The rules in force still hold, with a warning; no change is made."""
    config = enforcer.set_rule("a/1", "atomic", allow=False)
    with enforcer.home.audit_trail.open("ab") as file:
        file.write(b'{"event":"garbage\n')
    assert enforcer.load() == config
    assert "could not be checked" in caplog.text
    with pytest.raises(AuditError):
        enforcer.set_rule("a/1", "atomic", allow=True)
    assert enforcer.load() == config
    assert enforcer.verify().first_bad_line == 2


def test_rules_that_came_into_a_project_s_home_are_not_in_force(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A `.selfopt` counts where it was made, and a later pull may fill it: nothing unsealed counts there, not even in a fresh one."""
    root = tmp_path / ".selfopt"
    root.mkdir()
    enforcer = Enforcer(Home(root).ensure())
    rule = {"rule_id": rule_id_of("up/good", "atomic"), "model": "up/good", "phase": "atomic", "allow": True}
    (root / "routing_config.json").write_text(json.dumps({"schema_version": 1, "version": 1, "rules": [rule]}))
    assert enforcer.load().rules == ()
    assert "is not in force" in caplog.text
    assert "routes import" in caplog.text
    enforcer.import_file(root / "routing_config.json")
    assert [r.model for r in enforcer.load().rules] == ["up/good"]


def test_rules_that_were_edited_by_hand_are_not_in_force(enforcer: Enforcer, caplog: pytest.LogCaptureFixture) -> None:
    """What was sealed stays in force, whoever reads is told, verify names it, and the edit is left for its author."""
    enforcer.set_rule("a/1", "atomic", allow=False)
    sealed = enforcer.set_rule("a/2", "atomic", allow=False)
    path = enforcer.home.routing_config
    good = path.read_text()
    edited = good.replace('"allow": false', '"allow": true', 1)
    path.write_text(edited)
    assert "edited by hand" in enforcer.verify().reason
    assert enforcer.load() == sealed
    assert "edited by hand" in caplog.text
    assert path.read_text() == edited
    caplog.clear()
    path.write_text(good)
    enforcer.load()
    assert caplog.text == ""
    assert enforcer.verify().ok


@pytest.mark.parametrize("how", ["set", "import", "rollback", "nothing changes"])
def test_an_edit_becomes_a_version_by_import_and_is_never_lost(enforcer: Enforcer, how: str) -> None:
    """`routes import` makes it a version; another change keeps it aside; either way the home verifies afterwards."""
    enforcer.set_rule("a/1", "atomic", allow=False)
    path = enforcer.home.routing_config
    edited = path.read_text().replace('"allow": false', '"allow": true', 1)
    path.write_text(edited)
    if how == "set":
        enforcer.set_rule("a/2", "atomic", allow=False)
    elif how == "import":
        enforcer.import_file(path)
    elif how == "rollback":
        enforcer.rollback(0)
    else:
        enforcer.set_rule("a/1", "atomic", allow=False)
    rule = enforcer.load().rule_for("a/1", "atomic")
    assert rule is None if how == "rollback" else rule is not None and rule.allow is (how == "import")
    assert path.with_name("routing_config.json.aside-1").read_text() == edited
    assert enforcer.verify().ok


def test_a_rule_is_traced_to_all_its_evidence(enforcer: Enforcer) -> None:
    """Through every change, newest first, also after it was removed; an unknown rule is named."""
    enforcer.enforce([advice(1, "a/1")])
    enforcer.enforce([advice(2, "a/1", action="allow", allow=True)])
    enforcer.set_rule("a/1", "extended", allow=False)
    rule_id = rule_id_of("a/1", "extended")
    trace = enforcer.trace(rule_id)
    assert trace.rule is not None
    assert trace.rule.source == "manual"
    assert (trace.recommendation_ids, trace.evidence) == (("rec-2", "rec-1"), ("run-2", "run-1"))
    assert [r.event for r in trace.changes] == ["rule_added", "rule_changed", "rule_changed"]
    enforcer.apply([])
    assert enforcer.trace(rule_id).rule is None
    assert enforcer.trace(rule_id).recommendation_ids == ("rec-2", "rec-1")
    with pytest.raises(UsageError, match="routes show"):
        enforcer.trace("rule-none\x1b")


def test_a_version_expected_and_gone_is_an_error(enforcer: Enforcer) -> None:
    """A plan made on version 1 is not applied over version 2."""
    enforcer.set_rule("a/1", "atomic", allow=False)
    enforcer.set_rule("a/2", "atomic", allow=False)
    with pytest.raises(StoreError, match="changed meanwhile"):
        enforcer.apply([], expected_version=1)
    assert enforcer.apply([], expected_version=2).version == 3


def test_a_busy_writer_is_waited_for_and_then_named(enforcer: Enforcer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer holds the lock: LockedError after the wait, nothing changed."""
    enforcer.home.ensure()
    monkeypatch.setattr(enforcer, "_writing", lambda: guarded(enforcer.home.routing_lock, what="the rules", timeout_s=0.01))
    with guarded(enforcer.home.routing_lock, what="the rules"), pytest.raises(LockedError):
        enforcer.set_rule("a/1", "atomic", allow=False)
    assert not enforcer.home.audit_trail.exists()


def test_a_linked_versions_folder_is_refused(enforcer: Enforcer, tmp_path: Path) -> None:
    """No version is written through a symbolic link out of the home."""
    enforcer.home.root.mkdir()
    enforcer.home.routing_versions.symlink_to(tmp_path)
    with pytest.raises(StoreError, match="symbolic link"):
        enforcer.set_rule("a/1", "atomic", allow=False)
    assert os.listdir(tmp_path) == ["home"]


def test_concurrent_writers_lose_no_rule(home: Home) -> None:
    """Three processes set ten rules each at the same time: thirty versions, thirty rules, one chain."""
    code = """
    import sys
    from pathlib import Path
    from selfopt.home import Home
    from selfopt.routing import Enforcer
    sys.stdin.readline()
    for i in range(10):
        Enforcer(Home(Path(sys.argv[1]))).set_rule(f"a/{sys.argv[2]}-{i}", "atomic", allow=False)
    """
    workers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(home.root), str(n)], stdin=subprocess.PIPE)
        for n in range(3)
    ]
    for worker in workers:
        worker.communicate(b"go\n", timeout=120)
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    enforcer = Enforcer(home)
    assert (enforcer.load().version, len(enforcer.load().rules)) == (30, 30)
    assert enforcer.verify().n == 30
    assert len(home.audit_log.read_text().splitlines()) == 30


def test_the_configuration_on_disk_is_plain_json(enforcer: Enforcer) -> None:
    """Readable by anything, with the documented keys."""
    enforcer.set_rule("a/1", "atomic", allow=False)
    body = json.loads(enforcer.home.routing_config.read_text())
    assert set(body) == {"schema_version", "version", "generated_at", "audit_hash", "rules"}
    assert (body["rules"][0]["model"], body["rules"][0]["allow"]) == ("a/1", False)


def test_a_new_trail_can_be_begun_as_the_manual_says(home: Home, tmp_path: Path) -> None:
    """docs/ROLLBACK.md: everything that belongs to the lost trail is moved aside, and the rules are imported into a new one."""
    enforcer = Enforcer(home)
    enforcer.set_rule("a/1", "atomic", allow=False)
    home.audit_trail.unlink()
    with pytest.raises(AuditError):
        enforcer.set_rule("a/2", "atomic", allow=False)
    aside = tmp_path / "aside"
    aside.mkdir()
    for path in (home.audit_head, home.audit_log, home.routing_versions, home.routing_config):
        path.rename(aside / path.name)
    again = Enforcer(home)
    assert again.load().version == 0
    again.import_file(aside / "routing_config.json")
    assert (again.load().version, len(again.load().rules)) == (1, 1)
    assert again.verify().ok
