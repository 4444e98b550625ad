"""Judges stored trials again, with another parser chain or a newer scorer. Asks no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from selfopt.errors import CorruptError, SuiteError
from selfopt.reading import needs_logprobs
from selfopt.reading.covering import covered
from selfopt.records import (
    ChainName,
    Ledger,
    Prompt,
    Record,
    ReplyContent,
    Run,
    Spec,
    Suite,
    ToolDefinition,
    Trial,
    Verdict,
    content_hash,
)
from selfopt.scoring import scorer_of
from selfopt.variants import options_of, render

from .lookup import find, held
from .stored import stored_replies
from .trial import Judge, JudgedTrial

_BATCH = 200

_Verdicts = dict[str, dict[tuple[str, str], Verdict]]
"""The verdicts on the trials of a run, by trial id and then by parser hash and scorer hash."""


@dataclass(frozen=True, slots=True)
class Rescored:
    """The result of judging again.

    Attributes:
        trials: under the new verdicts.
        fresh: how many verdicts were not in the ledger before.
        changed: how many trials have another outcome than in the newest verdict by another parser
            chain or scorer.
        skipped: ids of the trials that the present variant cannot replay, because it asks for
            requests that were never made.
    """

    trials: tuple[JudgedTrial, ...]
    fresh: int
    changed: int
    skipped: tuple[str, ...]


def stored_contents(ledger: Ledger, trial: Trial, *, observed: bool = False) -> list[ReplyContent]:
    """The replies to a trial's successful requests, in order. observed: with their log probabilities.

    CorruptError when a blob is missing.
    """
    return [reply.observed() if observed else reply.content() for reply in stored_replies(ledger, trial)]


def replied(ledger: Ledger, spec: Spec, trial: Trial, *, observed: bool = False) -> list[ReplyContent]:
    """The replies of a trial as `replay` needs them: with their log probabilities where they are
    observed, or where steps read them.
    """
    return stored_contents(ledger, trial, observed=observed or options_of(spec.variant).asks_first)


def replay(
    spec: Spec, prompt: Prompt, tools: Sequence[ToolDefinition], contents: Sequence[ReplyContent], *, whole: bool = False
) -> ReplyContent | None:
    """The reply that the parsers would read if these replies came now. None when the variant asks for
    more of them.

    whole: log probabilities that are too few for what a reply says are left out. Of a reply of which
    they alone are read they are never too few.
    """
    steps = render(spec.variant, prompt.messages, tools, embeds=True)
    step = next(steps)
    for content in contents:
        try:
            step = steps.send(covered(content) if whole and step.logprobs is None else content)
        except StopIteration as stop:
            final: ReplyContent = stop.value
            return final
    steps.close()
    return None


def rejudge(ledger: Ledger, spec: Spec, judge: Judge, suite: Suite, prompt: Prompt, trial: Trial) -> JudgedTrial | None:
    """One stored trial of a spec under another judge; None when it cannot be replayed."""
    tools, final = suite.tools_of(prompt), None
    if trial.fault in (None, "truncated"):
        final = replay(spec, prompt, tools, replied(ledger, spec, trial, observed=needs_logprobs(judge.parsers)))
        if final is None:
            return None
    return judge.judged(trial, prompt, tools, final)


def check_suite(spec: Spec, suite: Suite) -> None:
    """SuiteError when the suite is not the one that a spec was measured with."""
    if suite.content_id() != spec.suite_hash:
        raise SuiteError(
            f"suite {suite.name} is {suite.content_id()} now, but {spec.label} was measured with {spec.suite_hash}; "
            "restore the suite as it was, or measure again"
        )


async def ensure_verdicts(
    ledger: Ledger, spec: Spec, suite: Suite, trials: Iterable[Trial], parsers: Sequence[ChainName] | None = None
) -> Rescored:
    """The verdicts of the present scorer on trials. Makes and appends those that are missing.

    Args:
        suite: the one that was measured (see `check_suite`).
        parsers: the parser chain; None: that of the spec.
    """
    chain = tuple(parsers if parsers is not None else spec.variant.parsers)
    judge = Judge(scorer_of(suite.judging), chain, content_hash("parser", list(chain)))
    present = judge.parser_hash, judge.scorer.scorer_hash
    prompts = {prompt.id: prompt for prompt in suite.prompts}
    found: list[JudgedTrial] = []
    pending: list[Record] = []
    skipped: list[str] = []
    fresh = changed = 0
    by_run: dict[str, tuple[Judge, _Verdicts]] = {}
    for trial in trials:
        if trial.run_id not in by_run:
            run = find(ledger, Run, trial.run_id)
            of_run = replace(judge, family=run.family) if run is not None else judge
            by_run[trial.run_id] = of_run, _verdicts(ledger, trial.run_id)
        of_run, verdicts = by_run[trial.run_id]
        known = verdicts.get(trial.trial_id, {})
        verdict = known.get(present)
        if verdict is None:
            judged = rejudge(ledger, spec, of_run, suite, prompts[trial.prompt_id], trial)
            if judged is None:
                skipped.append(trial.trial_id)
                continue
            verdict = judged.verdict
            fresh += 1
            pending.append(verdict)
            if len(pending) >= _BATCH:
                await ledger.append(pending)
                pending = []
        others = [v for key, v in known.items() if key != present]
        changed += bool(others) and others[-1].outcome is not verdict.outcome
        found.append(JudgedTrial(trial, verdict))
    if pending:
        await ledger.append(pending)
    return Rescored(tuple(found), fresh, changed, tuple(skipped))


def _verdicts(ledger: Ledger, run_id: str) -> _Verdicts:
    found: _Verdicts = {}
    for verdict in ledger.read(Verdict, {"run_id": run_id}):
        found.setdefault(verdict.trial_id, {})[verdict.parser_hash, verdict.scorer_hash] = verdict
    return found


async def rescore(ledger: Ledger, run_ids: Sequence[str], suite: Suite, parsers: Sequence[ChainName] | None = None) -> Rescored:
    """Judge the trials of stored runs with the present scorer.

    Args:
        parsers: the parser chain; None: that of each run's spec.

    Raises:
        CorruptError: a run or its spec is not in the ledger.
        SuiteError: the suite has changed since.
    """
    parts: list[Rescored] = []
    for run_id in run_ids:
        run = find(ledger, Run, run_id)
        if run is None:
            raise CorruptError(f"the ledger has no run {run_id}; `selfopt feedback` and `selfopt report` name the runs there are")
        spec = held(ledger, Spec, run.spec_id)
        check_suite(spec, suite)
        parts.append(await ensure_verdicts(ledger, spec, suite, ledger.read(Trial, {"run_id": run_id}), parsers))
    return Rescored(
        tuple(item for part in parts for item in part.trials),
        sum(part.fresh for part in parts),
        sum(part.changed for part in parts),
        tuple(trial_id for part in parts for trial_id in part.skipped),
    )
