"""Homes whose pages have something to show."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from selfopt.ledger import open_ledger
from selfopt.records import (
    Attempt,
    Blob,
    Evaluation,
    Exchange,
    Metrics,
    Outcome,
    OutcomeRow,
    ParsedReply,
    Record,
    ReplyContent,
    Run,
    Spec,
    ToolCall,
    Trial,
    TrivialPolicy,
    Variant,
    Verdict,
)

HOSTILE = "<script>alert(1)</script>\"onload=x '\u202ereversed"
AT = "2026-11-30T12:00:00.000Z"
_NOTHING = TrivialPolicy(accuracy=0.0, call_accuracy=None, restraint=None)


async def store(home: Path, records: Iterable[Record]) -> None:
    """Append records to the ledger of a home, which is made if need be."""
    home.mkdir(mode=0o700, exist_ok=True)  # noqa: ASYNC240
    ledger = open_ledger(home / "ledger.sqlite3")
    await ledger.append(list(records))
    ledger.close()


def spec(variant: str = "native_api", model: str = "scripted/good", suite: str = "mine") -> Spec:
    """A spec whose suite is not at hand."""
    return Spec(
        endpoint="scripted",
        model=model,
        phase="atomic",
        suite=suite,
        suite_hash="suite-x",
        split="search",
        variant=Variant(name=variant, parsers=("all@2",), tag=variant),
    )


def evaluation_of(
    one: Spec, outcomes: list[Outcome], reply: str = "hello", *, number: int = 0, kind: str = "direct"
) -> list[Record]:
    """The records of one pass over as many prompts as there are outcomes: each has the same reply."""
    run_id, content = f"run-{one.variant.name[:12]}-{number}", Blob.of(ReplyContent(text=reply).model_dump_json())
    records: list[Record] = [one, content]
    rows = []
    for n, outcome in enumerate(outcomes):
        trial_id = f"trial-{one.variant.name[:12]}-{number}-{n:04d}"
        attempt = Attempt(number=1, started_at=AT, request=content.blob_hash, reply=content.blob_hash, status=200, latency_ms=5.0)
        records += [
            Trial(
                trial_id=trial_id,
                run_id=run_id,
                request_id=one.request_id,
                environment_id="env-x",
                prompt_id=f"p-{n:04d}",
                run_index=0,
                position=n,
                slot=0,
                started_at=AT,
                exchanges=(Exchange(attempts=(attempt,), content=content.blob_hash),),
                latency_ms=5.0,
            ),
            Verdict(
                verdict_id=Verdict.make_id(trial_id, one.variant.parser_hash, "scorer-x"),
                trial_id=trial_id,
                run_id=run_id,
                prompt_id=f"p-{n:04d}",
                parser_hash=one.variant.parser_hash,
                scorer_hash="scorer-x",
                outcome=outcome,
                needs_call=True,
                parsed=ParsedReply(tool_calls=(ToolCall(name="look", arguments={"for": reply}),)),
                why=f"because {reply}",
            ),
        ]
        rows.append(
            OutcomeRow(prompt_id=f"p-{n:04d}", prompt_kind=kind, needs_call=True, outcomes=(outcome,), trial_ids=(trial_id,))
        )
    passed = outcomes.count(Outcome.PASS) / len(outcomes)
    run = Run(
        run_id=run_id,
        spec_id=one.spec_id,
        request_id=one.request_id,
        environment_id="env-x",
        requested_model=one.model,
        model=one.model,
        phase=one.phase,
        suite=one.suite,
        split=one.split,
        run_index=0,
        prompt_ids=tuple(row.prompt_id for row in rows),
        at=AT,
    )
    found = Evaluation(
        evaluation_id=f"eval-{one.variant.name[:12]}-{number}",
        spec_id=one.spec_id,
        request_id=one.request_id,
        environment_id="env-x",
        parser_hash=one.variant.parser_hash,
        scorer_hash="scorer-x",
        model=one.model,
        phase=one.phase,
        suite=one.suite,
        suite_hash=one.suite_hash,
        scope="sample",
        split=one.split,
        variant=one.variant.name,
        run_ids=(run_id,),
        n_runs=1,
        determinism="unknown",
        warm_up=False,
        metrics=Metrics(
            n=len(outcomes),
            accuracy=passed,
            call_accuracy=passed,
            restraint=None,
            capability=passed,
            run_accuracies=(passed,),
            variance=0.0,
            counts={outcome: outcomes.count(outcome) for outcome in set(outcomes)},
            p50_ms=5.0,
            p95_ms=5.0,
            first_call_ms=5.0,
            silent=_NOTHING,
            always_calling=_NOTHING,
        ),
        rows=tuple(rows),
        at=AT,
    )
    return [*records, run, found]
