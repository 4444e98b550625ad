"""Keeping what was made of things that do not change."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_LIMIT = 512


def remembered(make: Callable[P, R]) -> Callable[P, R]:
    """Remembers what a pure function made of its positional arguments: records, tuples, texts and numbers. Whatever it
    returns is shared and must not be changed.

    The same few variants, prompts and tools are rendered again in every pass. Records are told apart by identity, since
    those that hold a dict have no hash; what is remembered keeps them alive, so that an identity stays theirs. Calls with
    a list or with keywords are not remembered.
    """
    known: dict[tuple[object, ...], tuple[object, R]] = {}
    # By the identity of all arguments, whatever they are: how they are mostly found, at a fraction of the cost.
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
