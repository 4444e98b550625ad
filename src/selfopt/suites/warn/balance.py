"""Warns of kinds with too many or too few prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import median

from selfopt.records import Suite

from .base import SPLITS, SuiteWarning, listed, quoted

# A kind is out of proportion if it differs from the median by FACTOR and by at least MARGIN prompts.
FACTOR = 3
MARGIN = 3
MIN_PROMPTS = 4


def unbalanced(suite: Suite) -> Iterator[SuiteWarning]:
    """Warns of kinds out of proportion or in one split only.

    Warns also if all prompts need a call, or none does.
    """
    counts = Counter(p.kind for p in suite.prompts)
    middle = median(counts.values()) if counts else 0
    odd = [
        f"{quoted(kind)} has {count}"
        for kind, count in sorted(counts.items())
        if (count > FACTOR * middle or middle > FACTOR * count) and abs(count - middle) >= MARGIN
    ]
    if odd:
        yield SuiteWarning("unbalanced", (), f"kind {listed(odd)}; the median is {middle:g}: add or drop some, or merge kinds")
    yield from _one_split_only(suite)
    calling = sum(p.needs_call for p in suite.prompts)
    if len(suite.prompts) >= MIN_PROMPTS and calling in (0, len(suite.prompts)):
        which, measure = ("a call", "call accuracy") if calling == 0 else ("no call", "restraint")
        yield SuiteWarning("unbalanced", (), f"no prompt needs {which}, so nothing measures {measure}; add some")


def _one_split_only(suite: Suite) -> Iterator[SuiteWarning]:
    kinds = {split: Counter(p.kind for p in suite.select(split)) for split in SPLITS}
    for here, there in (SPLITS[:2], (SPLITS[1], SPLITS[0])):
        if not kinds[there]:
            continue
        alone = [f"{quoted(k)} ({n})" for k, n in sorted(kinds[here].items()) if n >= MARGIN and k not in kinds[there]]
        if alone:
            yield SuiteWarning("unbalanced", (), f"kind {listed(alone)} in {here} but none in {there}; add some there")
