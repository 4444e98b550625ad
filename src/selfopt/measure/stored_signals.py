"""Judges stored trials together with the signals of their replies. Asks no model, and keeps no verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from selfopt.reading import read_calls
from selfopt.reading.agreement import OtherCalls
from selfopt.reading.signals import signals_of
from selfopt.records import (
    Ledger,
    Outcome,
    ParsedReply,
    Prompt,
    ReplyContent,
    Run,
    Signals,
    Spec,
    Suite,
    ToolDefinition,
    Trial,
    canonical_json,
    content_hash,
    sha256_hex,
    tool_set_name,
)
from selfopt.scoring import scorer_of

from .lookup import find
from .rescore import replay, replied
from .trial import Judge


@dataclass(frozen=True, slots=True)
class SignalledTrial:
    """A trial whose final reply was read and judged again.

    Attributes:
        observed: whether the reply has log probabilities, of all that it says.
    """

    trial: Trial
    prompt: Prompt
    signals: Signals
    outcome: Outcome
    observed: bool


def signalled(
    ledger: Ledger, spec: Spec, suite: Suite, trials: Iterable[Trial], others: Mapping[str, OtherCalls] | None = None
) -> Iterator[SignalledTrial]:
    """Read and judge stored trials as a spec's chain does, and compute the signals of their replies.

    A new signal is computed for old replies like a verdict by a new parser: for nothing.

    Args:
        ledger: where the replies are.
        spec: what they answer; its parsers read them.
        suite: the suite of the trials, as it was measured.
        trials: those without a reply, and those that the present variant can't replay, are left out.
        others: what was called in a second way of asking, by prompt.

    Raises:
        CorruptError: the ledger lacks a reply that it names.
    """
    for one in _read(ledger, spec, suite, trials):
        other = OtherCalls() if others is None else others.get(one.prompt.id, OtherCalls())
        agrees = other.agrees(one.parsed.tool_calls)
        yield SignalledTrial(
            trial=one.trial,
            prompt=one.prompt,
            signals=signals_of(one.final, one.parsed, one.tools, one.prompt.messages, agrees=agrees),
            outcome=one.judge.of(one.trial, one.prompt, one.tools, one.parsed).verdict.outcome,
            observed=one.final.logprobs is not None and len(one.final.logprobs) > 0,
        )


def other_calls(ledger: Ledger, spec: Spec, suite: Suite, trials: Iterable[Trial]) -> Mapping[str, OtherCalls]:
    """What stored trials call, by prompt, to compare with. Without those that have no reply.

    Args and errors as of `signalled`.
    """
    return {one.prompt.id: OtherCalls.read(one.final, one.parsed) for one in _read(ledger, spec, suite, trials)}


@dataclass(frozen=True, slots=True)
class _Read:
    """A trial whose final reply was read again."""

    trial: Trial
    prompt: Prompt
    tools: tuple[ToolDefinition, ...]
    final: ReplyContent
    parsed: ParsedReply
    judge: Judge


def _read(ledger: Ledger, spec: Spec, suite: Suite, trials: Iterable[Trial]) -> Iterator[_Read]:
    prompts = {prompt.id: prompt for prompt in suite.prompts}
    chain, scorer = spec.variant.parsers, scorer_of(suite.judging)
    judges: dict[str, Judge] = {}
    for trial in trials:
        prompt = prompts[trial.prompt_id]
        tools, final = suite.tools_of(prompt), None
        if trial.asked and trial.fault in (None, "truncated"):
            final = replay(spec, prompt, tools, replied(ledger, spec, trial, observed=True), whole=True)
        if final is None:
            continue
        if trial.run_id not in judges:
            run = find(ledger, Run, trial.run_id)
            family = run.family if run is not None else "unknown"
            judges[trial.run_id] = Judge(scorer, chain, content_hash("parser", list(chain)), family)
        judge = judges[trial.run_id]
        yield _Read(trial, prompt, tools, final, read_calls(chain, final, tools, prompt.messages, judge.family), judge)


def first_said(suite: Suite, prompts: Iterable[Prompt], seen: Collection[str] = ()) -> dict[str, str]:
    """The ids of prompts, by what a model is told by them: two of the same messages and tools are one.

    Args:
        prompts: of the suite; of those that say the same the first one counts.
        seen: what was said before; that is left out.
    """
    found: dict[str, str] = {}
    for prompt in prompts:
        words = prompt_words(suite, prompt)
        if words not in seen:
            found.setdefault(words, prompt.id)
    return found


def prompt_words(suite: Suite, prompt: Prompt) -> str:
    """What tells the same prompt in two suites: a hash of its messages and of the set of its tools."""
    messages = [message.model_dump(mode="json", exclude_defaults=True) for message in prompt.messages]
    return sha256_hex(canonical_json([tool_set_name(suite.tools_of(prompt)), messages]))
