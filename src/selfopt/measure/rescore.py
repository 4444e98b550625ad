"""Judge stored trials again: with another parser chain or a newer scorer, without asking any model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from selfopt.errors import CorruptError, SuiteError
from selfopt.records import (
    Blob,
    ChainName,
    Fault,
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
from selfopt.scoring import Scorer, scorer_of
from selfopt.variants import render

from .lookup import find
from .trial import JudgedTrial, judge_content, make_verdict

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Rescored:
    """trials under the new judgment; fresh: verdicts that were not in the ledger; changed: trials whose outcome differs
    from the newest verdict they had under another parser chain or scorer; skipped: ids of trials that the present
    variants cannot replay (they ask for requests that were never made)."""

    trials: tuple[JudgedTrial, ...]
    fresh: int
    changed: int
    skipped: tuple[str, ...]


def stored_contents(ledger: Ledger, trial: Trial) -> list[ReplyContent]:
    """The contents of a trial's successful requests, in order. CorruptError when a blob is missing."""
    contents = []
    for item in trial.exchanges:
        if item.content is None:
            continue
        blob = find(ledger, Blob, item.content)
        if blob is None:
            raise CorruptError(f"trial {trial.trial_id}: the ledger has no blob {item.content}; restore the ledger from a copy")
        contents.append(ReplyContent.model_validate_json(blob.text))
    return contents


def replay(spec: Spec, prompt: Prompt, tools: Sequence[ToolDefinition], contents: Sequence[ReplyContent]) -> ReplyContent | None:
    """What the parsers read, had these replies come now; None when the variant asks for more than there is."""
    steps = render(spec.variant, prompt.messages, tools)
    next(steps)
    for content in contents:
        try:
            steps.send(content)
        except StopIteration as stop:
            final: ReplyContent = stop.value
            return final
    steps.close()
    return None


def rejudge(
    spec: Spec,
    scorer: Scorer,
    parsers: Sequence[ChainName],
    suite_prompt: tuple[Prompt, Sequence[ToolDefinition]],
    trial: Trial,
    contents: Sequence[ReplyContent],
) -> JudgedTrial | None:
    """One trial under a parser chain; None when it cannot be replayed."""
    prompt, tools = suite_prompt
    final: ReplyContent | None = None
    fault: Fault | None = trial.fault
    if fault in (None, "truncated"):
        final = replay(spec, prompt, tools, contents)
        if final is None:
            return None
    parser_hash = content_hash("parser", list(parsers))
    judged = judge_content(scorer, parsers, prompt, tools, final, fault)
    return JudgedTrial(trial, make_verdict(trial, prompt, scorer, parser_hash, judged))


def check_suite(spec: Spec, suite: Suite) -> None:
    """SuiteError when the suite is not the one that a spec was measured with."""
    if suite.content_id() != spec.suite_hash:
        raise SuiteError(
            f"suite {suite.name} is {suite.content_id()}, {spec.label} belongs to {spec.suite_hash}; "
            "take the suite as it was, or measure again"
        )


async def ensure_verdicts(
    ledger: Ledger, spec: Spec, suite: Suite, trials: Iterable[Trial], parsers: Sequence[ChainName] | None = None
) -> Rescored:
    """The verdicts of the present scorer on trials, under the spec's parser chain or another; those that are missing are
    made and appended. The suite must be the one that was measured (see check_suite)."""
    chain = tuple(parsers if parsers is not None else spec.variant.parsers)
    parser_hash = content_hash("parser", list(chain))
    scorer = scorer_of(suite.judging)
    prompts = {prompt.id: (prompt, suite.tools_of(prompt)) for prompt in suite.prompts}
    found: list[JudgedTrial] = []
    pending: list[Record] = []
    skipped: list[str] = []
    fresh = changed = 0
    verdicts = _Verdicts(ledger)
    for trial in trials:
        known = verdicts.of(trial)
        verdict = known.get((parser_hash, scorer.scorer_hash))
        if verdict is None:
            judged = rejudge(spec, scorer, chain, prompts[trial.prompt_id], trial, stored_contents(ledger, trial))
            if judged is None:
                skipped.append(trial.trial_id)
                continue
            verdict = judged.verdict
            fresh += 1
            pending.append(verdict)
            if len(pending) >= _BATCH:
                await ledger.append(pending)
                pending = []
        others = [v for key, v in known.items() if key != (parser_hash, scorer.scorer_hash)]
        changed += bool(others) and others[-1].outcome is not verdict.outcome
        found.append(JudgedTrial(trial, verdict))
    if pending:
        await ledger.append(pending)
    return Rescored(tuple(found), fresh, changed, tuple(skipped))


class _Verdicts:
    """Verdicts by trial, read run by run."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._runs: dict[str, dict[str, dict[tuple[str, str], Verdict]]] = {}

    def of(self, trial: Trial) -> Mapping[tuple[str, str], Verdict]:
        """The verdicts on one trial by parser hash and scorer hash."""
        if trial.run_id not in self._runs:
            by_trial: dict[str, dict[tuple[str, str], Verdict]] = {}
            for verdict in self._ledger.read(Verdict, {"run_id": trial.run_id}):
                by_trial.setdefault(verdict.trial_id, {})[verdict.parser_hash, verdict.scorer_hash] = verdict
            self._runs[trial.run_id] = by_trial
        return self._runs[trial.run_id].get(trial.trial_id, {})


async def rescore(ledger: Ledger, run_ids: Sequence[str], suite: Suite, parsers: Sequence[ChainName] | None = None) -> Rescored:
    """Judge the trials of stored runs under another parser chain (None: the one of their spec) and the present scorer.

    CorruptError when a run or its spec is not in the ledger; SuiteError when the suite has changed since.
    """
    parts: list[Rescored] = []
    for run_id in run_ids:
        run = find(ledger, Run, run_id)
        if run is None:
            raise CorruptError(f"the ledger has no run {run_id}; `selfopt feedback` and `selfopt report` name the runs there are")
        spec = find(ledger, Spec, run.spec_id)
        if spec is None:
            raise CorruptError(f"run {run_id}: the ledger has no spec {run.spec_id}; restore the ledger from a copy")
        check_suite(spec, suite)
        parts.append(await ensure_verdicts(ledger, spec, suite, ledger.read(Trial, {"run_id": run_id}), parsers))
    return Rescored(
        tuple(item for part in parts for item in part.trials),
        sum(part.fresh for part in parts),
        sum(part.changed for part in parts),
        tuple(trial_id for part in parts for trial_id in part.skipped),
    )
