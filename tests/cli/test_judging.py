"""`feedback`, `decide`, `enforce`, `routes`, `audit`, `rescore`, `show`, `report`: from replies to rules and back."""

from __future__ import annotations

import json

import pytest

from .world import Project


@pytest.fixture
def measured(project: Project) -> Project:
    """The mute and the good model measured on extended, the good one also on atomic."""
    for arguments in (("mute", "extended"), ("good", "extended"), ("good", "atomic")):
        project.ok("supervise", *arguments, "--runs", "3")
    return project


def test_feedback_finds_and_recommends(measured: Project) -> None:
    """A mute model is disallowed with the measured fallback; the file is written; the next command is named."""
    result = measured.ok("feedback")
    for words in ("Findings", "capability limit", "disable scripted/mute extended, fallback scripted/good", "selfopt enforce"):
        assert words in result.out
    assert "hot failure: scripted/mute extended E1" in result.out
    body = json.loads((measured.home / "harness_feedback.json").read_text("utf-8"))
    assert {r["action"] for r in body["recommendations"]} >= {"disable", "allow"}
    assert measured.ok("feedback", "--json").json()["recommendations"]


def test_feedback_dry_run_writes_nothing(measured: Project) -> None:
    """--dry-run leaves ledger and home as they are."""
    before = measured.files()
    assert "dry run: nothing was written" in measured.ok("feedback", "--dry-run").out
    assert measured.files() == before


def test_from_feedback_to_rules_to_a_diverted_request(measured: Project) -> None:
    """feedback -> enforce --dry-run -> enforce -> run: the rule is in force, audited, and applied."""
    measured.ok("feedback")
    dry = measured.ok("enforce", "--dry-run")
    assert "+ scripted/mute extended: deny, fallback scripted/good" in dry.out
    assert "dry run: nothing was written" in dry.out
    assert not (measured.home / "routing_config.json").exists()
    done = measured.ok("enforce")
    assert "rules version 1 is in force" in done.out
    assert "nothing to change; rules version 1" in measured.ok("enforce").out
    assert measured.ok("enforce", "--json").json()["version"] == 1
    assert "Routed from scripted/mute to scripted/good" in measured.ok("run", "mute", "extended").err


def test_a_recommendation_that_a_rule_set_by_hand_keeps_out_is_named(measured: Project) -> None:
    """Nothing is passed over silently, and --override-manual applies it."""
    measured.ok("routes", "set", "mute", "extended", "--allow")
    measured.ok("feedback")
    assert "disable scripted/mute extended: not applied, because the rule was set by hand" in " ".join(
        measured.ok("enforce").out.split()
    )
    assert measured.ok("enforce", "--json").json()["not_applied"] == ["disable scripted/mute extended"]
    overridden = measured.ok("enforce", "--override-manual", "--json").json()
    assert overridden["not_applied"] == []
    assert [r["allow"] for r in overridden["rules"] if r["model"] == "scripted/mute"] == [False]


def test_a_variant_tried_once_changes_no_rule(measured: Project) -> None:
    """The fallback is judged as it serves: a variant that does not suit it costs neither it nor the model it replaces a rule."""
    measured.ok("feedback")
    measured.ok("enforce")
    tried = measured.ok("run", "mute", "extended", "atomic", "--json").json()
    assert (tried["served_by"], tried["evaluation"]["metrics"]["call_accuracy"]) == ("scripted/good", 0.0)
    measured.ok("feedback")
    assert "nothing to change" in measured.ok("enforce").out


def test_a_warm_up_that_the_rule_asks_for_is_judged_once_it_was_measured(project: Project) -> None:
    """Served warm, so judged warm: the cold measurement before it is not held against the model for good."""
    project.ok("supervise", "good", "atomic", "--runs", "3")
    project.ok("feedback")
    project.ok("enforce")
    body = project.ok("routes", "show", "--json").json()
    warm = [{**rule, "warm_up": True} for rule in body["rules"]]
    project.write("rules.json", json.dumps({**body, "rules": warm}))
    project.ok("routes", "import", "rules.json")
    project.ok("supervise", "good", "atomic", "--runs", "3")
    (found,) = project.ok("feedback", "--json").json()["recommendations"]
    assert found["requirements"]["warm_up"] is True


def test_decide_explains_every_gate(measured: Project) -> None:
    """The candidate is named with what it changes; a gate's verdict with what it saw; the decisions are kept."""
    measured.ok("supervise", "mute", "extended", "few_shot", "--runs", "3")
    result = measured.said_no("decide", "mute", "extended")
    for words in (
        "baseline: native_api",
        "candidate few_shot: variant native_api -> few_shot",
        "gate",
        "needs",
        "Best candidate",
    ):
        assert words in result.out
    body = measured.said_no("decide", "mute", "extended", "--candidate", "few_shot", "--json").json()
    assert body["decisions"][0]["verdict"] in ("hold", "reject")
    assert body["changes"] == ["variant native_api -> few_shot"]
    same = measured.said_no(
        "decide", "good", "extended", "--candidate", "native_api", "--baseline", "native_api", "--json"
    ).json()
    assert same["changes"] == ["the same spec as the baseline"]


def test_a_kept_decision_is_accounted_for(measured: Project) -> None:
    """In words and in JSON, by the end of its id; nothing is decided anew, nothing else may be named beside it."""
    decision = measured.said_no(
        "decide", "good", "extended", "--candidate", "native_api", "--baseline", "native_api", "--json"
    ).json()
    decision_id = decision["decisions"][0]["decision_id"]
    before = measured.files()
    text = measured.ok("decide", "--explain", decision_id[-10:]).out
    for words in (
        "HOLD native_api",
        "What was claimed",
        "How sure",
        "What the looks cost",
        "What each gate saw",
        "What would change it",
    ):
        assert words in text
    told = measured.ok("decide", "--explain", decision_id, "--json").json()
    assert told["decision"]["decision_id"] == decision_id
    assert told["claim"] == "a"
    assert len(told["gates"]) == len(told["decision"]["gates"])
    assert told["would_change"]
    assert measured.files() == before
    measured.run("decide", "--explain", "decision-nope").assert_refused(2, "no decision has an id like")
    measured.run("decide", "good", "extended", "--explain", decision_id).assert_refused(2, "--explain", "nothing else")
    measured.run("decide", "good").assert_refused(2, "PHASE")
    measured.run("decide").assert_refused(2, "MODEL", "--explain DECISION")


def test_decide_promotes_what_is_better(project: Project) -> None:
    """A parser that reads what the model writes promotes; the panel says so."""
    for variant in ("native_api", "native_parsed"):
        project.ok("supervise", "scripted/writer", "atomic", variant, "--runs", "3")
    result = project.ok("decide", "scripted/writer", "atomic")
    assert "PROMOTE native_parsed" in result.out


def test_a_single_pass_or_a_part_takes_no_known_measurements_place_in_a_decision(project: Project) -> None:
    """What supervise showed to be deterministic is decided on, not the two prompts looked at afterwards, nor a copy of it."""
    for variant in ("native_api", "native_parsed"):
        project.ok("supervise", "scripted/writer", "atomic", variant, "--sampling")
    project.ok("run", "scripted/writer", "atomic", "native_parsed")
    project.ok("run", "scripted/writer", "atomic", "native_parsed", "--limit", "1")
    assert "PROMOTE native_parsed" in project.ok("decide", "scripted/writer", "atomic").out


def test_decide_without_a_baseline_says_so(project: Project) -> None:
    """The first candidate is compared with nothing."""
    project.ok("supervise", "good", "atomic", "restrained", "--runs", "3")
    result = project.ok("decide", "good", "atomic")
    assert "baseline: none was measured" in result.out
    assert "compared with nothing" in result.out


def test_decide_names_what_can_be_chosen(measured: Project) -> None:
    """An unknown candidate, an unknown baseline, nothing but the baseline, nothing measured: usage errors that help."""
    measured.run("decide", "mute", "extended", "--candidate", "nope").assert_refused(2, "'nope'", "native_api")
    measured.run("decide", "mute", "extended", "--baseline", "nope").assert_refused(2, "baseline 'nope'")
    measured.run("decide", "good", "extended").assert_refused(2, "selfopt supervise scripted/good extended VARIANT")


def test_what_needs_measurements_says_how_to_make_some(project: Project) -> None:
    """feedback, decide, report, show, rescore on an empty home: exit 2 and the command to start with."""
    for arguments in (("feedback",), ("decide", "good", "atomic"), ("report",), ("show", "x"), ("rescore", "x")):
        project.run(*arguments).assert_refused(2, "nothing was measured yet", "selfopt run MODEL PHASE")


def test_routes_show_history_set_rollback(project: Project) -> None:
    """A rule set by hand is shown with its reason; history says what changed; rollback restores exactly."""
    assert "rules version 0, 0 rules" in project.ok("routes", "show").out
    assert "no rules were ever in force" in project.ok("routes", "history").out
    shown = project.ok("routes", "set", "mute", "extended", "--deny", "--fallback", "good", "--reason", "by hand").out
    assert "scripted/mute extended: fallback scripted/good" in shown
    assert "by hand" in shown
    first = project.ok("routes", "show", "--json").json()
    project.ok("routes", "set", "mute", "extended", "--allow")
    assert "scripted/mute extended: allow" in project.ok("routes", "show").out
    history = project.ok("routes", "history").out
    assert "version 2 (in force)" in history
    assert "rule changed scripted/mute extended" in history
    project.ok("routes", "rollback", "1")
    back = project.ok("routes", "show", "--json").json()
    assert [(r["model"], r["allow"], r["fallback"]) for r in back["rules"]] == [
        (r["model"], r["allow"], r["fallback"]) for r in first["rules"]
    ]
    assert len(project.ok("routes", "history", "--json").json()) == 3
    project.ok("routes", "rollback", "0")
    assert project.ok("routes", "show", "--json").json()["rules"] == []


def test_routes_import_takes_the_specifications_short_form(project: Project) -> None:
    """The example of the specification, with the aliases of the settings."""
    rules = {
        "rules": [{"model": "mute", "phase": "extended", "allow": False}, {"model": "mute", "phase": "atomic", "allow": True}]
    }
    project.write("rules.json", json.dumps(rules))
    body = project.ok("routes", "import", "rules.json", "--json").json()
    assert {(r["model"], r["phase"], r["allow"]) for r in body["rules"]} == {
        ("scripted/mute", "extended", False),
        ("scripted/mute", "atomic", True),
    }


def test_a_model_that_is_allowed_may_have_a_fallback(project: Project) -> None:
    """It serves on a fault; the rule and what is printed name it."""
    shown = project.ok("routes", "set", "mute", "extended", "--allow", "--fallback", "good").out
    assert "allow, on a fault" in shown
    (rule,) = project.ok("routes", "show", "--json").json()["rules"]
    assert rule["allow"]
    assert rule["fallback"].endswith("good")


def test_routes_refuse_what_makes_no_sense(project: Project) -> None:
    """Neither --allow nor --deny; itself as fallback; unknown version; bad files."""
    project.run("routes", "set", "mute", "extended").assert_refused(2, "--allow or --deny")
    project.run("routes", "set", "mute", "extended", "--deny", "--fallback", "mute").assert_refused(2, "itself")
    project.run("routes", "rollback", "7").assert_refused(2, "7")
    project.run("routes", "import", "nope.json").assert_refused(2, "nope.json")
    project.write("bad.json", "{not json")
    assert project.run("routes", "import", "bad.json").code in (1, 2)
    project.write("unknown.json", '{"rules": [{"model": "mars/rover", "phase": "atomic", "allow": true}]}')
    project.run("routes", "import", "unknown.json").assert_refused(2, "mars/rover")
    assert project.ok("routes", "show", "--json").json()["version"] == 0


def test_fallbacks_in_a_circle_are_refused(project: Project) -> None:
    """A -> B -> A cannot be set."""
    project.ok("routes", "set", "mute", "extended", "--deny", "--fallback", "good")
    project.run("routes", "set", "good", "extended", "--deny", "--fallback", "mute").assert_refused(2, "circle")


def test_audit_shows_verifies_and_traces_down_to_the_replies(measured: Project) -> None:
    """From a rule to recommendation, evaluations, runs and trials, each with the command that shows it."""
    assert "the audit trail is empty" in measured.ok("audit", "show").out
    measured.ok("feedback")
    measured.ok("enforce")
    assert "rule added" in measured.ok("audit", "show", "--last", "2").out
    assert len(measured.ok("audit", "show", "--last", "2", "--json").json()) == 2
    assert "the audit trail verifies" in measured.ok("audit", "verify").out
    assert measured.ok("audit", "verify", "--json").json()["ok"] is True
    traced = measured.ok("audit", "trace", "mute", "extended").out
    for words in (
        "audit records",
        "recommendations",
        "evaluations",
        "runs and their replies",
        "E1    missed         selfopt show ",
    ):
        assert words in traced
    body = measured.ok("audit", "trace", "scripted/mute", "extended", "--json").json()
    assert body["missing"] == []
    assert len(body["trials"]) >= 9
    measured.ok("audit", "trace", body["rule_id"])
    measured.run("audit", "trace", "mute", "atomic").assert_refused(2, "routes show")
    measured.run("audit", "trace", "rule-none").assert_refused(2, "rule-none")
    command = next(line for line in traced.splitlines() if "selfopt show" in line).split("selfopt show ")[1]
    assert "verdict: missed" in measured.ok("show", command).out


def test_a_removed_rule_can_still_be_traced(project: Project) -> None:
    """The trail remembers a rule that is no longer in force."""
    rule_id = project.ok("routes", "set", "mute", "extended", "--deny", "--json").json()["rules"][0]["rule_id"]
    project.ok("routes", "rollback", "0")
    assert "no longer in force" in project.ok("audit", "trace", rule_id).out


def test_show_tells_the_exact_request_reply_calls_verdict_and_why(measured: Project) -> None:
    """By default JSON is spread over lines; --exact is byte by byte; --json has everything."""
    verdicts = measured.ok("run", "good", "atomic", "--json").json()["verdicts"]
    shown = measured.ok("show", verdicts[0]["trial_id"]).out
    for words in ("-- request (answer, attempt 1)", '"content": "weather in Oslo?"', "-- reply (200", "-- expected"):
        assert words in shown
    assert 'get_weather(city="Oslo" or "Oslo, Norway")' in shown
    assert 'parsed: get_weather(city="Oslo")' in shown
    assert "verdict: pass" in shown
    body = measured.ok("show", verdicts[0]["trial_id"], "--json").json()
    exact = measured.ok("show", verdicts[0]["trial_id"], "--exact").out
    assert body["exchanges"][0]["attempts"][0]["request"] in exact
    measured.run("show", "trial-nope").assert_refused(2, "trial")


def test_show_tells_what_the_warm_up_sent_and_got(project: Project) -> None:
    """The question is in it only with --warm-up; a trial of a pass without one says that there was none."""
    body = project.ok("run", "good", "atomic", "--enable-warmup", "--json").json()
    trial = body["verdicts"][0]["trial_id"]
    assert "What is 2+2?" not in project.ok("show", trial).out
    shown = project.ok("show", trial, "--warm-up").out
    assert shown.index("-- warm-up: complete") < shown.index("What is 2+2?") < shown.index("-- request (answer")
    pairs = project.ok("show", trial, "--warm-up", "--json").json()["warm_up"]
    assert "What is 2+2?" in pairs[0]["request"]
    assert "Hello." in pairs[0]["reply"]
    cold = project.ok("run", "good", "atomic", "--json").json()["verdicts"][0]["trial_id"]
    assert "-- warm-up: off" in project.ok("show", cold, "--warm-up").out


def test_show_of_a_failed_attempt_says_what_the_server_did(project: Project) -> None:
    """A trial that ended in an error shows the fault and that nothing came."""
    body = project.run("run", "scripted/broken", "atomic", "--json").json()
    shown = project.ok("show", body["verdicts"][0]["trial_id"]).out
    assert "fault: error" in shown
    assert "answered 500" in shown


def test_a_trial_of_a_suite_that_is_not_at_hand_is_shown_without_what_was_expected(project: Project) -> None:
    """A suite given by --suite FILE is not known to later commands: the rest is shown all the same."""
    other = (project.root / "atomic.yaml").read_text("utf-8").replace("name: small", "name: elsewhere")
    project.write("other.yaml", other)
    body = project.ok("run", "good", "atomic", "--suite", "other.yaml", "--json").json()
    shown = project.ok("show", body["verdicts"][0]["trial_id"]).out
    assert "-- expected" not in shown
    assert "verdict: pass" in shown
    run_id = body["run_ids"][0]
    project.run("rescore", run_id, "--parser", "json").assert_refused(2, "elsewhere")
    project.ok("rescore", run_id, "--parser", "json", "--suite", "other.yaml")


def test_rescore_judges_old_replies_with_another_parser_for_free(project: Project) -> None:
    """The writer fails natively and passes when its replies are read as JSON; no request is made."""
    run_id = project.ok("run", "scripted/writer", "atomic", "--json").json()["run_ids"][0]
    project.write("script.yaml", "models: {}")
    result = project.ok("rescore", run_id, "--variant", "native_parsed")
    assert "2 outcomes changed" in result.out
    body = project.ok("rescore", run_id, "--parser", "json", "--json").json()
    assert body["evaluation"]["metrics"]["accuracy"] == 1.0
    project.run("rescore", run_id, "--parser", "nope").assert_refused(2, "nope", "json")
    project.run("rescore", run_id, "--variant", "nope").assert_refused(2, "nope")
    project.run("rescore", run_id, "--variant", "atomic", "--parser", "json").assert_refused(2, "--parser")
    project.run("rescore", "run-none").assert_refused(2, "run")


def test_rescore_takes_runs_of_one_request_only(measured: Project) -> None:
    """Runs that asked different things are not judged together."""
    runs = [measured.ok("run", m, "atomic", "--json").json()["run_ids"][0] for m in ("good", "mute")]
    measured.run("rescore", *runs).assert_refused(2, "different requests")


def test_report_writes_and_shows_where_things_stand(measured: Project) -> None:
    """Markdown and JSON files, and a table of the baselines."""
    measured.ok("loop", "--baseline", "good atomic native_api", "--max-candidates", "0")
    result = measured.ok("report")
    assert "written: " in result.out
    assert "scripted/good atomic" in result.out
    written = measured.ok("report", "--json").json()["written"]
    assert any(path.endswith("SELF_OPTIMIZING_REPORT.md") for path in written)
