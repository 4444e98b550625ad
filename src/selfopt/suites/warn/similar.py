"""Finds pairs of similar texts by the Jaccard similarity of their character n-grams."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from math import ceil

SIZE = 4
_BETWEEN = re.compile(r"[\W_]+")


def normalised(text: str) -> str:
    """A text without accidental differences: case, spaces, punctuation, compatibility forms."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _BETWEEN.sub(" ", text.casefold()).strip()


def grams(text: str) -> frozenset[str]:
    """The character n-grams of a normalised text.

    Marks its ends, so that short texts have some too.
    """
    padded = f" {text} "
    return frozenset(padded[i : i + SIZE] for i in range(max(1, len(padded) - SIZE + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared n-grams / all n-grams, in [0, 1]; 1 for two empty sets."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if one or other else 1.0


def similar_pairs(sets: Sequence[frozenset[str]], threshold: float) -> Iterator[tuple[int, int]]:
    """Yield every pair (i, j), i < j, with a Jaccard similarity of at least `threshold`, in (0, 1].

    Uses a prefix filter (Bayardo, Ma & Srikant 2007). With the n n-grams of each text ordered from
    rare to common, two similar texts share one of the first n - ceil(threshold n) + 1. So texts
    that share only common n-grams are never compared. A text in which that many n-grams occur in no
    other text is similar to none.
    """
    frequency = Counter(chain.from_iterable(sets))
    shared = [gram for gram, count in frequency.items() if count > 1]
    ranked = {gram: rank for rank, gram in enumerate(sorted(shared, key=frequency.__getitem__))}
    seen: defaultdict[int, list[int]] = defaultdict(list)
    for i in sorted(range(len(sets)), key=lambda i: len(sets[i])):
        mine = sets[i]
        needed = ceil(threshold * len(mine))
        ranks = [ranked[gram] for gram in mine if gram in ranked]
        length = len(mine) - needed + 1 - (len(mine) - len(ranks))
        if length < 1:
            continue
        prefix = sorted(ranks)[:length]
        candidates = {j for rank in prefix for j in seen[rank]}
        for j in candidates:
            if len(sets[j]) >= needed and jaccard(mine, sets[j]) >= threshold:
                yield min(i, j), max(i, j)
        for rank in prefix:
            seen[rank].append(i)
