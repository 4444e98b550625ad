"""Many cases in one test: pytest takes two milliseconds for each test that it runs, and most of them over again to collect it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

Case = TypeVar("Case")
MOST_SHOWN = 20


def assert_each(cases: Iterable[tuple[str, Case]], holds: Callable[[Case], None]) -> None:
    """Ask of every case whether it holds.

    Raises ExceptionGroup with what each case that does not raised, under its name; one that fails hides no other. There have to be cases.
    """
    names, errors = [], []
    count = 0
    for name, case in cases:
        count += 1
        try:
            holds(case)
        except Exception as error:
            error.add_note(f"case: {name}")
            names.append(name)
            errors.append(error)
    assert count, "there are no cases"
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {count} cases fail: {'; '.join(names[:MOST_SHOWN])}", errors[:MOST_SHOWN])
