"""A small world for the reports: two models, one cycle, a warm-up validation, rules. Built of records alone."""

from __future__ import annotations

from selfopt.ledger import MemoryLedger
from selfopt.records import (
    AuditRecord,
    Baseline,
    CandidateResult,
    Cycle,
    CycleTargetResult,
    Decision,
    Evaluation,
    Finding,
    GateResult,
    Metrics,
    Outcome,
    OutcomeRow,
    Phase,
    PromptReload,
    Purpose,
    Recommendation,
    RemedyCheck,
    RoutingConfig,
    Rule,
    Run,
    TrivialPolicy,
    UnreadFormatFigures,
    WarmUpExperiment,
)
from tests.ledger.samples import put

HOSTILE = "\x1b[31mred\u202e <script>alert(1)</script> | [x](http://evil.example) `code` **bold** @someone\n# head"

SMALL, TINY, CLOUD = "local/qwen2.5-coder-0.5b", "local/smollm2-135m", "anthropic/claude-haiku-4-5"

_OF_LETTER = {
    "P": Outcome.PASS,
    "W": Outcome.WRONG,
    "U": Outcome.UNCALLED_FOR,
    "M": Outcome.MISSED,
    "N": Outcome.UNPARSED,
    "O": Outcome.TIMEOUT,
    "L": Outcome.LOADING,
}
SILENT = TrivialPolicy(accuracy=0.25, call_accuracy=0.0, restraint=1.0)
ALWAYS = TrivialPolicy(accuracy=1 / 12, call_accuracy=1 / 9, restraint=0.0)
KINDS = ("direct", "direct", "direct", "implicit need", "about the assistant", "detail missing", "buried parameters", "two tools")


def evaluation(  # noqa: PLR0913
    name: str,
    rows: list[str],
    *,
    model: str = SMALL,
    phase: Phase = "atomic",
    variant: str = "native_api",
    warm_up: bool = False,
    first_call_ms: float = 740.0,
    at: str = "2026-01-02T10:00:00.000Z",
    cycle_id: str | None = None,
) -> Evaluation:
    """An evaluation with these outcome rows; prompts 5 and 6 need no call."""
    made = tuple(
        OutcomeRow(
            prompt_id=f"P{n}",
            prompt_kind=KINDS[(n - 1) % len(KINDS)],
            needs_call=n not in (5, 6),
            outcomes=tuple(_OF_LETTER[letter] for letter in letters),
            trial_ids=tuple(f"trial-{name}-{n}-{i}" for i in range(len(letters))),
        )
        for n, letters in enumerate(rows, 1)
    )
    n_runs = len(rows[0])
    passes = [[row.outcomes[i] is Outcome.PASS for row in made] for i in range(n_runs)]
    accuracies = tuple(sum(p) / len(p) for p in passes)
    mean = sum(accuracies) / n_runs
    counts = {o: sum(row.outcomes.count(o) for row in made) for o in Outcome}

    def part(needs: bool) -> float | None:
        outcomes = [o for row in made if row.needs_call is needs for o in row.outcomes]
        return sum(o is Outcome.PASS for o in outcomes) / len(outcomes) if outcomes else None

    metrics = Metrics(
        n=len(rows) * n_runs,
        accuracy=mean,
        call_accuracy=part(True),
        restraint=part(False),
        capability=mean,
        run_accuracies=accuracies,
        variance=sum((a - mean) ** 2 for a in accuracies) / n_runs,
        counts={o: c for o, c in counts.items() if c},
        p50_ms=212.5,
        p95_ms=900.0,
        first_call_ms=first_call_ms,
        silent=SILENT,
        always_calling=ALWAYS,
    )
    return Evaluation(
        evaluation_id=f"eval-{name}",
        spec_id=f"spec-{name}",
        request_id=f"req-{name}",
        environment_id="env-1",
        parser_hash="parser-1",
        scorer_hash="scorer-1",
        model=model,
        phase=phase,
        suite=phase,
        suite_hash=f"suite-{phase}",
        scope="whole",
        split="all",
        variant=variant,
        run_ids=tuple(f"run-{name}-{i}" for i in range(n_runs)),
        n_runs=n_runs,
        determinism="sampled" if n_runs == 1 else "stochastic",
        warm_up=warm_up,
        metrics=metrics,
        rows=made,
        cycle_id=cycle_id,
        at=at,
    )


def run(run_id: str, purpose: Purpose) -> Run:
    return Run(
        run_id=run_id,
        spec_id="spec-1",
        request_id="req-1",
        environment_id="env-1",
        requested_model=SMALL,
        model=SMALL,
        phase="atomic",
        suite="atomic",
        split="all",
        run_index=0,
        purpose=purpose,
        prompt_ids=("P1",),
        at="2026-01-02T10:00:00.000Z",
    )


BASE = evaluation("base", ["N", "N", "M", "N", "P", "P", "M", "N"])
BETTER = evaluation("better", ["P", "P", "P", "W", "P", "P", "P", "M"], variant="restrained", at="2026-01-02T11:00:00.000Z")
WORSE = evaluation("worse", ["P", "W", "M", "W", "U", "P", "M", "M"], variant="constrained", at="2026-01-02T11:10:00.000Z")
TINY_BASE = evaluation("tiny", ["M", "M", "M", "M", "P", "P", "M", "M"], model=TINY)
TINY_EXT = evaluation("tiny-ext", ["M", "M", "W", "M", "U", "U", "M", "M"], model=TINY, phase="extended", variant="extended")
SMALL_EXT = evaluation("small-ext", ["P", "P", "W", "P", "P", "P", "M", "P"], phase="extended", variant="extended")
COLD = evaluation("cold", ["LLPPPPP", "LLPPPPP", "PPPPPPP"], first_call_ms=10_000.0)
WARM = evaluation("warm", ["PPPPPPP", "PPPPPPP", "PPPPPPP"], warm_up=True, first_call_ms=74.0)

EXPERIMENT = WarmUpExperiment(
    experiment_id="reload-1",
    model=SMALL,
    phase="atomic",
    variant="native_api",
    suite="atomic",
    suite_hash="suite-atomic",
    environment_id="env-1",
    evaluation_ids=("eval-c", "eval-w"),
    run_ids=("run-c", "run-w"),
    cold_runs=4,
    warm_runs=4,
    unloads=4,
    prompts=(
        PromptReload(prompt_id="P1", cold_passes=0, cold_n=4, warm_passes=4, warm_n=4, log_bayes_factor=5.768),
        PromptReload(prompt_id="P2", cold_passes=1, cold_n=4, warm_passes=4, warm_n=4, log_bayes_factor=3.074),
    ),
    tested=("P1", "P2"),
    log_bayes_factor=8.4,
    first_call_cold_ms=(10_000.0, 10_000.0, 10_100.0, 9_900.0),
    first_call_warm_ms=(74.0, 75.0, 73.0, 80.0),
    first_call_p=1 / 70,
    conclusive=True,
    outcomes_confirmed=True,
    latency_confirmed=True,
    harmed=False,
    at="2026-01-02T10:00:00.000Z",
)

DECISION = Decision(
    decision_id="dec-1",
    verdict="promote",
    model=SMALL,
    phase="atomic",
    candidate_spec_id=BETTER.spec_id,
    baseline_spec_id=BASE.spec_id,
    candidate_variant="restrained",
    claim="this_suite",
    estimate=0.5,
    gates=(
        GateResult(
            name="no_regression",
            observed=0.75,
            threshold=0.25,
            passed=True,
            reason_code="no_regression",
            detail="0.75 is not below 0.25",
        ),
        GateResult(
            name="restraint",
            observed=1.0,
            threshold=0.8,
            passed=True,
            reason_code="restraint_kept",
            detail="both no-call prompts were left alone",
        ),
        GateResult(
            name="evidence", observed=None, threshold="e >= 20", passed=None, binding=False, reason_code="not_enough_data"
        ),
    ),
    reason_codes=("promoted",),
    evaluation_ids=(BASE.evaluation_id, BETTER.evaluation_id),
    run_ids=("run-base-0", "run-better-0"),
    cycle_id="cycle-1",
    at="2026-01-02T11:20:00.000Z",
)
HELD = DECISION.model_copy(
    update={
        "decision_id": "dec-2",
        "verdict": "hold",
        "candidate_spec_id": WORSE.spec_id,
        "candidate_variant": "constrained",
        "estimate": -0.125,
        "gates": (
            GateResult(
                name="restraint", observed=0.5, threshold=0.8, passed=False, reason_code="restraint_below_minimum", detail=HOSTILE
            ),
        ),
    }
)
FINDING = Finding(
    finding_id="find-1",
    type="unread_format",
    model=SMALL,
    phase="atomic",
    spec_id=BASE.spec_id,
    summary="5 of 8 replies hold a fenced JSON call that no parser of native_api reads",
    figures=UnreadFormatFigures(unparsed=5, of=8, share=0.625, format="json"),
    confidence="exact",
    confirmed=True,
    cycle_id="cycle-1",
    at="2026-01-02T11:20:00.000Z",
)
RECOMMENDATION = Recommendation(
    id="rec-1",
    type="phase_gate",
    model=TINY,
    phase="extended",
    action="disable",
    allow=False,
    fallback=SMALL,
    reason="accuracy 0.00 is below 0.30",
    evidence=(TINY_EXT.evaluation_id,),
)


def candidate(e: Evaluation, base: Evaluation, verdict: str, decision_id: str) -> CandidateResult:
    m = e.metrics
    return CandidateResult.model_validate(
        {
            "spec_id": e.spec_id,
            "variant": e.variant,
            "changed": f"variant {base.variant} -> {e.variant}",
            "accuracy": m.accuracy,
            "call_accuracy": m.call_accuracy,
            "restraint": m.restraint,
            "improvement": m.accuracy - base.metrics.accuracy,
            "verdict": verdict,
            "reason_codes": ["because"],
            "decision_id": decision_id,
            "evaluation_id": e.evaluation_id,
        }
    )


CYCLE = Cycle(
    cycle_id="cycle-1",
    number=1,
    started_at="2026-01-02T09:00:00.000Z",
    ended_at="2026-01-02T12:00:00.000Z",
    targets=(
        CycleTargetResult(
            model=SMALL,
            phase="atomic",
            baseline_spec_id=BASE.spec_id,
            baseline_variant="native_api",
            baseline_accuracy=BASE.metrics.accuracy,
            baseline_evaluation_id=BASE.evaluation_id,
            candidates=(candidate(BETTER, BASE, "promote", "dec-1"), candidate(WORSE, BASE, "reject", "dec-2")),
            winner_spec_id=BETTER.spec_id,
            winner_variant="restrained",
            improvement=0.5,
            new_baseline_spec_id=BETTER.spec_id,
        ),
        CycleTargetResult(
            model=TINY,
            phase="atomic",
            baseline_spec_id=TINY_BASE.spec_id,
            baseline_variant="native_api",
            baseline_accuracy=TINY_BASE.metrics.accuracy,
            baseline_evaluation_id=TINY_BASE.evaluation_id,
            candidates=(candidate(WORSE, TINY_BASE, "hold", "dec-2"),),
            winner_spec_id=None,
            winner_variant=None,
            improvement=None,
            new_baseline_spec_id=TINY_BASE.spec_id,
        ),
    ),
    remedies=(
        RemedyCheck(
            recommendation_id="rec-0",
            model=SMALL,
            phase="atomic",
            claim="warm_up",
            before=740,
            after=74,
            helped=True,
            detail="first call 740 -> 74 ms",
        ),
    ),
    findings=("find-1",),
    recommendations=("rec-1",),
    config_version=2,
    trials=96,
)
CONFIG = RoutingConfig(
    version=2,
    generated_at="2026-01-02T12:00:00.000Z",
    rules=(
        Rule(
            rule_id="rule-1", model=TINY, phase="extended", allow=False, fallback=SMALL, reason="accuracy 0.00 is below 0.30",
            recommendation_ids=("rec-1",), evidence=(TINY_EXT.evaluation_id,), since_version=1,
        ),
        Rule(
            rule_id="rule-2", model=SMALL, phase="atomic", allow=True, warm_up=True, spec_id=BETTER.spec_id, reason=HOSTILE,
            source="promotion", evidence=("dec-1",), since_version=2,
        ),
    ),
)  # fmt: skip
AUDIT = tuple(
    AuditRecord(timestamp=f"2026-01-02T12:00:0{n}.000Z", event=event, previous_hash=f"{n:064x}", hash=f"{n + 1:064x}")
    for n, event in enumerate(("rule_changed", "rule_changed", "request_diverted"))
)


def full_ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    put(
        ledger,
        [BASE, BETTER, WORSE, TINY_BASE, TINY_EXT, SMALL_EXT, COLD, WARM, EXPERIMENT, DECISION, HELD, FINDING, RECOMMENDATION],
    )
    put(ledger, [run(r, "warm_up_cold") for r in COLD.run_ids] + [run(r, "warm_up_warm") for r in WARM.run_ids])
    put(ledger,
        [
            Baseline(baseline_id="b-0", model=SMALL, phase="atomic", spec_id=BASE.spec_id, source="default", at="2026-01-02T09:00:00.000Z"),
            Baseline(baseline_id="b-1", model=SMALL, phase="atomic", spec_id=BETTER.spec_id, source="promotion", decision_id="dec-1", at="2026-01-02T12:00:00.000Z"),
            Baseline(baseline_id="b-2", model=TINY, phase="atomic", spec_id="spec-never-measured", source="default", at="2026-01-02T09:00:00.000Z"),
            CYCLE,
        ]
    )  # fmt: skip
    return ledger
