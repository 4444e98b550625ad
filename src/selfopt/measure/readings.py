"""Judges the same replies by many chains, for nothing, and keeps no verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from selfopt.reading import needs_logprobs, read_calls
from selfopt.reading.chain import doubted, without_threshold
from selfopt.reading.surety import Surety
from selfopt.records import (
    ChainName,
    Correction,
    Ledger,
    ParsedReply,
    Prompt,
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

from .lookup import find
from .rescore import replay, replied
from .trial import Judge


@dataclass(frozen=True, slots=True)
class _Chain:
    """A chain to judge by. plain: its names without the threshold that ends it."""

    key: str
    judge: Judge
    plain: tuple[ChainName, ...]
    surety: Surety | None


def read_by_each(
    ledger: Ledger, spec: Spec, suite: Suite, trials: Iterable[Trial], chains: Mapping[str, Sequence[ChainName]]
) -> dict[str, list[Verdict]]:
    """Judge stored trials as each of several chains reads them.

    Verdicts that only rank candidates are not worth a place in the ledger: they can be made again
    from the trials at any time. Chains that differ in the threshold that ends them share one reading.

    Args:
        ledger: where the replies are.
        spec: the trials are its own.
        suite: the suite of the trials.
        trials: what is judged.
        chains: the chains, by any key.

    Returns:
        The verdicts by the key of their chain, in the order of the trials.
    """
    prompts = {prompt.id: prompt for prompt in suite.prompts}
    each = list(_each(suite, chains))
    observed = any(needs_logprobs(chain) for chain in chains.values())
    found: dict[str, list[Verdict]] = {key: [] for key in chains}
    families: dict[str, str] = {}
    for trial in trials:
        prompt = prompts[trial.prompt_id]
        tools, final = suite.tools_of(prompt), None
        if trial.fault in (None, "truncated"):
            final = replay(spec, prompt, tools, replied(ledger, spec, trial, observed=observed))
        if trial.run_id not in families:
            run = find(ledger, Run, trial.run_id)
            families[trial.run_id] = run.family if run is not None else "unknown"
        for key, verdict in _verdicts(each, trial, prompt, tools, final, families[trial.run_id]):
            found[key].append(verdict)
    return found


def _each(suite: Suite, chains: Mapping[str, Sequence[ChainName]]) -> Iterator[_Chain]:
    scorer = scorer_of(suite.judging)
    for key, chain in chains.items():
        yield _Chain(key, Judge(scorer, chain, content_hash("parser", list(chain))), *without_threshold(chain))


def _verdicts(
    each: Sequence[_Chain],
    trial: Trial,
    prompt: Prompt,
    tools: Sequence[ToolDefinition],
    final: ReplyContent | None,
    family: str,
) -> Iterator[tuple[str, Verdict]]:
    """The verdict of each chain on one trial. Each reading is made once, and each judged once that differs."""
    read: dict[tuple[ChainName, ...], ParsedReply] = {}
    judged: dict[tuple[tuple[ChainName, ...], tuple[Correction, ...]], Verdict] = {}
    for chain in each:
        judge = chain.judge
        if final is None:
            yield chain.key, judge.judged(trial, prompt, tools, None).verdict
            continue
        if chain.plain not in read:
            read[chain.plain] = read_calls(chain.plain, final, tools, prompt.messages, family)
        parsed = read[chain.plain]
        if chain.surety is not None:
            parsed = doubted(parsed, final, chain.surety)
        same = (chain.plain, parsed.corrections)
        if same not in judged:
            judged[same] = judge.of(trial, prompt, tools, parsed).verdict
        yield chain.key, judge.as_own(judged[same])
