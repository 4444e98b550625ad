"""A cache for pure functions of records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar
from weakref import ref

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_LIMIT = 512


def remembered(make: Callable[P, R]) -> Callable[P, R]:
    """Cache a pure function of positional arguments: records, tuples, texts and numbers.

    Every pass renders the same few variants, prompts and tools. Results are shared, so nobody may
    change them. Records are compared by identity, since those that hold a dict have no hash. The
    cache keeps its arguments alive, so that an identity is not reused. Calls with a list or with
    keywords are not cached.
    """
    known: dict[tuple[object, ...], tuple[object, R]] = {}
    # By the identity of all arguments: finds most calls, at a fraction of the cost.
    same: dict[tuple[int, ...], tuple[object, R]] = {}

    @wraps(make)
    def look_up(*args: P.args, **kwargs: P.kwargs) -> R:
        identity = tuple(map(id, args))
        found = None if kwargs else same.get(identity)
        if found is not None:
            return found[1]
        if kwargs or any(isinstance(one, list) for one in args):
            return make(*args, **kwargs)
        key = tuple([one if isinstance(one, (str, int)) else id(one) for one in args])
        found = known.get(key)
        if found is None:
            if len(known) >= _LIMIT:
                known.clear()
            found = known[key] = (args, make(*args, **kwargs))
        if len(same) >= _LIMIT:
            same.clear()
        same[identity] = (args, found[1])
        return found[1]

    return look_up


def while_it_lasts(make: Callable[[T], R]) -> Callable[[T], R]:
    """Cache a pure function of one record for as long as the record is there.

    The same tools are offered again and again. One that nobody holds any more takes what was made of it along.
    """
    known: dict[int, tuple[ref[T], R]] = {}

    @wraps(make)
    def look_up(one: T) -> R:
        place = id(one)
        found = known.get(place)
        if found is None:
            made = make(one)
            found = known[place] = (ref(one, lambda _: known.pop(place, None)), made)
        return found[1]

    return look_up


def as_kind_of(given: Sequence[object], made: Sequence[T]) -> Sequence[T]:
    """What was made from a sequence as a list if that is one, so that neither is remembered."""
    return list(made) if isinstance(given, list) and not isinstance(made, list) else made
