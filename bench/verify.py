"""The specification's final checklist, run by `make verify`.

    python3 verify.py      one PASS or FAIL line for each check with what was observed; 100 when any fails

Everything is measured in a home of its own, which is removed afterwards, so that it says the same every time.
"""

import _bench

# isort: split
import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from selfopt.errors import GateFailed, SelfoptError
from selfopt.records import Evaluation
from selfopt.verbs.opening import App
from selfopt.verbs.routing import audit_records, roll_back, rules_in_force, trace_rule
from selfopt.verbs.specification import full_name, kept_cycles, kept_evaluations
from selfopt.verbs.verifying import verify_audit

ROOT = _bench.HERE.parent
DOCS = ROOT / "docs"
Check = tuple[str, bool, str]

SCRIPTS = [
    "run_benchmark",
    "benchmark_supervisor",
    "meta_harness_loop",
    "config_manager",
    "routing_enforcer",
    "harness_feedback_loop",
    "self_optimizing_policy",
    "lock_manager",
    "routing_log",
]
DOCUMENTS: Mapping[str, Sequence[str]] = {
    "ARCHITECTURE_V2_SELF_OPTIMIZING.md": ("measure", "diagnose", "recommend", "decide", "enforce", "deployed improvements"),
    "WARM_UP_INTEGRATION.md": ("What is 2+2?", "10 s", "--enable-warmup", "WARM_UP_VALIDATION_RESULTS.json"),
    "EXTENDED_SUITE_DISABLEMENT.md": ("extended_phase_min_accuracy", "--force-model", "Routed from"),
    "ROUTING_DECISIONS.md": ("validate_model_phase_compatibility", "routing_decisions.jsonl"),
    "EXECUTE_LOCALLY.md": ("make quickstart",),
    "EXECUTION_SUMMARY.md": ("accuracy",),
    "ROLLBACK.md": ("Warm-up breaks accuracy", "Fallback routing does not work", "Routing enforcement fails"),
}
LEARNINGS = ("Warm-Up Effectiveness", "Extended Suite Routing", "Routing Enforcement", "Results", "Next iteration priorities")


def script(home: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """One script of this folder, as a person calls it."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=_bench.HERE,
        env={**os.environ, "SELFOPT_HOME": str(home), **extra},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a script had to say in the end."""
    lines = [line.strip() for line in (done.stdout.splitlines() or done.stderr.splitlines()) if line.strip()]
    return lines[-1] if lines else "nothing printed"


def critical_path(home: Path) -> list[Check]:
    """The three tests pass and a cycle completes."""
    found: list[Check] = []
    for name in ("warm_up_test.py", "extended_suite_safety_test.py", "routing_test.py"):
        done = script(home, name)
        marks = [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith(("PASS", "FAIL"))]
        seen = ", ".join(marks) or last_line(done)
        found.append((f"python3 {name}", done.returncode == 0 and bool(marks), f"exit code {done.returncode}; {seen}"))
    for _ in range(2):
        done = script(home, "meta_harness_loop.py", "--cycles", "1")
        found.append(
            ("python3 meta_harness_loop.py --cycles 1", done.returncode == 0, f"exit code {done.returncode}; {last_line(done)}")
        )
    return found


def metrics(app: App) -> list[Check]:
    """The figures that the specification expects, as they were just measured."""
    lfm, haiku = full_name(app, _bench.LFM), full_name(app, "haiku")
    cold, warm = (_newest(app, lfm, "atomic", warm_up) for warm_up in (False, True))
    own, served = _newest(app, lfm, "extended"), _newest(app, haiku, "extended")
    audited = [r for r in audit_records(app) if r.event == "diverted"]
    chain, rules = verify_audit(app), rules_in_force(app).rules
    rule = rules_in_force(app).rule_for(lfm, "extended")
    logged = {r.rule_id for r in audit_records(app)}
    return [
        (
            "LFM atomic improves by at least 25 points with warm-up (the specification: 71.4 % -> 100 %)",
            cold is not None and warm is not None and warm - cold >= 0.25,
            f"{_share(cold)} -> {_share(warm)}",
        ),
        (
            "LFM extended: 0 % -> 100 % (fallback to Haiku)",
            own == 0.0 and served == 1.0,
            f"{_share(own)} by itself -> {_share(served)} as served",
        ),
        (
            "extended phase: no more 0 % failures",
            rule is not None and not rule.allow and rule.fallback == haiku and bool(audited),
            f"{lfm} extended is {'allowed' if rule is None or rule.allow else f'served by {rule.fallback}'}; {len(audited)} diverted",
        ),
        (
            "all routing decisions are logged",
            chain.ok and all(r.rule_id in logged for r in rules),
            f"{chain.n} records, {'verify' if chain.ok else 'do NOT verify'}; {len(rules)} rules, each with its record",
        ),
        (
            "cycle 2 runs from the new baseline",
            *_second_cycle(app),
        ),
    ]


def _newest(app: App, model: str, phase: str, warm_up: bool | None = None) -> float | None:
    """Accuracy of the newest evaluation of whole runs; with warm_up given, of seven runs with or without."""

    def fits(e: Evaluation) -> bool:
        return (e.model, e.phase) == (model, phase) and (warm_up is None or (e.warm_up is warm_up and e.n_runs == 7))

    return next((e.metrics.accuracy for e in reversed(kept_evaluations(app)) if fits(e)), None)


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1%}"


def _second_cycle(app: App) -> tuple[bool, str]:
    cycles = kept_cycles(app)
    if len(cycles) < 2:
        return False, f"{len(cycles)} cycle(s) finished"
    shown = [[t.baseline_accuracy for t in c.targets] for c in cycles[:2]]
    first, second = cycles[0].targets[0], cycles[1].targets[0]
    return first.new_baseline_spec_id == second.baseline_spec_id != first.baseline_spec_id, f"baseline accuracies {shown}"


def documentation(home: Path) -> list[Check]:
    """The documents are there and speak of what they should."""
    found: list[Check] = []
    for name, words in DOCUMENTS.items():
        path = DOCS / name
        text = path.read_text("utf-8") if path.is_file() else ""
        missing = [w for w in words if w.casefold() not in text.casefold()]
        seen = f"{len(text.splitlines())} lines" if text else "missing"
        found.append((f"docs/{name}", bool(text) and not missing, seen + (f"; without {missing}" if missing else "")))
    learnings = home / "reports" / "META_LEARNINGS.md"
    text = learnings.read_text("utf-8") if learnings.is_file() else ""
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    absent = [w for w in LEARNINGS if not any(w in h for h in headings)]
    found.append(("META_LEARNINGS.md captures discoveries", bool(text) and not absent, ", ".join(headings) or "missing"))
    return found


def traceable(app: App) -> Check:
    """Every rule leads down to replies that are in the ledger."""
    traced = [trace_rule(app, r.rule_id) for r in rules_in_force(app).rules]
    rootless = [t.rule_id for t in traced if not t.trials or t.missing]
    observed = f"{len(traced)} rules lead to {sum(len(t.trials) for t in traced)} replies"
    return "all decisions are traceable to run data", bool(traced) and not rootless, observed + _without(rootless)


def _without(rootless: Sequence[str]) -> str:
    return f"; not: {', '.join(rootless)}" if rootless else ""


def rollback(app: App) -> Check:
    """Going back to no rules and forth again gives exactly the rules there were."""
    before = rules_in_force(app)
    none = asyncio.run(roll_back(app, 0))
    after = asyncio.run(roll_back(app, before.version))
    strip = {"since_version"}
    same = [r.model_dump(exclude=strip) for r in after.rules] == [r.model_dump(exclude=strip) for r in before.rules]
    observed = (
        f"version {before.version} -> {none.version} ({len(none.rules)} rules) -> {after.version} ({len(after.rules)} rules)"
    )
    return "rollback works, forth and back", same and not none.rules and verify_audit(app).ok, observed


def optional(home: Path) -> list[Check]:
    """Each improvement has a switch that really switches it off."""
    run = ("run_benchmark.py", "lfm2.5-thinking:1.2b", "extended", "extended", "--json")
    unrouted = script(home, *run, SELFOPT_ENFORCEMENT__ENABLED="false")
    cold = script(
        home, "benchmark_supervisor.py", "lfm2.5", "atomic", "--enable-warmup", "--json", SELFOPT_WARM_UP__ENABLED="false"
    )
    policy = ("SELFOPT_POLICY__EXTENDED_GATE_ENABLED", "false")
    ungated = script(home, "harness_feedback_loop.py", "--dry-run", "--json", **dict([policy]))
    return [
        ("enforcement can be switched off", _served(unrouted) == _bench.LFM, f"served by {_served(unrouted)}"),
        (
            "warm-up can be switched off",
            '"status": "complete"' in cold.stdout and '"resident": true' not in cold.stdout,
            _rows(cold),
        ),
        (
            "the extended gate can be switched off",
            '"action": "disable"' not in ungated.stdout and ungated.returncode == 0,
            "no model is disabled",
        ),
    ]


def _served(done: subprocess.CompletedProcess[str]) -> str:
    found = re.search(r'"served_by": "[^/"]*/([^"]*)"', done.stdout)
    return found.group(1) if found else last_line(done)


def _rows(done: subprocess.CompletedProcess[str]) -> str:
    found = re.search(r'"accuracy": ([0-9.]+)', done.stdout)
    return f"accuracy {float(found.group(1)):.3f}" if found else last_line(done)


def production(app: App, home: Path) -> list[Check]:
    """Nothing broken, a way back, switches, a whole trail."""
    answers = {name: script(home, f"{name}.py", "--help").returncode for name in SCRIPTS}
    chain = verify_audit(app)
    events = sorted({r.event for r in audit_records(app)})
    return [
        (
            "no breaking changes: the specification's nine scripts answer",
            not any(answers.values()),
            f"{sum(not code for code in answers.values())} of {len(SCRIPTS)}",
        ),
        rollback(app),
        *optional(home),
        (
            "the audit trail is complete",
            chain.ok and {"diverted", "forced", "rule_added"} <= set(events),
            f"{chain.n} records: {events}",
        ),
    ]


def section(title: str, checks: Callable[[], Sequence[Check]], start: int) -> tuple[int, int]:
    """Print one part of the checklist; returns (checks printed so far, checks failed)."""
    print(f"== {title}", flush=True)
    try:
        found = list(checks())
    except SelfoptError as error:
        found = [("could be checked", False, str(error))]
    for number, (what, passed, observed) in enumerate(found, start + 1):
        print(f"{'PASS' if passed else 'FAIL'} {number}: {what}: {observed}", flush=True)
    return start + len(found), sum(not passed for _, passed, _ in found)


def main() -> int:
    """The whole checklist."""
    with tempfile.TemporaryDirectory(prefix="selfopt-verify-") as folder:
        home = Path(folder) / "home"
        os.environ["SELFOPT_HOME"] = str(home)
        os.environ["SELFOPT_CONFIG"] = str(_bench.SETTINGS)
        count, failed = section("Critical path tests", lambda: critical_path(home), 0)
        app = App.open(home)
        for title, checks in (
            ("Metrics verification", lambda: metrics(app)),
            ("Documentation verification", lambda: [*documentation(home), traceable(app)]),
            ("Production readiness", lambda: production(app, home)),
        ):
            count, more = section(title, checks, count)
            failed += more
    print(f"{count - failed} of {count} checks pass")
    return GateFailed.exit_code if failed else 0


if __name__ == "__main__":
    _bench.without_arguments(__doc__)
    sys.exit(main())
