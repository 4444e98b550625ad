"""All pairs of similar texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfopt.suites.warn.similar import grams, jaccard, normalised, similar_pairs

_TEXTS = st.lists(st.text(alphabet="abc ", max_size=12), max_size=12)


@given(texts=_TEXTS, threshold=st.sampled_from([0.1, 0.5, 0.7, 1.0]))
def test_the_filter_finds_exactly_the_pairs_that_comparing_all_finds(texts: list[str], threshold: float) -> None:
    """No pair is missed and none is invented."""
    sets = [grams(normalised(text)) for text in texts]
    every = {(i, j) for j in range(len(sets)) for i in range(j) if jaccard(sets[i], sets[j]) >= threshold}
    assert set(similar_pairs(sets, threshold)) == every


def test_what_nobody_means_makes_no_difference() -> None:
    """Case, spaces, punctuation, compatibility forms."""
    assert normalised("  Ring, the BELL!\n(twice) ") == "ring the bell twice"
    assert normalised("ﬁle") == "file"
    assert normalised("¿Qué?") == "qué"


def test_short_texts_have_something_to_compare() -> None:
    """Even the empty one, which is like itself."""
    assert jaccard(grams("hi"), grams("hi")) == 1
    assert jaccard(grams(""), grams("")) == 1
    assert jaccard(grams("hi"), grams("no")) == 0
