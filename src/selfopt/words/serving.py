"""The sentences on top of a report: may a model serve, and how well it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from selfopt.home import counted
from selfopt.records import Evaluation, Phase
from selfopt.stats import Interval

from .evidence import on_prompts
from .first_run import percent, short_name, uninvited_text

ServingState = Literal["serves", "when_sure", "replaced", "refused", "undecided"]
"""Whether a model may serve a phase. `replaced`: another model answers. `undecided`: there is no rule about it."""

SERVED: dict[Phase, str] = {"atomic": "single requests with tools", "extended": "conversations with tools"}
_HEADLINES: dict[ServingState, str] = {
    "serves": "{} may serve {}",
    "when_sure": "{} may serve the {} of which they are sure",
    "replaced": "{} may not serve {}",
    "refused": "{} may not serve {}",
    "undecided": "it is not known yet whether {} may serve {}",
}
_NAMED = 3  # models that a headline names
_GROUPS = 2  # of which it says something


def serving_text(model: str, phase: Phase, state: ServingState, fallback: str | None) -> str:
    """Whether a model may serve a phase, as a sentence without its full stop. The names are not escaped."""
    what, other = SERVED[phase], fallback or "nobody"
    texts: dict[ServingState, str] = {
        "serves": f"{model} may serve {what}",
        "when_sure": f"{model} may serve the {what} that it is sure of; {other} answers the rest",
        "replaced": f"{model} may not serve {what}; {other} answers in its place",
        "refused": f"{model} may not serve {what}, and no other model may in its place",
        "undecided": f"Whether {model} may serve {what} is not known yet",
    }
    return texts[state]


def undecided_text(model: str, phase: Phase, *, measured: bool) -> str:
    """What to do about a model of which nothing is decided."""
    if measured:
        return "No rule is about it: run selfopt feedback, then selfopt enforce"
    return f"It was never measured: run selfopt supervise {model} {phase}"


def right_text(after: Evaluation, interval: Interval | None, answered: int) -> str:
    """How often a model was right, and whether it calls tools uninvited.

    interval: at 95 % confidence; None where the share is exact for these prompts. answered: how many prompts there are.
    """
    kind = "held-out prompt" if after.split == "heldout" else "prompt"
    sure = "exact for this suite" if interval is None else f"95 %: {interval_text(interval)}"
    uninvited = uninvited_text(after.metrics.restraint).removeprefix(", ")
    right = f"It was right on {percent(after.metrics.accuracy)} of {counted(answered, kind)} ({sure})"
    return on_prompts(right, synthetic=after.synthetic) + (f" and {uninvited}" if uninvited else "")


def interval_text(interval: Interval) -> str:
    """Both ends of an interval of a share, such as `59 to 74 %`."""
    return f"{interval.low * 100:.0f} to {interval.high * 100:.0f} %"


def before_text(before: Evaluation, after: Evaluation) -> str:
    """How often a model was right at first. The variant's name is not escaped."""
    same = before.metrics.accuracy == after.metrics.accuracy
    return f"Before, with {before.variant}, it was {'right as often' if same else f'right on {percent(before.metrics.accuracy)}'}"


def silent_text(evaluation: Evaluation) -> str:
    """What a model would reach that never calls a tool."""
    return f"A model that never calls a tool would be right on {percent(evaluation.metrics.silent.accuracy)}"


def headline_text(found: Sequence[tuple[str, Phase, ServingState]]) -> str:
    """Which models may serve, in one sentence without its full stop. Names are not escaped."""
    if not found:
        return "Nothing is measured yet"
    groups: dict[tuple[str, Phase], list[str]] = {}
    for model, phase, state in sorted(found, key=lambda one: list(_HEADLINES).index(one[2])):
        groups.setdefault((_HEADLINES[state], phase), []).append(short_name(model))
    if len(groups) > _GROUPS:
        return _counted([state for _, _, state in found])
    told = "; ".join(form.format(_listed(names), SERVED[phase]) for (form, phase), names in groups.items())
    return f"I{told[1:]}" if all(state == "undecided" for _, _, state in found) else told


def _counted(states: Sequence[ServingState]) -> str:
    """How many models may serve, where naming them takes too many words."""
    kinds = (("may serve", ("serves",)), ("may when sure", ("when_sure",)), ("may not", ("replaced", "refused")))
    told = [f"{n} {words}" for words, those in kinds if (n := sum(state in those for state in states))]
    if unknown := states.count("undecided"):
        told.append(f"{unknown} {'is' if unknown == 1 else 'are'} not known yet")
    return f"Of {len(states)} models and kinds of request, {_listed(told, len(told))}"


def _listed(names: Sequence[str], most: int = _NAMED) -> str:
    """Names, or how many there are: `a`, `a and b`, `5 models`."""
    if len(names) > most:
        return counted(len(names), "model")
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])
