"""Marks are remembered in bounded memory, by whoever was forked after it was made."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from selfopt.gateway.shared_marks import SharedMarks

PARTS = st.lists(st.binary(max_size=20), max_size=4)


@given(PARTS, PARTS)
def test_a_mark_is_known_until_it_is_forgotten_once(parts: list[bytes], others: list[bytes]) -> None:
    """And no two lists of parts look alike."""
    known = SharedMarks(4096)
    mark, other = (known.hashing(*each).digest() for each in (parts, others))
    assert mark not in known
    known.add(mark)
    assert mark in known
    assert (other in known) is (parts == others)
    assert [known.discard(mark), known.discard(mark), mark in known] == [True, False, False]


def test_marks_of_one_memory_mean_nothing_to_another() -> None:
    """Each has a key of its own, so that nobody can aim at a place."""
    assert SharedMarks(8).hashing(b"a").digest() != SharedMarks(8).hashing(b"a").digest()


def test_the_newest_mark_is_known_and_memory_is_bounded() -> None:
    known = SharedMarks(8)
    marks = [known.hashing(b"%d" % number).digest() for number in range(100)]
    for mark in marks:
        known.add(mark)
    assert marks[-1] in known
    assert 1 <= sum(mark in known for mark in marks) <= 8


def test_forked_processes_share_marks() -> None:
    known = SharedMarks(4096)
    mark = known.hashing(b"from the child").digest()
    pid = os.fork()
    if not pid:
        known.add(mark)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert mark in known
