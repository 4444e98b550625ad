"""The two Markdown reports: every section, figures with the runs behind them, nothing invented, nothing active."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from selfopt.home import ChainedFile, Home
from selfopt.ledger import MemoryLedger
from selfopt.records import AuditRecord, Cycle, EvidenceState, Ledger, LookCost, RoutingConfig
from selfopt.report import write_reports
from selfopt.report.gather import gather
from selfopt.report.learnings import learnings_text
from selfopt.report.summary import report_text
from selfopt.words.findings import not_confirmed_yet
from tests.ledger.samples import put
from tests.report import world

GOLDEN = Path(__file__).parent / "golden"


def render_report(ledger: Ledger, config: RoutingConfig | None = None, audit: Iterable[AuditRecord] = ()) -> str:
    """The report of what a ledger holds."""
    return report_text(gather(ledger, config, audit))


def render_learnings(ledger: Ledger, config: RoutingConfig | None = None, audit: Iterable[AuditRecord] = ()) -> str:
    """The learnings from what a ledger holds."""
    return learnings_text(gather(ledger, config, audit))


SECTIONS = ["Improvements made", "Warm-up impact", "Fallback impact", "New baseline", "Next steps"]


def _section(text: str, title: str) -> str:
    """The body of a section."""
    return re.split(r"^## ", text.split(f"\n## {title}", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_reports_are_what_they_were(request: pytest.FixtureRequest) -> None:
    """Golden texts: the same records give the same report, byte for byte."""
    ledger = world.full_ledger()
    assert render_report(ledger, world.CONFIG, world.AUDIT) == (GOLDEN / "report.md").read_text()
    assert render_learnings(ledger, world.CONFIG, world.AUDIT) == (GOLDEN / "learnings.md").read_text()


def test_the_report_has_its_sections_in_order() -> None:
    """With and without facts."""
    for text in (render_report(world.full_ledger(), world.CONFIG, world.AUDIT), render_report(MemoryLedger())):
        assert [h for h in re.findall(r"^## (.*)$", text, re.MULTILINE) if h not in ("What may serve", "Evidence")] == SECTIONS


def test_figures_name_the_runs_behind_them() -> None:
    """Every E-number in the text is listed with its evaluation and runs."""
    for text in (render_report(world.full_ledger(), world.CONFIG), render_learnings(world.full_ledger(), world.CONFIG)):
        body, _, listed = text.partition("## Evidence")
        used = set(re.findall(r"\bE\d+\b", body))
        assert used
        assert used == set(re.findall(r"^\| (E\d+) ", listed, re.MULTILINE))
        assert "`run-better-0`" in listed


def test_an_empty_ledger_reports_what_to_run() -> None:
    """Nothing measured, nothing claimed."""
    report, learnings = render_report(MemoryLedger()), render_learnings(MemoryLedger())
    assert "Not measured yet: run `selfopt loop --cycles 1`" in _section(report, "Improvements made")
    assert "Not measured yet: run `selfopt supervise" in _section(report, "Warm-up impact")
    assert "No rules are in force" in _section(report, "Fallback impact")
    assert "None yet" in _section(report, "New baseline")
    assert not re.search(r"\d\.\d\d", report + learnings)
    assert learnings.count("**Status:**") == learnings.count("**Decision:**") == 4
    assert "Confirmed" not in learnings
    assert "Operational" not in learnings


def test_version_zero_is_no_rules_in_force() -> None:
    """What an enforcer gives before anything was enforced."""
    assert render_report(MemoryLedger(), RoutingConfig()) == render_report(MemoryLedger())
    assert render_learnings(world.full_ledger(), RoutingConfig()) == render_learnings(world.full_ledger())


def test_every_learning_has_status_and_decision() -> None:
    """Directly under its heading."""
    text = render_learnings(world.full_ledger(), world.CONFIG, world.AUDIT)
    for heading in (
        "Warm-Up Effectiveness",
        "Extended Suite Routing",
        "Routing Enforcement",
        "Cycle 1 Results",
        "Next iteration priorities",
    ):
        assert re.match(r"[^\n]*\n\n\*\*Status:\*\* \S.*\n\n\*\*Decision:\*\* \S.*\n", _section(text, heading))


def test_warm_up_is_confirmed_only_by_the_experiment() -> None:
    """Two measurements that differ are told, and how to prove it; cold and warm runs in turn decide, in outcomes or in latency."""
    unclear = {"outcomes_confirmed": False, "latency_confirmed": False}
    slow = world.WARM.model_copy(update={"metrics": world.WARM.metrics.model_copy(update={"first_call_ms": 740.0})})
    run_it = "run selfopt supervise local/qwen2.5-coder-0.5b atomic --validate-warm-up --runs 4"
    cases = [
        (world.COLD, None, "Not confirmed yet", ("accuracy improved by +0.19", run_it)),
        (world.COLD, {}, "Confirmed", ("accuracy improved by +0.19", "confirmed (Bayes factor 4447, 2 prompts")),
        (world.COLD, unclear, "Not confirmed", ("not confirmed (Bayes factor 4447, 2 prompts",)),
        (world.COLD, {**unclear, "harmed": True}, "Not confirmed", ("outcomes are worse when warm",)),
        (
            world.COLD,
            {**unclear, "conclusive": False, "cold_runs": 2, "unloads": 2},
            "Not confirmed yet",
            (run_it, "2 cold and 4 warm"),
        ),
        (world.COLD, {**unclear, "conclusive": False, "unloads": 1}, "Not confirmed yet", ("before 1 of 4 cold runs only",)),
        (world.WARM, None, "Not confirmed yet", ("neither accuracy nor", run_it)),
        (
            slow,
            {"outcomes_confirmed": False},
            "Confirmed",
            ("the first call is faster", "first call 10000 -> 74 ms", "p = 0.014"),
        ),
    ]
    for cold, changes, word, why in cases:
        ledger = MemoryLedger()
        put(
            ledger,
            [
                cold.model_copy(update={"warm_up": False, "evaluation_id": "eval-a"}),
                world.WARM.model_copy(update={"warm_up": True, "evaluation_id": "eval-b"}),
                *([world.EXPERIMENT.model_copy(update=changes)] if changes is not None else []),
            ],
        )
        text = render_learnings(ledger)
        assert f"## Warm-Up Effectiveness: {word}\n" in text
        assert all(part in text for part in why), (changes, text)
        assert f"That warm-up helps is {'not confirmed' if word != 'Confirmed' else 'confirmed'}" in render_report(ledger)


def test_an_experiment_speaks_of_its_own_model_and_phase_only() -> None:
    """That of another model confirms nothing here; of two, the newest conclusive one counts."""
    pair = [world.COLD, world.WARM]
    other = world.EXPERIMENT.model_copy(update={"experiment_id": "reload-0", "model": world.TINY})
    ledger = MemoryLedger()
    put(ledger, [*pair, other])
    assert "Warm-Up Effectiveness: Not confirmed yet" in render_learnings(ledger)
    open_one = {"experiment_id": "reload-2", "conclusive": False, "outcomes_confirmed": False, "at": "2027-01-01T00:00:00.000Z"}
    put(ledger, [world.EXPERIMENT, world.EXPERIMENT.model_copy(update=open_one)])
    assert "Warm-Up Effectiveness: Confirmed" in render_learnings(ledger)


def test_a_warm_up_that_is_on_and_confirmed_is_no_next_step() -> None:
    """One that still waits for its experiment is."""
    for told, shown in (("confirmed (Bayes factor 12)", False), (not_confirmed_yet(world.SMALL, "atomic"), True)):
        advice = world.RECOMMENDATION.model_copy(
            update={
                "model": world.SMALL,
                "phase": "atomic",
                "type": "warm_up",
                "action": "enable_warm_up",
                "reason": f"slow; {told}",
            }
        )
        ledger = MemoryLedger()
        put(ledger, [world.CYCLE, advice])
        assert ("Warm it up" in _section(render_report(ledger, world.CONFIG), "Next steps")) is shown


def test_a_held_candidate_names_its_failed_gate() -> None:
    """With what the gate saw and needs."""
    text = _section(render_report(world.full_ledger()), "Improvements made")
    assert "held, the gate restraint saw 0.5 and needs 0.8 (restraint below minimum)" in text


def test_a_refusing_rule_says_that_nobody_serves() -> None:
    """No fallback passed: a correct ending, told as such."""
    rule = world.CONFIG.rules[0].model_copy(update={"fallback": None})
    config = RoutingConfig(version=3, rules=(rule,))
    assert "nobody: refused" in render_report(world.full_ledger(), config)
    assert "is refused, no fallback passes" in render_learnings(world.full_ledger(), config)


def test_the_score_of_a_disallowed_model_is_the_one_behind_its_rule() -> None:
    """Not that of its newest candidate."""
    newer = world.evaluation(
        "other", ["P"] * 8, model=world.TINY, phase="extended", variant="few_shot", at="2026-02-01T00:00:00.000Z"
    )
    ledger = world.full_ledger()
    put(ledger, [newer])
    line = next(row for row in _section(render_report(ledger, world.CONFIG), "Fallback impact").splitlines() if "smollm2" in row)
    assert "| 0.00 (silent" in line


def test_hostile_text_in_records_does_nothing() -> None:
    """Reasons, details and summaries come from models and servers."""
    rule = world.CONFIG.rules[0].model_copy(update={"reason": world.HOSTILE, "model": world.HOSTILE})
    config = world.CONFIG.model_copy(update={"rules": (rule, world.CONFIG.rules[1])})
    ledger = world.full_ledger()
    found = world.FINDING.model_copy(update={"finding_id": "find-x", "summary": world.HOSTILE})
    put(ledger, [found, world.CYCLE.model_copy(update={"cycle_id": "c-2", "number": 2, "findings": ("find-x",)})])
    for text in (render_report(ledger, config), render_learnings(ledger, config)):
        assert "\x1b" not in text
        assert "<script" not in text
        assert "](" not in text
        assert "\n# head" not in text


def test_all_files_are_written_where_they_belong(tmp_path: Path) -> None:
    """Also a second time; the audit trail is read from the home."""
    home = Home(tmp_path / "home").ensure()
    ChainedFile(home.audit_trail).append("rule_changed", reason="because")
    for _ in range(2):
        written = write_reports(world.full_ledger(), home, world.CONFIG)
        names = [p.relative_to(home.root).as_posix() for p in written]
        assert names == [
            "reports/SELF_OPTIMIZING_REPORT.md",
            "reports/META_LEARNINGS.md",
            "reports/SELF_OPTIMIZING_REPORT.html",
            "reports/CYCLE_1_RESULTS.json",
            "reports/WARM_UP_VALIDATION_RESULTS.json",
            "meta_loop_history.json",
        ]
        assert all(path.stat().st_mode & 0o077 == 0 for path in written)
    assert "1 record in the audit trail" in written[1].read_text()


@pytest.mark.parametrize("damage", [b"", b"\x00\xff", b'{"cycles": [', b"[]", b'{"cycles": 3}', b"[" * 100_000])
def test_a_damaged_history_is_said_to_be_written_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes) -> None:
    """In one line with the file's name; a sound one, or none, is worth no word."""
    home = Home(tmp_path / "home").ensure()
    write_reports(world.full_ledger(), home, None)
    write_reports(world.full_ledger(), home, None)
    whole = home.loop_history.read_bytes()
    assert caplog.messages == []
    home.loop_history.write_bytes(damage)
    write_reports(world.full_ledger(), home, None)
    assert caplog.messages == [f"{home.loop_history} was damaged; it is written anew from the ledger, and nothing is lost"]
    assert home.loop_history.read_bytes() == whole


def test_nothing_measured_writes_no_results(tmp_path: Path) -> None:
    """No cycle and no warm-up validation: the reports say so, and no results file pretends otherwise."""
    written = write_reports(MemoryLedger(), Home(tmp_path), None)
    reports = ["SELF_OPTIMIZING_REPORT.md", "META_LEARNINGS.md", "SELF_OPTIMIZING_REPORT.html"]
    assert [p.name for p in written] == [*reports, "meta_loop_history.json"]


def test_next_steps_are_things_to_do_and_a_candidate_is_named_by_what_it_changes() -> None:
    """A model that may go on serving needs no step; a candidate of the baseline's own variant changed something else."""
    ledger = world.full_ledger()
    assert ": allow:" not in _section(render_report(ledger, world.CONFIG, world.AUDIT), "Next steps")
    cycle = next(ledger.read(Cycle))
    target = cycle.targets[0]
    same = target.candidates[0].model_copy(update={"variant": target.baseline_variant, "changed": "timeout 60 -> 30 s"})
    other = cycle.model_copy(
        update={"cycle_id": "cycle-x", "number": 99, "targets": (target.model_copy(update={"candidates": (same,)}),)}
    )
    put(ledger, [other])
    assert "candidates: timeout 60 -" in _section(render_learnings(ledger, world.CONFIG), "Cycle 99 Results")


def test_what_looks_have_spent_is_told_by_the_newest_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each model and phase, on search and on held-out prompts; decisions of earlier versions tell nothing."""
    search = LookCost(purpose="search", number=1, total=0.05, spent_before=0, alpha=0.025)
    heldout = LookCost(purpose="heldout", number=2, total=0.05, spent_before=0.025, alpha=0.005)
    assert "Chance of error" not in render_report(world.full_ledger())
    evidence = EvidenceState(costs=(search, heldout))
    monkeypatch.setattr(world, "DECISION", world.DECISION.model_copy(update={"evidence": evidence}))
    told = _section(render_report(world.full_ledger()), "Improvements made")
    assert "`local/qwen2.5-coder-0.5b` atomic: 1 race over search prompts spent 0.025 of 0.05" in told
    assert "`local/qwen2.5-coder-0.5b` atomic: 2 looks at held-out prompts spent 0.03 of 0.05" in told
