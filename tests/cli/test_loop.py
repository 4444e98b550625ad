"""`loop`: plan, cycles, candidates, baselines, caps."""

from __future__ import annotations

import json

from .world import Project

WRITER = "scripted/writer atomic native_api"


def test_dry_run_plans_and_writes_nothing(project: Project) -> None:
    """Baseline, candidates, trials and rule changes, and no home is made."""
    result = project.ok("loop", "--dry-run", "--baseline", WRITER)
    for words in (
        "scripted/writer atomic: baseline native_api",
        "candidate: variant native_api -> ",
        "trials: ",
        "rules: no change",
    ):
        assert words in result.out
    assert "dry run: nothing was written" in result.out
    assert not project.home.exists()
    body = project.ok("loop", "--dry-run", "--baseline", WRITER, "--json").json()
    assert body["targets"][0]["model"] == "scripted/writer"
    assert len(body["targets"][0]["candidates"]) == 2


def test_dry_run_counts_what_a_search_may_take(project: Project) -> None:
    """The candidates are not known before; without any, nothing is searched, and nothing was tried either."""
    told = project.ok("loop", "--dry-run", "--search", "--baseline", WRITER).out
    assert "at most 2 candidates, found by a search of at most 1500 trials" in " ".join(told.split())
    searched, plain = (
        project.ok("loop", "--dry-run", *more, "--baseline", WRITER, "--json").json()
        for more in (["--search"], ["--max-candidates", "0"])
    )
    assert (
        searched["trials_deterministic"]
        >= plain["trials_deterministic"] + searched["search_trials"]
        == plain["trials_deterministic"] + 1500
    )
    assert (searched["targets"][0]["candidates"], plain["targets"][0]["candidates"]) == ([], [])
    none = project.ok("loop", "--dry-run", "--search", "--max-candidates", "0", "--baseline", WRITER).out
    assert "no candidate: at most 0 were asked for (loop.max_candidates)" in " ".join(none.split())


def test_dry_run_on_a_used_home_changes_nothing(project: Project) -> None:
    """Neither ledger nor rules nor files."""
    project.ok("supervise", "mute", "extended", "--runs", "3")
    project.ok("supervise", "good", "extended", "--runs", "3")
    before = project.files()
    result = project.ok("loop", "--dry-run", "--baseline", "mute extended native_api")
    assert "rule: + scripted/mute extended: deny, fallback scripted/good" in result.out
    assert project.files() == before


def test_the_baseline_may_be_quoted_or_three_words(project: Project) -> None:
    """Both spellings plan the same; two words mean native_api."""
    quoted = project.ok("loop", "--dry-run", "--baseline", WRITER, "--json").json()
    words = project.ok("loop", "--dry-run", "--baseline", *WRITER.split(), "--json").json()
    two = project.ok("loop", "--dry-run", "--baseline", *WRITER.split()[:2], "--json").json()
    assert quoted == words == two


def test_a_wrong_baseline_is_a_usage_error(project: Project) -> None:
    """Too few or too many words, unknown model, phase or variant, arguments out of nowhere, the same one twice."""
    project.run("loop", "--baseline", "good").assert_refused(2, '"MODEL PHASE VARIANT"')
    project.run("loop", "--baseline", "good", "atomic", "native_api", "more").assert_refused(2, "unexpected argument")
    project.run("loop", "stray").assert_refused(2, "'stray'")
    project.run("loop", "--baseline", WRITER, "atomic").assert_refused(2, "unexpected argument")
    project.run("loop", "--baseline", "mars/rover atomic native_api").assert_refused(2, "mars/rover")
    project.run("loop", "--baseline", "good molecular native_api").assert_refused(2, "molecular")
    project.run("loop", "--baseline", "good atomic nope").assert_refused(2, "nope")
    project.run("loop", "--baseline", WRITER, "--baseline", WRITER).assert_refused(2, "twice")
    assert not project.home.exists()


def test_a_cycle_promotes_and_tells_why(project: Project) -> None:
    """Measured, diagnosed, promoted, enforced; each decision with what decided it; the reports are named."""
    result = project.ok("loop", "--cycles", "2", "--baseline", WRITER)
    for words in ("==  cycle 1", "found  ", "try  ", "gate  ", "PROMOTED  ", "rules  rules version 1 is in force", "reports: "):
        assert words in result.out
    assert "passed: " in result.out
    assert "cycle 2" in result.out
    assert (project.home / "reports" / "CYCLE_1_RESULTS.json").exists()
    assert (project.home / "meta_loop_history.json").exists()


def test_verbose_shows_every_gate(project: Project) -> None:
    """--verbose prints the observation of each gate instead of the names of those that passed."""
    result = project.ok("--verbose", "loop", "--baseline", WRITER)
    assert "pass    min_runs" in result.out
    assert "home: " in result.err
    assert "settings: " in result.err


def test_json_is_the_finished_cycles(project: Project) -> None:
    """One document on standard output, a list of cycles."""
    body = project.ok("loop", "--baseline", WRITER, "--json").json()
    assert body[0]["number"] == 1
    assert body[0]["targets"][0]["winner_variant"]


def test_candidates_from_a_file_are_named_by_what_they_change(project: Project) -> None:
    """The label of a candidate says which one thing is different."""
    project.write("candidates.yaml", "- variant: native_parsed\n- timeout_s: 120\n")
    result = project.ok("loop", "--baseline", WRITER, "--candidates", "candidates.yaml")
    assert "tries variant native_api -> native_parsed; timeout_s 90 -> 120" in result.out
    results = json.loads((project.home / "reports" / "CYCLE_1_RESULTS.json").read_text("utf-8"))
    assert [c["changed"] for c in results["candidates_tested"]] == ["variant native_api -> native_parsed", "timeout_s 90 -> 120"]


def test_wrong_candidates_are_refused_before_anything_is_measured(project: Project) -> None:
    """No such file; no list; two changes in one; unknown key or variant."""
    for name, text, word in (
        ("a.yaml", "variant: restrained", "list"),
        ("b.yaml", "- {variant: restrained, timeout_s: 3}", "exactly one"),
        ("c.yaml", "- {colour: blue}", "colour"),
        ("d.yaml", "- {variant: nope}", "nope"),
        ("e.yaml", "- {variant: [", "YAML"),
    ):
        project.write(name, text)
        project.run("loop", "--baseline", WRITER, "--candidates", name).assert_refused(2, word)
    project.run("loop", "--baseline", WRITER, "--candidates", "missing.yaml").assert_refused(2, "missing.yaml")
    assert not (project.home / "reports" / "CYCLE_1_RESULTS.json").exists()


def test_report_alone_only_reports(project: Project) -> None:
    """`loop --report` measures nothing; on an empty home it says how to start."""
    project.run("loop", "--report").assert_refused(2, "nothing was measured yet")
    project.ok("run", "good", "atomic")
    before = (project.home / "ledger.sqlite3").read_bytes()
    assert "SELF_OPTIMIZING_REPORT.md" in project.ok("loop", "--report").out
    assert project.ok("loop", "--report", "--json").json()["written"]
    assert (project.home / "ledger.sqlite3").read_bytes() == before


def test_a_cap_leaves_the_cycle_open_and_the_same_command_continues_it(project: Project) -> None:
    """--max-trials ends it with one line and a non-zero code; afterwards the cycle is finished, not started anew."""
    stopped = project.run("loop", "--baseline", WRITER, "--max-trials", "4")
    assert stopped.code == 1
    assert "Traceback" not in stopped.err
    result = project.ok("loop", "--baseline", WRITER)
    assert "cycle 1" in result.out
    assert "cycle 2" not in result.out


def test_without_anything_the_settings_default_is_the_start(project: Project) -> None:
    """Neither ledger nor flag: loop.baseline of the settings; afterwards the ledger's baselines."""
    text = (project.root / "selfopt.toml").read_text("utf-8")
    project.write("selfopt.toml", text.replace("[loop]", '[loop]\nbaseline = "scripted/writer atomic native_api"'))
    assert project.ok("loop", "--dry-run", "--json").json()["targets"][0]["model"] == "scripted/writer"
    project.ok("loop", "--baseline", "good atomic native_api", "--max-candidates", "0")
    assert project.ok("loop", "--dry-run", "--json").json()["targets"][0]["model"] == "scripted/good"
