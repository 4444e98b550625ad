"""Finds the stored answers of a model to the prompts of suites, with the signals of each. Asks nothing."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from selfopt.errors import UsageError
from selfopt.measure.lookup import find, held
from selfopt.measure.stored_signals import SignalledTrial, first_said, other_calls, prompt_words, signalled
from selfopt.reading.agreement import OtherCalls
from selfopt.records import (
    HELD_FACTS,
    Environment,
    Outcome,
    Phase,
    Prompt,
    Purpose,
    Run,
    Sample,
    SampleUsed,
    Signals,
    Spec,
    Split,
    Suite,
    ToolDefinition,
    Trial,
    Variant,
    tool_set_name,
)
from selfopt.wiring.app import App

from .costing import trial_cost

# Isolated samples and warm-ups are asked in another way than a pass is.
_ORDINARY: frozenset[Purpose] = frozenset({"measure", "race", "search"})
_ASKED = ("timeout_s", "connect_timeout_s", "retries", "isolate", "warm_up", "split")
_OTHER_FACTS = frozenset(Environment.model_fields) - set(HELD_FACTS)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A stored answer to one prompt.

    Attributes:
        prompt_id: of the prompt and its suite.
        words: what tells the same prompt in two suites.
        set_name: the tool set's name in its suite.
        tools: those that were offered.
        tool_set: their content name.
        cost: in the currency of the settings; None where the price is unknown.
        second: what was asked in a second way, to compare the calls; None where they are not compared.
        second_cost: of that.
    """

    prompt_id: str
    words: str
    set_name: str
    tools: tuple[ToolDefinition, ...]
    tool_set: str
    trial: Trial
    signals: Signals
    right: bool
    observed: bool
    cost: float | None
    second: Trial | None = None
    second_cost: float | None = None


@dataclass(frozen=True, slots=True)
class SuitePart:
    """A part of a suite, as it was named: `SUITE` or `SUITE:SPLIT`."""

    name: str
    suite: Suite
    split: Split

    @property
    def label(self) -> str:
        """The suite by name and hash, and the split."""
        return f"{self.suite.name}:{self.split} ({self.suite.content_id()})"

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Its prompts."""
        return self.suite.select(self.split)


@dataclass(frozen=True, slots=True)
class Asker:
    """A model with the variant by which it was asked."""

    model: str
    phase: Phase
    variant: Variant


def named(app: App, phase: Phase, text: str, option: str, usual: Split) -> SuitePart:
    """The part of a suite that an option names.

    usual: the split where none is named and the suite has it; else all of it.

    Raises UsageError, SuiteError.
    """
    name, colon, last = text.rpartition(":")
    splits = get_args(Split)
    if colon and last not in splits and "/" not in last and "\\" not in last:
        raise UsageError(
            f"{option} got {text!r}: there is no split {last!r}, only {', '.join(splits)}; write SUITE or SUITE:SPLIT"
        )
    split: Split | None = next((one for one in splits if colon and one == last), None)
    file = text if split is None else name
    suite = app.suite(file)
    part = SuitePart(file, suite, split or (usual if suite.select(usual) else "all"))
    if suite.phase != phase:
        raise UsageError(f"{option}: suite {suite.name} is of phase {suite.phase}, not {phase}; name a suite of {phase}")
    if not part.prompts:
        has = ", ".join(sorted({prompt.split for prompt in suite.prompts}))
        raise UsageError(f"{option}: suite {suite.name} has no prompt in split {part.split!r}, only in {has}")
    return part


def spec_for(app: App, asker: Asker, part: SuitePart) -> Spec:
    """What the model would be asked with now on this part."""
    return app.spec(asker.model, asker.phase, asker.variant, {"suite": part.name, "split": part.split})


def runs_of(app: App, spec: Spec) -> list[tuple[Run, Spec]]:
    """The stored runs that asked what a spec asks, whatever the split and the limits of time, the newest last."""
    found: list[tuple[Run, Spec]] = []
    specs: dict[str, Spec] = {}
    name = app.settings.one_name(spec.model)
    for run in app.ledger.read(Run, {"phase": spec.phase}):
        if run.suite != spec.suite or run.purpose not in _ORDINARY or app.settings.one_name(run.model) != name:
            continue
        asked = specs.setdefault(run.spec_id, held(app.ledger, Spec, run.spec_id))
        alike = {field: getattr(spec, field) for field in ("model", *_ASKED)}
        if asked.model_copy(update=alike).request_id == spec.request_id:
            found.append((run, asked))
    return found


def newest_environment(app: App, specs: Sequence[Spec]) -> Environment | None:
    """What served the newest of the runs that asked what these specs ask."""
    runs = [run for spec in specs for run, _ in runs_of(app, spec)]
    newest = max(runs, key=lambda run: run.at, default=None)
    return None if newest is None else held(app.ledger, Environment, newest.environment_id)


@dataclass(slots=True)
class StoredAnswers:
    """The answers to the prompts of one part, and what is missing.

    Attributes:
        used: why prompts do not take part.
    """

    found: list[StoredAnswer]
    used: SampleUsed


def answers_of(
    app: App,
    asker: Asker,
    sample: Sample,
    part: SuitePart,
    environment: Environment | None,
    seen: Collection[str] = (),
    second: Asker | None = None,
) -> StoredAnswers:
    """The oldest stored answer to each prompt of a part, from an environment that can be the given one.

    Args:
        seen: the words of prompts that took part before; they are left out here.
        second: the second way of asking. Prompts that were not asked so are left out, because live
            traffic is. A trial without a reply takes part: what it would have called is not known.
    """
    spec = spec_for(app, asker, part)
    known = {prompt.id: prompt_words(part.suite, prompt) for prompt in part.prompts}
    fresh = set(first_said(part.suite, part.prompts, seen).values())
    trials = _trials(app, spec, environment, fresh)
    unmeasured = len(fresh) - len(trials)
    others: dict[str, Trial] = {}
    compared: Mapping[str, OtherCalls] | None = None
    if second is not None:
        other = spec_for(app, second, part)
        others = _trials(app, other, environment, fresh)
        compared = other_calls(app.ledger, other, part.suite, others.values())
        trials = {prompt_id: trial for prompt_id, trial in trials.items() if prompt_id in others}
    read = signalled(app.ledger, spec, part.suite, trials.values(), compared)
    found = [_answer(app, asker, part, known, one, others.get(one.prompt.id)) for one in read]
    # Without a reply there is nothing that could be served.
    answered = len(found)
    used = SampleUsed(
        sample=sample,
        suite=part.suite.name,
        split=part.split,
        synthetic=part.suite.synthetic is not None,
        prompts=len(known),
        used=answered,
        unmeasured=unmeasured,
        unanswered=len(trials) - answered,
        unobserved=sum(not one.observed for one in found),
        repeated=len(known) - len(fresh),
        command=run_command(asker, part),
        second_unmeasured=0 if second is None else len(fresh) - len(others),
        second_command="" if second is None else run_command(second, part),
    )
    return StoredAnswers(found, used)


def run_command(asker: Asker, part: SuitePart) -> str:
    """The command that measures a model on a part."""
    words = ["selfopt", "run", asker.model, asker.phase, asker.variant.name, "--suite", part.name, "--split", part.split]
    return f"{shlex.join(words)} --force-model"


def _trials(app: App, spec: Spec, environment: Environment | None, wanted: Collection[str]) -> dict[str, Trial]:
    """The oldest trial of each prompt; one with a reply comes before one without."""
    whole: dict[str, Trial] = {}
    failed: dict[str, Trial] = {}
    for run, _ in runs_of(app, spec):
        then = find(app.ledger, Environment, run.environment_id)
        if environment is None or then is None or not then.compatible_with(environment, ignoring=_OTHER_FACTS):
            continue
        for trial in app.ledger.read(Trial, {"run_id": run.run_id}):
            if trial.prompt_id in wanted:
                answered = trial.asked and trial.fault in (None, "truncated")
                (whole if answered else failed).setdefault(trial.prompt_id, trial)
    return {prompt_id: whole.get(prompt_id) or failed[prompt_id] for prompt_id in sorted({*whole, *failed})}


def _answer(
    app: App, asker: Asker, part: SuitePart, known: dict[str, str], one: SignalledTrial, second: Trial | None
) -> StoredAnswer:
    tools = part.suite.tools_of(one.prompt)
    return StoredAnswer(
        prompt_id=f"{part.suite.name}/{one.prompt.id}",
        words=known[one.prompt.id],
        set_name=one.prompt.tool_set,
        tools=tools,
        tool_set=tool_set_name(tools),
        trial=one.trial,
        signals=one.signals,
        right=one.outcome is Outcome.PASS,
        observed=one.observed,
        cost=trial_cost(app.settings, asker.model, one.trial),
        second=second,
        second_cost=None if second is None else trial_cost(app.settings, asker.model, second),
    )
