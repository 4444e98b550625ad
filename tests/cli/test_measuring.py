"""`run` and `supervise`: what is measured, printed, routed, continued."""

from __future__ import annotations

import json

import pytest

from .world import Project


def test_run_prints_figures_rows_and_why_something_failed(project: Project) -> None:
    """Accuracy beside both trivial policies, one row per prompt, and a trial to look at for each sort of failure."""
    result = project.ok("run", "mute", "atomic")
    for words in ("scripted/mute atomic", "silent", "always", "A1, A2: missed: no tool call", "selfopt show "):
        assert words in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_run_json_is_the_whole_result_and_nothing_else(project: Project) -> None:
    """One document with route, evaluation and verdicts on standard output."""
    body = project.ok("run", "good", "atomic", "--json").json()
    assert body["status"] == "complete"
    assert body["served_by"] == body["requested_model"] == "scripted/good"
    assert body["evaluation"]["metrics"]["accuracy"] == 1.0
    assert [v["outcome"] for v in body["verdicts"]] == ["pass"] * 3
    assert body["route"]["outcome"] == "allow"


def test_flags_override_and_are_recorded(project: Project) -> None:
    """Every flag of `run` reaches the spec, and the run says what was overridden."""
    from selfopt.records import Run, Spec
    from selfopt.wiring.app import App

    flags = ["--timeout", "2.5", "--retries", "3", "--isolate", "--limit", "2", "--split", "search", "--enable-warmup"]
    body = project.ok("run", "good", "atomic", "restrained", *flags, "--json").json()
    app = App.open()
    spec = next(app.ledger.read(Spec, {"id": body["spec_id"]}))
    run = next(app.ledger.read(Run, {"id": body["run_ids"][0]}))
    app.release()
    assert (spec.timeout_s, spec.retries, spec.isolate, spec.split, spec.variant.name) == (2.5, 3, True, "search", "restrained")
    assert spec.warm_up.enabled
    assert run.overrides == ("variant", "split", "warm_up", "timeout_s", "retries", "isolate", "limit")
    assert len(run.prompt_ids) == 2
    assert body["warm_up"]["status"] == "complete"


def test_a_flag_is_also_an_environment_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """SELFOPT_RUN_LIMIT=1 is --limit 1; what is typed wins."""
    monkeypatch.setenv("SELFOPT_RUN_LIMIT", "1")
    assert project.ok("run", "good", "atomic", "--json").json()["trials"] == 1
    assert project.ok("run", "good", "atomic", "--limit", "2", "--json").json()["trials"] == 2


def test_the_user_sees_warm_up_complete(project: Project) -> None:
    """The log line comes on standard error in exactly these words; the result says how long it took."""
    result = project.ok("supervise", "scripted/cold", "atomic", "--enable-warmup", "--runs", "2", "--timeout", "0.1")
    assert "Warm-up complete" in result.err
    assert "warm-up complete: load 3" in result.out
    assert "PP" in result.out


def test_without_warm_up_a_cold_model_fails_and_nothing_is_wrong_with_the_command(project: Project) -> None:
    """All prompts `loading` is a measurement, not an error: exit 0, rows FFP over three runs."""
    body = project.ok("supervise", "scripted/cold", "atomic", "--runs", "3", "--timeout", "0.05", "--json").json()
    outcomes = [row["outcomes"] for row in body["evaluation"]["rows"]]
    assert outcomes == [["loading", "loading", "pass"]] * 3


def test_the_user_sees_where_a_request_was_routed(project: Project) -> None:
    """A disabled model is served by its fallback: log line, result, audit record and the requested model in the run."""
    project.ok("routes", "set", "mute", "extended", "--deny", "--fallback", "good", "--reason", "mute")
    result = project.ok("run", "mute", "extended")
    assert "Routed from scripted/mute to scripted/good" in result.err
    assert "served by scripted/good, because scripted/mute may not serve extended (mute)" in result.out
    assert "audited as " in result.out
    body = project.ok("run", "mute", "extended", "--json").json()
    assert (body["requested_model"], body["served_by"]) == ("scripted/mute", "scripted/good")
    assert [r["event"] for r in project.ok("audit", "show", "--json").json()][-2:] == ["diverted", "diverted"]


def test_a_model_without_a_fallback_is_refused(project: Project) -> None:
    """Exit 1, one line with the reason and the way round it; nothing is measured; the refusal is audited."""
    project.ok("routes", "set", "mute", "extended", "--deny")
    refused = project.run("run", "mute", "extended")
    refused.assert_refused(1, "scripted/mute may not serve extended", "--force-model")
    assert refused.err.count("may not serve") == 1
    assert not (project.home / "ledger.sqlite3").exists()
    assert project.ok("audit", "show", "--json").json()[-1]["event"] == "refused"


def test_force_model_measures_it_and_is_logged_in_the_trail(project: Project) -> None:
    """--force-model measures exactly the named model, and the trail says that it was forced."""
    project.ok("routes", "set", "mute", "extended", "--deny", "--fallback", "good")
    result = project.ok("run", "mute", "extended", "--force-model")
    assert "measured anyway (forced: " in result.out
    record = project.ok("audit", "show", "--json").json()[-1]
    assert (record["event"], record["original_model"], record["phase"]) == ("forced", "scripted/mute", "extended")
    body = project.ok("run", "mute", "extended", "--force-model", "--json").json()
    assert body["served_by"] == "scripted/mute"
    assert body["audit_hash"]


def test_a_cap_stops_it_and_the_same_command_continues(project: Project) -> None:
    """--max-trials ends it with exit 1 and keeps what is there; the next call takes it over."""
    stopped = project.run("supervise", "good", "atomic", "--runs", "3", "--max-trials", "4")
    assert stopped.code == 1
    assert "stopped: " in stopped.out
    body = project.ok("supervise", "good", "atomic", "--runs", "3", "--json").json()
    assert (body["resumed"], body["trials"]) == (4, 5)
    fresh = project.ok("supervise", "good", "atomic", "--runs", "3", "--fresh").out
    assert "9 trials" in fresh
    assert project.run("run", "good", "extended", "--max-trials", "1").out.startswith("stopped: ")


def test_a_run_that_goes_on_with_other_concurrency_says_that_latencies_are_mixed(project: Project) -> None:
    """As a fact of the evaluation and in words; the same concurrency says nothing."""
    first = ("supervise", "good", "atomic", "--runs", "3", "--max-trials", "4", "--concurrency", "1")
    project.run(*first)
    again = project.ok("supervise", "good", "atomic", "--runs", "3", "--concurrency", "3")
    assert "the latencies mix runs of 1 and 3 requests at once" in again.out
    project.run(*first, "--fresh")
    whole = project.ok("supervise", "good", "atomic", "--runs", "3", "--concurrency", "3", "--json").json()["evaluation"]
    assert whole["concurrencies"] == [1, 3]
    project.run(*first, "--fresh")
    assert "mix runs" not in project.ok("supervise", "good", "atomic", "--runs", "3", "--concurrency", "1").out


def test_what_was_taken_over_is_said(project: Project) -> None:
    """The text names the trials of the interrupted call."""
    project.run("supervise", "good", "atomic", "--runs", "2", "--max-trials", "4")
    assert "taken over from an interrupted call" in project.ok("supervise", "good", "atomic", "--runs", "2").out


def test_sampling_stops_repeating_what_is_deterministic(project: Project) -> None:
    """--sampling makes one pass and a sample of it instead of seven."""
    body = project.ok("supervise", "good", "atomic", "--sampling", "--json").json()
    assert body["evaluation"]["determinism"] == "sampled"
    assert body["trials"] == 5


def test_validate_warm_up_shows_before_after_first_call_and_rows(project: Project) -> None:
    """Cold against warm, the reports written, the results file with the specification's keys."""
    arguments = ("supervise", "scripted/cold", "atomic", "--validate-warm-up", "--runs", "2", "--timeout", "0.1")
    result = project.ok(*arguments)
    for words in (
        "without",
        "with warm-up",
        "first call",
        "variance between runs",
        "improvement +",
        "WARM_UP_VALIDATION_RESULTS",
    ):
        assert words in result.out
    assert "Warm-up complete" in result.err
    body = project.ok(*arguments, "--json").json()
    assert body["validation"]["forced_unload"] is True
    assert body["validation"]["after"] == 1.0
    assert body["validation"]["before"] < 1.0
    results = (project.home / "reports" / "WARM_UP_VALIDATION_RESULTS.json").read_text("utf-8")
    assert all(f'"{key}"' in results for key in ("before", "after", "improvement", "variance", "pattern"))


def test_four_runs_confirm_a_warm_up_in_command_results_reports_rule_and_findings(project: Project) -> None:
    """Before: "not confirmed yet" with the command to run; after it: confirmed, with its Bayes factor, everywhere."""
    project.ok("supervise", "scripted/cold", "atomic", "--runs", "5", "--timeout", "0.1")
    assert "not confirmed yet: run selfopt supervise" in " ".join(project.ok("feedback").out.split())
    findings = json.loads((project.home / "harness_feedback.json").read_text("utf-8"))["findings"]
    (named,) = [f["prompt_ids"] for f in findings if f["type"] == "cold_start" and f["figures"]["case"] == "accuracy"]
    project.ok("enforce")
    (before,) = project.ok("routes", "show", "--json").json()["rules"]
    assert before["warm_up"]
    assert "not confirmed yet: run selfopt supervise scripted/cold atomic --validate-warm-up --runs 4" in before["reason"]
    shown = project.ok("supervise", "scripted/cold", "atomic", "--validate-warm-up", "--runs", "4", "--timeout", "0.1").out
    assert "that warm-up helps is confirmed (Bayes factor " in " ".join(shown.split())
    reports = project.home / "reports"
    details = json.loads((reports / "WARM_UP_VALIDATION_RESULTS.json").read_text("utf-8"))["details"]["experiment"]
    assert details["outcomes_confirmed"]
    assert sorted(details["tested"]) == sorted(named), "the experiment is about the prompts that the finding named"
    assert details["cold_runs"] == details["warm_runs"] == details["unloads"] == 4
    assert "## Warm-Up Effectiveness: Confirmed\n" in (reports / "META_LEARNINGS.md").read_text("utf-8")
    assert "That warm-up helps is confirmed (Bayes factor" in (reports / "SELF_OPTIMIZING_REPORT.md").read_text("utf-8")
    assert f"confirmed (Bayes factor {details['bayes_factor']}" in " ".join(project.ok("feedback").out.split())
    project.ok("enforce")
    (after,) = project.ok("routes", "show", "--json").json()["rules"]
    assert f"confirmed (Bayes factor {details['bayes_factor']}" in after["reason"]
    assert "not confirmed yet" not in after["reason"]


def test_a_validation_that_was_cut_off_is_continued(project: Project) -> None:
    """A cap leaves it open; the same command goes on with the same runs."""
    arguments = ("supervise", "scripted/cold", "atomic", "--validate-warm-up", "--runs", "2", "--timeout", "0.1")
    stopped = project.run(*arguments, "--max-trials", "9")
    assert stopped.code == 1
    assert "stopped: " in stopped.out
    body = project.ok(*arguments, "--json").json()
    runs = [r["run_id"] for arm in ("cold", "warm") for r in body["validation"][arm]["runs"]]
    assert len(runs) == 4
    from selfopt.records import Run, Trial
    from selfopt.wiring.app import App

    app = App.open()
    whole = {r.run_id for r in app.ledger.read(Run)}
    trials = sum(1 for run in whole for _ in app.ledger.read(Trial, {"run_id": run}))
    app.release()
    assert trials == 12


def test_a_validation_follows_the_rules(project: Project) -> None:
    """A disabled model is not validated; its fallback is."""
    project.ok("routes", "set", "scripted/cold", "atomic", "--deny", "--fallback", "good")
    body = project.ok("supervise", "scripted/cold", "atomic", "--validate-warm-up", "--runs", "1", "--json").json()
    assert body["validation"]["model"] == "scripted/good"
    assert body["route"]["outcome"] == "fallback"


def test_a_model_that_cannot_be_unloaded_is_said_to_be_warm_in_both_arms(project: Project) -> None:
    """Without a forced unload the comparison says little, and so does the command."""
    project.write("script.yaml", "models: {stuck: {can_unload: false, default: {text: x}}}")
    result = project.ok("supervise", "scripted/stuck", "atomic", "--validate-warm-up", "--runs", "1")
    assert "could NOT be unloaded" in result.out


def test_validate_warm_up_refuses_contradictions(project: Project) -> None:
    """It measures both arms: flags that choose one are a usage error."""
    for flag in ("--enable-warmup", "--no-warmup", "--sampling"):
        project.run("supervise", "good", "atomic", "--validate-warm-up", flag).assert_refused(2, "--validate-warm-up")
    project.run("supervise", "good", "atomic", "--validate-warm-up", "--max-trials", "1").assert_refused(2, "max_trials")


def test_the_reports_name_the_command_that_validates_warm_up() -> None:
    """The hint of the reports is the command that exists."""
    from selfopt.report.summary import RUN_WARM_UP

    assert "selfopt supervise MODEL PHASE --validate-warm-up" in RUN_WARM_UP


def test_only_one_supervisor_at_a_time_and_its_owner_is_named(project: Project) -> None:
    """A live owner of the lock is named with its pid; exit 1."""
    import os

    from selfopt.home import Home, ProcessLock

    home = Home(project.home).ensure()
    with ProcessLock(home.lock)("supervise"):
        project.run("run", "good", "atomic").assert_refused(1, f"process {os.getpid()}", "supervise")
        assert "held by process" in project.ok("doctor").out
