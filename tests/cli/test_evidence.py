"""What the command line says when the ledger, or what is written from it, was changed by another hand."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from selfopt.ledger import open_ledger
from selfopt.records import Evaluation

from .world import Project


@pytest.fixture
def used(project: Project) -> Project:
    """A home with two measurements, recommendations, rules and a trail."""
    project.ok("supervise", "mute", "extended", "--runs", "3")
    project.ok("supervise", "good", "extended", "--runs", "3")
    project.ok("feedback")
    project.ok("enforce")
    return project


def shell(project: Project, statement: str) -> None:
    """Do what a person with an SQL shell does."""
    connection = sqlite3.connect(project.home / "ledger.sqlite3")
    assert connection.execute(statement).rowcount
    connection.commit()
    connection.close()


CHANGES = {
    "verdicts turned to pass": ("UPDATE records SET body = replace(body, '\"missed\"', '\"pass\"') WHERE kind = 'verdict'", "verdict verdict-", "changed"),
    "figures raised": ("UPDATE records SET body = replace(body, '\"n_runs\":3', '\"n_runs\":9') WHERE kind = 'evaluation'", "evaluation eval-", "changed"),
    "trials deleted": ("DELETE FROM records WHERE kind = 'trial'", "trial trial-", "missing"),
    "evaluations deleted": ("DELETE FROM records WHERE kind = 'evaluation'", "evaluation eval-", "missing"),
    "recommendations deleted": ("DELETE FROM records WHERE kind = 'recommendation'", "recommendation rec-", "missing"),
    "texts deleted": ("DELETE FROM blobs", "blob ", "missing"),
    "one text changed": ("UPDATE blobs SET codec = 0, data = x'41'", "blob ", "changed"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_ledger_is_named_by_every_command_that_shows_it(used: Project, change: str) -> None:
    """`audit verify`, `audit trace` and `report` exit 100 with the kind and the id, `doctor` says FAIL."""
    statement, name, what = CHANGES[change]
    shell(used, statement)
    for command in (("audit", "verify"), ("audit", "trace", "mute", "extended"), ("report",)):
        result = used.run(*command)
        assert result.code == 100, command
        assert any(name in line and what in line for line in result.out.splitlines()), command
        assert "NOT" in result.out
    assert "FAIL  ledger" in used.run("doctor").out
    for file in ("SELF_OPTIMIZING_REPORT.md", "SELF_OPTIMIZING_REPORT.html"):
        report = (used.home / "reports" / file).read_text("utf-8")
        assert report.index("Changed evidence") < report.index("The ledger is not what was committed to it.")
        assert "**" not in report  # the page has no words in bold
    assert json.loads((used.home / "meta_loop_history.json").read_text("utf-8"))["faults"][0]["what"] in ("changed", "missing")
    faults = used.run("audit", "trace", "mute", "extended", "--json").json()["faults"]
    assert {fault["what"] for fault in faults} == {what}


def test_a_sound_ledger_says_so_everywhere(used: Project) -> None:
    """No fault, exit 0, and nothing about faults in what people read."""
    assert "the ledger verifies: " in used.ok("audit", "verify").out
    assert used.ok("audit", "verify", "--json").json()["ledger"]["unsealed"] == 0
    assert used.ok("audit", "trace", "mute", "extended", "--json").json()["faults"] == []
    used.ok("report")
    assert "committed" not in (used.home / "reports" / "SELF_OPTIMIZING_REPORT.md").read_text("utf-8")
    assert "ok    ledger" in used.run("doctor").out


def _gone(home: Path) -> None:
    (home / "ledger.sqlite3").unlink()


def _another(home: Path) -> None:
    shutil.rmtree(home / "other", ignore_errors=True)
    _gone(home)
    open_ledger(home / "ledger.sqlite3").close()


@pytest.mark.parametrize("take", [_gone, _another])
def test_a_missing_or_exchanged_ledger_is_named(used: Project, take: Callable[[Path], None]) -> None:
    """With what the trail sealed of it; nothing is enforced on it, and looking makes no new one."""
    take(used.home)
    there = (used.home / "ledger.sqlite3").exists()
    verified = used.run("audit", "verify")
    assert verified.code == 100
    assert "missing: the audit trail sealed" in verified.out
    assert "FAIL  ledger" in used.run("doctor").out
    assert used.run("audit", "trace", "mute", "extended").code == 100
    assert (used.home / "ledger.sqlite3").exists() is there


REFUSED = {
    "feedback and enforce": ("enforce",),
    "decide": ("decide", "good", "extended"),
    "loop": ("loop", "--baseline", "good extended native_api", "--cycles", "1"),
}


@pytest.mark.parametrize("verb", REFUSED)
def test_nothing_is_decided_on_changed_evidence(used: Project, verb: str) -> None:
    """Exit 1 with the id; the rules stay as they were."""
    used.ok("supervise", "good", "extended", "native_parsed", "--runs", "3")
    if verb == "loop":
        used.ok(*REFUSED[verb])
    before = (used.home / "routing_config.json").read_bytes()
    kinds = "('baseline')" if verb == "loop" else "('evaluation')"
    shell(used, f"UPDATE records SET body = body || ' ' WHERE kind IN {kinds}")
    result = used.run(*REFUSED[verb])
    result.assert_refused(1, "the evidence is not what was committed: ")
    assert "changed" in result.err
    assert (used.home / "routing_config.json").read_bytes() == before


@pytest.mark.parametrize("kind", ["baseline", "decision", "evaluation"])
def test_nothing_is_decided_where_a_condition_was_taken_away(used: Project, kind: str) -> None:
    """An earlier decision that is gone would give back what it spent; a measurement that is gone, another result."""
    loop = REFUSED["loop"]
    used.ok(*loop)
    shell(used, f"DELETE FROM records WHERE seq = (SELECT max(seq) FROM records WHERE kind = '{kind}')")
    for command in (loop, REFUSED["decide"]):
        result = used.run(*command)
        result.assert_refused(1, "the evidence is not what was committed: ")
        assert f"{kind} " in result.err
        assert "missing" in result.err


def test_a_forged_record_is_no_evidence(used: Project) -> None:
    """An evaluation that no writer committed makes no decision."""
    shell(
        used,
        "INSERT INTO records (kind, id, at, body) SELECT kind, 'eval-forged', at, replace(body, id, 'eval-forged') FROM records "
        "WHERE kind = 'evaluation' LIMIT 1",
    )
    shell(used, "INSERT INTO record_index SELECT i.value, i.kind, i.field, (SELECT max(seq) FROM records) FROM record_index i "
          "JOIN records r ON r.seq = i.seq WHERE r.kind = 'evaluation' AND r.seq = (SELECT min(seq) FROM records WHERE kind = 'evaluation')")  # fmt: skip
    assert "evaluation eval-forged added" in used.run("audit", "verify").out
    ledger = open_ledger(used.home / "ledger.sqlite3")
    assert "eval-forged" in {e.evaluation_id for e in ledger.read(Evaluation)}
    ledger.close()


def _feedback(project: Project) -> Path:
    return project.home / "harness_feedback.json"


def test_the_feedback_file_shows_recommendations_and_makes_none(used: Project) -> None:
    """A changed or an added one is refused by its id; a file that is named is taken at its word, and the trail says so."""
    body = json.loads(_feedback(used).read_text("utf-8"))
    assert "written from the ledger" in body["rendering"]
    first = body["recommendations"][0]
    for forged in ({**first, "allow": True, "action": "allow"}, {**first, "id": "rec-forged"}):
        _feedback(used).write_text(json.dumps({**body, "recommendations": [forged]}), "utf-8")
        used.run("enforce").assert_refused(1, forged["id"])
        assert "harness_feedback.json" in used.run("audit", "verify").out
    used.ok("routes", "rollback", "0")
    used.ok("enforce", "--input", str(_feedback(used)))
    causes = [r["details"].get("cause_reason", "") for r in used.ok("audit", "show", "--json").json()]
    assert any("a file that was named" in cause for cause in causes)
    used.ok("feedback")
    assert "harness_feedback.json" not in used.ok("audit", "verify").out


def test_changed_renderings_are_named_and_written_anew(used: Project) -> None:
    """History, results and the readable log: a note, not a failure; the next `report` writes what the ledger says."""
    used.ok("loop", "--baseline", "good extended native_api", "--cycles", "1")
    history, results = used.home / "meta_loop_history.json", used.home / "reports" / "CYCLE_1_RESULTS.json"
    for path in (history, results):
        path.write_text(path.read_text("utf-8").replace('"trials": ', '"trials": 9'), "utf-8")
    log = used.home / "routing_decisions.log"
    log.write_text(log.read_text("utf-8").replace("rule_added", "rule_adden"), "utf-8")
    told = used.ok("audit", "verify", "--json").json()["renderings"]
    assert sorted(told) == ["meta_loop_history.json", "reports/CYCLE_1_RESULTS.json", "routing_decisions.log"]
    assert "no decision reads these files" in used.ok("audit", "verify").out
    used.ok("report")
    assert used.ok("audit", "verify", "--json").json()["renderings"] == ["routing_decisions.log"]


def test_a_rendering_of_an_older_selfopt_is_none_that_was_changed(used: Project) -> None:
    """Results without the words that say what they are."""
    used.ok("loop", "--baseline", "good extended native_api", "--cycles", "1")
    for path in (used.home / "meta_loop_history.json", used.home / "reports" / "CYCLE_1_RESULTS.json"):
        body = json.loads(path.read_text("utf-8"))
        del body["rendering"]
        path.write_text(json.dumps(body), "utf-8")
    assert used.ok("audit", "verify", "--json").json()["renderings"] == []


def test_show_names_what_is_not_as_it_was_committed(used: Project) -> None:
    """A verdict that was turned, above what it says."""
    shell(used, "UPDATE records SET body = replace(body, '\"missed\"', '\"pass\"') WHERE kind = 'verdict'")
    connection = sqlite3.connect(used.home / "ledger.sqlite3")
    [trial] = connection.execute("SELECT id FROM records WHERE kind = 'trial' ORDER BY seq LIMIT 1").fetchone()
    connection.close()
    result = used.run("show", trial)
    assert result.code == 100
    assert "NOT what was committed: verdict verdict-" in result.out
    assert used.run("show", trial, "--json").json()["faults"][0]["what"] == "changed"


def test_a_change_of_rules_seals_its_evidence_first(used: Project) -> None:
    """The seal stands before the rule in the trail; a trail that cannot be written stops both."""
    events = [r["event"] for r in used.ok("audit", "show", "--all", "--last", "500", "--json").json()]
    assert events.index("rule_added") > events.index("ledger_sealed")
    assert "ledger_sealed" not in [r["event"] for r in used.ok("audit", "show", "--json").json()]


def test_hidden_characters_are_escaped_in_every_json_that_is_written(project: Project) -> None:
    """A model whose name holds U+202E: no file of the home and no output has it raw."""
    script = (project.root / "script.yaml").read_text("utf-8")
    project.write("script.yaml", script.replace("  mute:", '  "mu\\u202ete":', 1))
    name = "scripted/mu\u202ete"
    project.ok("supervise", name, "extended", "--runs", "3")
    project.ok("supervise", "good", "extended", "--runs", "3")
    project.ok("feedback")
    project.ok("enforce")
    project.ok("loop", "--baseline", f"{name} extended native_api", "--cycles", "1")
    project.ok("report")
    files = [p for p in project.home.rglob("*") if p.suffix in (".json", ".jsonl", ".log", ".md", ".html")]
    assert len(files) > 6
    assert [p.name for p in files if "\u202e" in p.read_text("utf-8")] == []
    assert any("\\u202e" in p.read_text("utf-8") for p in files if p.name == "harness_feedback.json")
