"""Whether a model may serve when it is sure, in words."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.home import counted, escape_control
from selfopt.records import Calibration, Escalation, Phase, SampleUsed, ServedFigures, WayFigures

from .evidence import on_prompts
from .money import pays_text
from .second_way import second_gap_text, second_text
from .thresholds import CLAIM_ON, least_text, share_text

SAMPLE_NAMES = {"fit": "fit", "calibrate": "calibration", "verify": "verification"}


def asked_text(calibration: Calibration) -> str:
    """The bound that was asked for: `at most 10 % wrong of what is served, at 95 % confidence, on these tools`."""
    share, confidence = share_text(calibration.max_bad_share), share_text(calibration.confidence)
    return f"at most {share} wrong of what is served, at {confidence} confidence, {CLAIM_ON[calibration.claim]}"


def answer_text(calibration: Calibration, *, synthetic: bool = False) -> list[str]:
    """Whether the model may serve, and what the bound says; sentences without a full stop. The first answers."""
    model = escape_control(calibration.model, 200)
    when = calibration.serve_when
    if when is None:
        return _refused(calibration, model)
    bound = when.bound
    rest = "everything else goes to " + (escape_control(calibration.fallback, 200) if calibration.fallback else "the fallback")
    unit = f"{counted(bound.n, 'prompt')} over {counted(bound.tool_sets, 'tool set')}"
    sets = ""
    if bound.sets_low is not None and bound.sets_high is not None:
        sets = f"; over tool sets the share lies between {share_text(bound.sets_low)} and {share_text(bound.sets_high)}"
    return [
        f"Yes, {model} may serve when its confidence is {least_text(when.least)} or more; {rest}",
        on_prompts(
            f"It then serves {share_text(bound.served / max(1, bound.n))} of the calibration prompts ({bound.served} of {unit}), {bound.bad} "
            f"of them wrong. At {share_text(bound.confidence)} confidence at most {share_text(bound.upper)} of what is served is wrong, "
            f"{CLAIM_ON[bound.claim]}; asked for was {share_text(bound.max_bad_share)}{sets}",
            synthetic=synthetic,
        ),
    ]


def _refused(calibration: Calibration, model: str) -> list[str]:
    said = [f"No, not at this bound: no confidence of {model} is shown to keep {asked_text(calibration)}"]
    if calibration.least_feasible is None:
        said.append("No other share of wrong answers is shown on these prompts either")
    else:
        share = share_text(calibration.least_feasible)
        said.append(
            f"On these prompts it could be shown for a share of {share}; that was found by looking, so it is a hint, and no bound"
        )
    needed = calibration.prompts_needed
    if needed is None:
        said.append("More prompts like these would not help: its surest answers are wrong too often")
    elif needed:
        said.append(
            f"With about {needed} more {'prompt' if needed == 1 else 'prompts'} like these to calibrate on, it would be shown"
        )
    return said


def figures_text(figures: ServedFigures, confidence: float) -> str:
    """What is served of some prompts, and how much of that is wrong."""
    where = {"fit": "the prompts of the fit", "calibrate": "the calibration prompts", "verify": "the prompts of the verification"}
    said = f"Of {where[figures.sample]} {figures.served} of {figures.prompts} are served"
    if not figures.served or figures.bad_share is None or figures.upper is None:
        return said
    share = figures.bad_share
    over = ""
    if share.low is not None and share.high is not None:
        over = (
            f"; 95 % interval over {counted(figures.tool_sets, 'tool set')}: {share_text(share.low)} to {share_text(share.high)}"
        )
    said += f", {figures.bad} of these wrong: {share_text(share.value)}"
    return f"{said} (at most {share_text(figures.upper)} at {share_text(confidence)} confidence{over})"


def verified_text(figures: ServedFigures, calibration: Calibration) -> str:
    """What the prompts of the verification say of the bound."""
    if not figures.served:
        return "Nothing is served of the prompts of the verification, so they say nothing of the bound"
    if outside := _outside(figures, calibration):
        return outside
    share = figures.bad / figures.served
    asked = calibration.max_bad_share
    if share <= asked:
        return f"The verification agrees: {share_text(share)} of what is served is wrong, and {share_text(asked)} may be"
    return f"The verification DISAGREES: {share_text(share)} of what is served is wrong, more than the {share_text(asked)} that may be"


def _outside(figures: ServedFigures, calibration: Calibration) -> str:
    """What is said where the bound is not about all of these prompts; "" where it is."""
    if calibration.claim != "these_tools":
        return ""
    others = [one for name, one in figures.sets.items() if name not in calibration.shares]
    if not others:
        return ""
    return (
        f"The verification says nothing of the bound: {sum(one.prompts for one in others)} of its {counted(figures.prompts, 'prompt')} "
        "offer tools that the calibration does not have, and live such requests go to the stronger model; verify it on prompts of "
        "the same tool sets, or calibrate with --claim unseen-tools"
    )


def paired_text(figures: ServedFigures, larger: str) -> str | None:
    """What both models in turn do beside the larger one alone; None where that is not known."""
    if figures.large is None or figures.cascade is None or figures.difference is None:
        return None
    difference = figures.difference
    over = ""
    if difference.low is not None and difference.high is not None:
        over = f" (95 %: {100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    return (
        f"On {counted(figures.paired, 'prompt')} that both answered, both in turn are right on {share_text(figures.cascade.accuracy)}, "
        f"{escape_control(larger, 200)} alone on {share_text(figures.large.accuracy)}: {100 * difference.value:+.1f} points{over}"
    )


def cost_head(escalation: Escalation) -> str:
    """The head of a column of costs: `cost of 1,000 (USD)`."""
    currency = escape_control(escalation.currency, 20)
    return f"cost of 1,000 ({currency})" if currency else "cost of 1,000"


def way_cost(figures: WayFigures) -> str:
    """What 1,000 prompts cost; `-` where a price is unknown."""
    return "-" if figures.cost is None else f"{1000 * figures.cost:.3g}"


def gaps_text(used: SampleUsed) -> list[str]:
    """What is missing of a part, and which command makes it; sentences without a full stop."""
    where = f"{SAMPLE_NAMES[used.sample]}, {escape_control(used.suite, 100)}:{used.split}"
    said = []
    if used.unmeasured:
        what = f"{used.unmeasured} of {counted(used.prompts, 'prompt')} have no stored answer"
        said.append(f"{where}: {what}; measure them with: {escape_control(used.command, 500)}")
    said += [f"{where}: {gap}" for gap in second_gap_text(used)]
    if used.unanswered:
        said.append(f"{where}: {counted(used.unanswered, 'trial')} got no reply, and so there was nothing to serve")
    if used.unobserved:
        said.append(
            f"{where}: {counted(used.unobserved, 'reply')} came without log probabilities of all that they say, so a confidence that "
            "reads these serves none of them; the server may have none, or was not asked for them"
        )
    if used.repeated:
        said.append(f"{where}: {counted(used.repeated, 'prompt')} took part before, or stand here twice, and are left out")
    return said


def nothing_stored_text(model: str, variant: str, used: Sequence[SampleUsed], second: str | None = None) -> str:
    """What to do where samples have no answer at all. used: their parts; second: the variant that is asked a second time."""
    missing = [one for one in used if one.unmeasured or one.unanswered or one.second_unmeasured]
    spent = {one.sample for one in used} - {one.sample for one in missing}
    shown = [one for one in used if one.sample in spent] or missing
    where = " and ".join(f"{escape_control(one.suite, 100)}:{one.split} (for the {SAMPLE_NAMES[one.sample]})" for one in shown)
    if spent:
        options = " and ".join(f"--{sample} SUITE[:SPLIT]" for sample in sorted(spent))
        return (
            f"{where}: all prompts took part before; name others with {options}, such as the held-out ones of a suite of your own"
        )
    asked = [one.command for one in missing if one.unmeasured or one.unanswered]
    asked += [one.second_command for one in missing if one.second_unmeasured]
    commands = " && ".join(dict.fromkeys(escape_control(command, 500) for command in asked))
    ways = escape_control(variant, 200) + (f" and with {escape_control(second, 200)}" if second is not None else "")
    return f"no stored answer of {escape_control(model, 200)} with {ways} to {where}; measure them first: {commands}"


def nothing_observed_text(model: str, used: Sequence[SampleUsed]) -> str:
    """What to do where no reply has log probabilities."""
    commands = " && ".join(dict.fromkeys(f"{escape_control(one.command, 500)} --fresh" for one in used))
    return (
        f"no stored answer of {escape_control(model, 200)} has log probabilities, by which it would be told how sure it was; set "
        f"logprobs = true for its endpoint and measure again: {commands}"
    )


def needed_text(max_bad_share: float, confidence: float, least: int, heldout: Sequence[tuple[Phase, str, int]]) -> list[str]:
    """How many prompts a bound needs before anything can be shown, and how many suites have for it.

    heldout: phase, name and number of held-out prompts of each suite.
    """
    said = [
        f"serving when sure, at most {share_text(max_bad_share)} wrong at {share_text(confidence)} confidence: needs at least "
        f"{counted(least, 'calibration prompt')} that are served and right, and more if any is wrong"
    ]
    for phase, name, count in heldout:
        short = "too few" if count < least else "enough if the surest answers are right"
        said.append(f"{phase}: {escape_control(name, 100)} has {counted(count, 'held-out prompt')}, {short}")
    return said


def escalation_text(escalation: Escalation) -> list[str]:
    """All that is known, in sentences without a full stop. The first answers whether it may serve."""
    calibration = escalation.calibration
    synthetic = any(one.synthetic for one in escalation.samples)
    said = [*answer_text(calibration, synthetic=synthetic), *second_text(calibration, escalation.figures)]
    larger = calibration.fallback or "the larger model"
    for figures in escalation.figures:
        if calibration.serve_when is None:
            told = pays_text(larger, figures.pays_below, figures.faster_below)
            return said if told is None else [*said, told]
        if figures.sample == "verify":
            said += [figures_text(figures, calibration.confidence), verified_text(figures, calibration)]
        escalated = 1 - figures.paired_served / figures.paired if figures.paired else None
        pays = pays_text(larger, figures.pays_below, figures.faster_below, escalated)
        said += [one for one in (paired_text(figures, larger), pays) if one is not None]
    return said
