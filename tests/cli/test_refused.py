"""What people read where a server says why it refuses."""

from __future__ import annotations

from selfopt.records import Trial
from selfopt.wiring.app import App
from selfopt.words.causes import cause_text

from .world import Project

SAID = "m:latest does not support tools"
REMEDY = cause_text("no_tools")


def test_the_last_line_of_a_run_names_the_cause_and_the_remedy(project: Project) -> None:
    """In the server's words, with what was not asked."""
    result = project.run("run", "scripted/toolless", "atomic")
    result.assert_refused(1, "none of the 3 requests", f"answered 400: {SAID}", REMEDY)


def test_try_names_them_in_one_line(project: Project) -> None:
    """As it asks once."""
    project.run("try", "scripted/toolless", "hello", "--tools", "tools.json").assert_refused(1, SAID, REMEDY)


def test_a_trial_that_was_not_asked_says_why(project: Project) -> None:
    """With more prompts than refusals are needed, the last one was left out."""
    suite = (project.root / "atomic.yaml").read_text("utf-8")
    more = suite.replace("id: A3, kind: greeting", "id: A4, kind: greeting")
    project.write("atomic.yaml", suite + more[more.index("  - {id: A4") :])
    project.run("run", "scripted/toolless", "atomic").assert_refused(1, "3 requests", "so 1 more were not made")
    app = App.open()
    (left_out,) = [trial for trial in app.ledger.read(Trial) if not trial.asked]
    app.release()
    shown = " ".join(project.ok("show", left_out.trial_id).out.split())
    assert left_out.prompt_id == "A4"
    assert "why: not asked, because the server refused requests of this form just before" in shown
    assert f'the server says "400: {SAID}": {REMEDY}' in shown


def test_doctor_names_each_model_that_was_refused(project: Project) -> None:
    """By what was found when it was measured last, without asking again."""
    assert SAID not in project.ok("doctor").out
    project.run("run", "scripted/toolless", "atomic")
    project.ok("feedback")
    (check,) = [c for c in project.ok("doctor", "--json").json() if c["name"] == "model scripted/toolless atomic"]
    assert check["status"] == "note"
    assert SAID in check["detail"]
    assert REMEDY in check["detail"]


def test_a_model_that_answers_nothing_gets_no_agent_score(project: Project) -> None:
    """It stands below those that answered, and its line says why in the server's words."""
    body = project.ok("compare", "scripted/toolless", "mute", "good", "--json").json()
    assert [row["model"] for row in body["rows"]] == ["scripted/good", "scripted/mute", "scripted/toolless"]
    row = body["rows"][-1]
    assert (row["agent_score"], row["call_accuracy"], row["restraint"], row["behind"]) == (None, None, None, None)
    assert (row["faults"], row["cause"]) == (3, "no_tools")
    assert SAID in row["said"]
    shown = " ".join(project.ok("compare", "scripted/toolless", "mute", "good").out.split())
    assert "no score; 3 without a reply" in shown
    assert "scripted/toolless native_api: 3 without a reply: 400: " in shown
    assert SAID in shown
    assert REMEDY in shown


def test_where_nothing_answers_nobody_is_the_best(project: Project) -> None:
    """And a fault without a cause is told as it was."""
    shown = " ".join(project.ok("compare", "scripted/toolless", "scripted/broken").out.split())
    assert "the best; 3 without" not in shown
    assert shown.count("no score; 3 without a reply") == 2
    assert "scripted/broken native_api: 3 without a reply: endpoint scripted (scripted) answered 500" in shown


def test_markdown_takes_nothing_that_a_server_says_for_markup(project: Project) -> None:
    """Its words are escaped like a model's."""
    script = (project.root / "script.yaml").read_text("utf-8")
    project.write("script.yaml", script.replace(SAID, "<b>x</b> does not support tools"))
    shown = project.ok("compare", "scripted/toolless", "--markdown").out
    assert "<b>" not in shown
    assert "does not support tools" in shown


def test_feedback_and_report_say_what_the_server_said(project: Project) -> None:
    """A finding and a remedy of its own, and not a word about the network."""
    project.run("run", "scripted/toolless", "atomic")
    body = project.ok("feedback", "--json").json()
    (finding,) = body["findings"]
    assert (finding["type"], finding["figures"]["cause"], finding["figures"]["refused"]) == ("refused", "no_tools", 3)
    reasons = [r["reason"] for r in body["recommendations"]]
    assert any(SAID in reason for reason in reasons)
    assert not any("the network" in reason for reason in reasons)
    project.ok("enforce")
    assert project.ok("routes", "show", "--json").json()["rules"] == []
