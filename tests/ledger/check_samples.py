"""One record of each kind that a check writes down."""

from __future__ import annotations

from typing import Any

from selfopt.records import (
    Check,
    CheckBlock,
    CheckedPrompt,
    CheckFigure,
    CheckReason,
    CheckSide,
    CheckStart,
    ComparedWith,
    Outcome,
    Record,
)

AT = "2026-01-02T03:04:05.678Z"


def check_side(name: str = "now", **changes: Any) -> CheckSide:
    """One side of a check."""
    made = CheckSide(spec_id=name, request_id=f"req-{name}", model="scripted/m", variant=name, environment_id="env-1")
    return made.model_copy(update=changes)


def check_start(n_prompts: int = 3, **changes: Any) -> CheckStart:
    """A check of so many prompts against an earlier configuration; the last of them needs no call."""
    names = tuple([f"p{j}" for j in range(n_prompts)])
    fields: dict[str, Any] = {
        "check_id": "check-1",
        "key": "checked-1",
        "file": "selfopt.check.yaml",
        "model": "scripted/m",
        "phase": "atomic",
        "suite": "small",
        "suite_hash": "suite-1",
        "scorer_hash": "scorer-1",
        "split": "all",
        "prompt_ids": names,
        "needs_call": names[:-1],
        "now": check_side("now"),
        "before": check_side("before"),
        "at": AT,
    }
    return CheckStart(**{**fields, **changes})


def check_record(**changes: Any) -> Check:
    """A check that failed."""
    rows = (
        CheckedPrompt(
            prompt_id="p0",
            prompt_kind="direct",
            needs_call=True,
            now=(Outcome.MISSED,) * 3,
            before=(Outcome.PASS,) * 3,
            must_pass=True,
            verdict="fail",
            trial_ids=("trial-1", "trial-2", "trial-3"),
            before_trial_ids=("trial-4", "trial-5", "trial-6"),
        ),
        CheckedPrompt(prompt_id="p1", prompt_kind="greeting", needs_call=False, now=(Outcome.PASS,), before=(Outcome.PASS,)),
    )
    fields: dict[str, Any] = {
        "check_id": "check-1",
        "key": "checked-1",
        "file": "selfopt.check.yaml",
        "verdict": "fail",
        "reasons": (CheckReason(criterion="must_pass", verdict="fail", prompt_ids=("p0",)),),
        "figures": (
            CheckFigure(
                criterion="regression",
                verdict="undecided",
                method="paired",
                value=0.5,
                before=1.0,
                change=-0.5,
                low=-0.9,
                high=0.1,
                threshold=0.05,
                alpha=0.005,
                log_e=1.0,
                log_e_needed=5.3,
                log_f=-1.0,
                log_f_needed=3.0,
                asked=4,
            ),
            CheckFigure(criterion="must_pass", verdict="fail", method="one_arm", value=0.0, threshold=0.5, alpha=0.005, asked=3),
        ),
        "rows": rows,
        "model": "scripted/m",
        "phase": "atomic",
        "variant": "native_api",
        "spec_id": "spec-1",
        "environment_id": "env-1",
        "suite": "small",
        "suite_hash": "suite-1",
        "scorer_hash": "scorer-1",
        "split": "all",
        "compared_with": ComparedWith(model="scripted/old", variant="native_api", spec_id="spec-2", asked_again=True),
        "blocks": 2,
        "trials": 8,
        "began_at": AT,
        "at": AT,
    }
    return Check(**{**fields, **changes})


def check_records() -> tuple[Record, ...]:
    """The start, a block and the end of a check."""
    block = CheckBlock(
        block_id="check-1-block-0000",
        check_id="check-1",
        number=0,
        prompts=("p0", "p1", "p2"),
        weights=(1.0, 1.0, 1.0),
        max_weight=1.0,
        now=(Outcome.PASS,) * 3,
        before=(Outcome.WRONG,) * 3,
        at=AT,
    )
    return check_start(), block, check_record()
