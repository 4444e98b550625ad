"""Warns of prompts that ask the same or nearly the same: they count one thing twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice

from selfopt.home import counted
from selfopt.records import Message, Prompt, Suite, canonical_json

from .base import SuiteWarning, listed
from .similar import grams, jaccard, normalised, similar_pairs

THRESHOLD = 0.7
# So many pairs are compared: all those of 300 prompts that are alike.
MAX_PAIRS = 50_000


def duplicates(suite: Suite) -> Iterator[SuiteWarning]:
    """Warns of equal and similar prompts in a split, and of similar prompts in two splits.

    Prompts are similar if both all user messages and the last turn have a similarity of at least
    THRESHOLD. So neither the same history with another question nor the same short question after
    another history counts. What hangs together by similar pairs, as prompts made from a template
    do, is told in one line.
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
    last = [grams(normalised(_last_turn(p))) for p in prompts]
    pairs = list(islice(similar_pairs(whole, THRESHOLD), MAX_PAIRS + 1))
    alike = {(i, j): jaccard(whole[i], whole[j]) for i, j in pairs[:MAX_PAIRS] if jaccard(last[i], last[j]) >= THRESHOLD}
    same = {pair: share for pair, share in alike.items() if prompts[pair[0]].split == prompts[pair[1]].split}
    for members, shares in _clusters(same):
        ids = tuple(prompts[n].id for n in members)
        if len(ids) == 2:
            text = f"prompts {ids[0]} and {ids[1]} are {_percent(shares)} alike; reword or drop one"
        else:
            text = f"{counted(len(ids), 'prompt')} are {_percent(shares)} alike: {listed(ids)}; reword them, or keep one"
        yield SuiteWarning("near-duplicate", ids, text)
    for members, shares in _clusters({pair: share for pair, share in alike.items() if pair not in same}):
        by_split: defaultdict[str, list[str]] = defaultdict(list)
        for n in members:
            by_split[prompts[n].split].append(prompts[n].id)
        named = " and ".join(f"{listed(ids)} ({split})" for split, ids in by_split.items())
        fix = "reword one, or put both" if len(members) == 2 else "reword them, or put them all"
        text = f"prompts {named} are {_percent(shares)} alike; {fix} into one split"
        yield SuiteWarning("leak-prompt", tuple(prompts[n].id for n in members), text)
    if len(pairs) > MAX_PAIRS:
        text = f"more than {MAX_PAIRS} pairs of prompts hardly differ; the rest is not looked at"
        yield SuiteWarning("near-duplicate", (), text)


def _clusters(pairs: Mapping[tuple[int, int], float]) -> Iterator[tuple[list[int], list[float]]]:
    """Yield what hangs together by pairs: the members in order, and how alike the pairs are."""
    root: dict[int, int] = {}

    def top(n: int) -> int:
        while root.setdefault(n, n) != n:
            root[n] = n = root[root[n]]
        return n

    for i, j in pairs:
        one, other = sorted((top(i), top(j)))
        root[other] = one
    members: defaultdict[int, list[int]] = defaultdict(list)
    for n in sorted(root):
        members[top(n)].append(n)
    shares: defaultdict[int, list[float]] = defaultdict(list)
    for (i, _), share in pairs.items():
        shares[top(i)].append(share)
    for first, found in members.items():
        yield found, shares[first]


def _percent(shares: list[float]) -> str:
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    return high if low == high else f"{low} to {high}"


def _last_turn(prompt: Prompt) -> str:
    """The messages since the last one of the assistant."""
    start = max((i + 1 for i, m in enumerate(prompt.messages) if m.role == "assistant"), default=0)
    return " ".join(m.content for m in prompt.messages[start:] if m.role != "system")
