"""One record of every kind that a ledger keeps, and strategies that make many."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from selfopt.records import (
    Attempt,
    AuditRecord,
    AuthoredReply,
    BanLifted,
    Baseline,
    Blob,
    CandidateResult,
    Conclusion,
    Cycle,
    CycleAbandoned,
    CyclePlan,
    CycleStart,
    CycleTarget,
    CycleTargetResult,
    Decision,
    Delivery,
    Environment,
    Evaluation,
    Exchange,
    Finding,
    GateResult,
    Ledger,
    LoopEnd,
    LoopStart,
    Metrics,
    Outcome,
    OutcomeRow,
    ParsedReply,
    PromptReload,
    Recommendation,
    Record,
    RemedyCheck,
    ReplyContent,
    Run,
    RunEnd,
    SlowFirstCallFigures,
    Spec,
    ToolCall,
    Trial,
    TrialAbandoned,
    TrialStart,
    TrivialPolicy,
    Variant,
    Verdict,
    WarmUpExperiment,
)

from .calibration_samples import calibration_record
from .check_samples import check_records
from .race_samples import race_records

AT = "2026-01-02T03:04:05.678Z"
MODEL = "local/smollm2-135m"
BLOB = Blob.of('{"messages": [{"role": "user", "content": "What is the weather in Oslo? 🌧"}]}' * 8)


def spec(variant_name: str = "native_api", **changes: Any) -> Spec:
    """A spec whose variant has this name."""
    return Spec(
        endpoint="local",
        model=MODEL,
        phase="atomic",
        suite="atomic",
        suite_hash="suite-1",
        variant=Variant(name=variant_name),
        **changes,
    )


def trial(trial_id: str = "trial-1", run_id: str = "run-1", prompt_id: str = "P1", **changes: Any) -> Trial:
    """A trial of one exchange."""
    attempt = Attempt(number=1, started_at=AT, request=BLOB.blob_hash, status=200, latency_ms=12.5)
    fields: dict[str, Any] = {
        "environment_id": "env-1",
        "request_id": "req-1",
        "run_index": 0,
        "position": 0,
        "slot": 0,
        "started_at": AT,
        "exchanges": (Exchange(attempts=(attempt,), content=None),),
        "latency_ms": 12.5,
    }
    return Trial(trial_id=trial_id, run_id=run_id, prompt_id=prompt_id, **(fields | changes))


def verdict(
    trial_id: str = "trial-1", run_id: str = "run-1", arguments: dict[str, Any] | None = None, why: str = "as expected"
) -> Verdict:
    """The verdict on a trial, with one call."""
    call = ToolCall(name="get_weather", arguments={"city": "Oslo"} if arguments is None else arguments)
    return Verdict(
        verdict_id=Verdict.make_id(trial_id, "parser-1", "scorer-1"),
        trial_id=trial_id,
        run_id=run_id,
        prompt_id="P1",
        parser_hash="parser-1",
        scorer_hash="scorer-1",
        outcome=Outcome.PASS,
        needs_call=True,
        parsed=ParsedReply(tool_calls=(call,), parser="json", recognised="fenced JSON"),
        why=why,
    )


def start(trial_id: str = "trial-1", run_id: str = "run-1") -> TrialStart:
    """The start of a trial."""
    return TrialStart(trial_id=trial_id, run_id=run_id, prompt_id="P1", run_index=0, slot=0, at=AT)


def cycle(number: int = 1) -> Cycle:
    """A finished cycle with one target."""
    candidate = CandidateResult(
        spec_id="spec-2",
        variant="few_shot",
        changed="variant",
        accuracy=0.75,
        call_accuracy=0.7,
        restraint=1.0,
        improvement=0.5,
        verdict="promote",
        reason_codes=("promoted",),
        decision_id="dec-1",
        evaluation_id="eval-1",
    )
    target = CycleTargetResult(
        model=MODEL,
        phase="atomic",
        baseline_spec_id="spec-1",
        baseline_variant="native_api",
        baseline_accuracy=0.25,
        baseline_evaluation_id="eval-0",
        candidates=(candidate,),
        winner_spec_id="spec-2",
        winner_variant="few_shot",
        improvement=0.5,
        new_baseline_spec_id="spec-2",
    )
    remedy = RemedyCheck(
        recommendation_id="rec-1", model=MODEL, phase="atomic", claim="warm_up", before=740.0, after=74.0, helped=True
    )
    return Cycle(
        cycle_id=f"cycle-{number}",
        number=number,
        started_at=AT,
        ended_at=AT,
        targets=(target,),
        remedies=(remedy,),
        config_version=1,
        trials=48,
    )


def _evaluation() -> Evaluation:
    policy = TrivialPolicy(accuracy=0.25, call_accuracy=0.0, restraint=1.0)
    row = OutcomeRow(
        prompt_id="P1", prompt_kind="direct", needs_call=True, outcomes=(Outcome.PASS,), trial_ids=("trial-1",), loaded=(None,)
    )
    metrics = Metrics(
        n=1,
        accuracy=1.0,
        call_accuracy=1.0,
        restraint=None,
        capability=1.0,
        run_accuracies=(1.0,),
        variance=0.0,
        counts={Outcome.PASS: 1},
        p50_ms=12.5,
        p95_ms=12.5,
        first_call_ms=12.5,
        silent=policy,
        always_calling=policy,
    )
    return Evaluation(
        evaluation_id="eval-1",
        spec_id="spec-1",
        request_id="req-1",
        environment_id="env-1",
        parser_hash="parser-1",
        scorer_hash="scorer-1",
        model=MODEL,
        phase="atomic",
        suite="atomic",
        suite_hash="suite-1",
        scope="whole",
        split="all",
        variant="native_api",
        run_ids=("run-1",),
        n_runs=1,
        determinism="sampled",
        warm_up=False,
        metrics=metrics,
        rows=(row,),
        at=AT,
    )


def run(run_id: str = "run-1", *, group_id: str = "group-1", model: str = MODEL) -> Run:
    """A run of two prompts."""
    return Run(
        run_id=run_id,
        spec_id="spec-1",
        request_id="req-1",
        environment_id="env-1",
        requested_model=model,
        model=model,
        phase="atomic",
        suite="atomic",
        split="all",
        run_index=0,
        prompt_ids=("P1", "P2"),
        group_id=group_id,
        at=AT,
    )


def experiment(**changes: Any) -> WarmUpExperiment:
    """A reload experiment on one prompt that confirms a cold start."""
    reload = PromptReload(prompt_id="P1", cold_passes=0, cold_n=4, warm_passes=4, warm_n=4, log_bayes_factor=5.768)
    values: dict[str, Any] = {
        "experiment_id": "reload-1",
        "model": MODEL,
        "phase": "atomic",
        "variant": "native_api",
        "suite": "atomic",
        "suite_hash": "suite-1",
        "environment_id": "env-1",
        "evaluation_ids": ("eval-1", "eval-2"),
        "run_ids": ("run-1", "run-2"),
        "cold_runs": 4,
        "warm_runs": 4,
        "unloads": 4,
        "prompts": (reload,),
        "tested": ("P1",),
        "log_bayes_factor": 5.768,
        "first_call_cold_ms": (740.0, 750.0, 735.0, 760.0),
        "first_call_warm_ms": (74.0, 75.0, 73.0, 80.0),
        "first_call_p": 1 / 70,
        "conclusive": True,
        "outcomes_confirmed": True,
        "latency_confirmed": True,
        "harmed": False,
        "at": AT,
    }
    return WarmUpExperiment.model_validate(values | changes)


def every_kind() -> tuple[Record, ...]:
    """One record of each kind."""
    gate = GateResult(name="restraint", observed=1.0, threshold=0.8, passed=True, reason_code="restraint_kept")
    target = CycleTarget(model=MODEL, phase="atomic", baseline_spec_id="spec-1", candidate_spec_ids=("spec-2",))
    return (
        BLOB,
        spec(),
        Environment(endpoint="local", model=MODEL, digest="sha256:1", slots=1),
        run(),
        start(),
        trial(),
        verdict(),
        experiment(),
        TrialAbandoned(trial_id="trial-0", run_id="run-1", at=AT, reason="the process died"),
        RunEnd(run_id="run-1", status="complete", trials=1, at=AT),
        _evaluation(),
        Decision(
            decision_id="dec-1",
            verdict="promote",
            model=MODEL,
            phase="atomic",
            candidate_spec_id="spec-2",
            baseline_spec_id="spec-1",
            claim="this_suite",
            estimate=0.5,
            interval=(0.1, 0.9),
            gates=(gate,),
            reason_codes=("promoted",),
            evaluation_ids=("eval-1",),
            run_ids=("run-1",),
            at=AT,
        ),
        Finding(
            finding_id="find-1",
            type="cold_start",
            model=MODEL,
            phase="atomic",
            spec_id="spec-1",
            summary="slow",
            figures=SlowFirstCallFigures(first_call_ms=900.0, p50_ms=70.0, load_ms=830.0, evaluations=1),
            at=AT,
        ),
        Recommendation(id="rec-1", type="warm_up", model=MODEL, phase="atomic", action="enable_warm_up", reason="cold starts"),
        BanLifted(lifting_id="lift-1", model=MODEL, phase="atomic", ban_ids=("ban-1",), at=AT),
        Baseline(baseline_id="base-1", model=MODEL, phase="atomic", spec_id="spec-1", source="default", at=AT),
        CycleStart(cycle_id="cycle-1", number=1, targets=(target,), config_version=0, at=AT),
        LoopStart(loop_id="loop-1", request="req-1", cycles=2, at=AT),
        LoopEnd(loop_id="loop-1", at=AT),
        CycleAbandoned(cycle_id="cycle-0", number=1, reason="another command", at=AT),
        CyclePlan(cycle_id="cycle-1", targets=(target,), changes={"spec-2": "variant"}, at=AT),
        cycle(),
        *race_records(),
        *check_records(),
        calibration_record(),
        AuthoredReply(reply_id="reply-1", model="scripted/w", purpose="write", content=ReplyContent(text="{}"), at=AT),
        Conclusion(group_id="group-1", request="supervise-1", at=AT),
        Delivery(group_id="group-1", at=AT),
        AuditRecord(timestamp=AT, event="rule_changed", details={"n": [1, None]}, previous_hash="0" * 64, hash="1" * 64),
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
IDS = st.text(st.sampled_from("abcdefgh0123-_/:.é"), min_size=1, max_size=6)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
BLOBS = st.text(max_size=600).map(Blob.of)
TRIALS = st.builds(trial, IDS, IDS, IDS, latency_ms=st.floats(0, 1e9), run_index=st.integers(0, 9))
VERDICTS = st.builds(verdict, IDS, IDS, st.dictionaries(TEXT, JSON_VALUES, max_size=3), TEXT)
STARTS = st.builds(start, IDS, IDS)
CYCLES = st.builds(cycle, st.integers(0, 50))
RECORDS: st.SearchStrategy[Record] = st.one_of(BLOBS, TRIALS, VERDICTS, STARTS, CYCLES)


def put(ledger: Ledger, records: Sequence[Record]) -> None:
    """Append where no event loop runs."""
    asyncio.run(ledger.append(records))
