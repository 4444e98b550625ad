"""Warns of prompts that ask the same or nearly the same: they count one thing twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from selfopt.records import Message, Prompt, Suite, canonical_json

from .base import SuiteWarning, listed
from .similar import grams, jaccard, normalised, similar_pairs

THRESHOLD = 0.7
MAX_PAIRS = 200


def duplicates(suite: Suite) -> Iterator[SuiteWarning]:
    """Warns of equal and similar prompts in a split, and of similar prompts in two splits.

    Prompts are similar if both all user messages and the last turn have a similarity of at least
    THRESHOLD. So neither the same history with another question nor the same short question after
    another history counts.
    """
    groups: defaultdict[str, list[Prompt]] = defaultdict(list)
    for prompt in suite.prompts:
        groups[canonical_json([prompt.tool_set, [_said(m) for m in prompt.messages]])].append(prompt)
    for same in groups.values():
        if len(same) > 1:
            ids = tuple(prompt.id for prompt in same)
            yield SuiteWarning("duplicate", ids, f"prompts {listed(ids)} ask the same of the same tools; keep one")
    yield from _near([same[0] for same in groups.values()])


def _said(message: Message) -> list[str]:
    calls = [canonical_json([call.name, call.arguments]) for call in message.tool_calls]
    return [message.role, normalised(message.content), *calls]


def _near(prompts: list[Prompt]) -> Iterator[SuiteWarning]:
    whole = [grams(normalised(" ".join(m.content for m in p.messages if m.role == "user"))) for p in prompts]
    found = 0
    for i, j in sorted(similar_pairs(whole, THRESHOLD)):
        one, other = prompts[i], prompts[j]
        if jaccard(grams(normalised(_last_turn(one))), grams(normalised(_last_turn(other)))) < THRESHOLD:
            continue
        found += 1
        if found > MAX_PAIRS:
            yield SuiteWarning(
                "near-duplicate", (), f"more than {MAX_PAIRS} pairs of prompts hardly differ; the rest is not listed"
            )
            return
        percent = f"{jaccard(whole[i], whole[j]):.0%} alike"
        ids = (one.id, other.id)
        if one.split != other.split:
            text = f"prompts {one.id} ({one.split}) and {other.id} ({other.split}) are {percent}; reword one, or put both into one split"
            yield SuiteWarning("leak-prompt", ids, text)
        else:
            yield SuiteWarning("near-duplicate", ids, f"prompts {one.id} and {other.id} are {percent}; reword or drop one")


def _last_turn(prompt: Prompt) -> str:
    """The messages since the last one of the assistant."""
    start = max((i + 1 for i, m in enumerate(prompt.messages) if m.role == "assistant"), default=0)
    return " ".join(m.content for m in prompt.messages[start:] if m.role != "system")
