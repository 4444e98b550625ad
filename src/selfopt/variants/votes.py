"""Asks with the tools in several orders, and takes the reply that most of them give.

Small models favour the first tools of a list. A change of the order needs no chance, so the same
request gives the same replies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from selfopt.reading.agreement import calls_key
from selfopt.records import ReplyContent, ToolDefinition, as_kind_of

from .again import calls_in
from .step import RenderedStep, Request, Steps


def orders_of(tools: Sequence[ToolDefinition]) -> list[tuple[ToolDefinition, ...]]:
    """Up to three orders of tools: as they are, from the last to the first, and from the middle on.

    Orders that are the same count once.
    """
    middle = len(tools) // 2
    orders = [tuple(tools), tuple(reversed(tools)), (*tools[middle:], *tools[:middle])]
    return [order for place, order in enumerate(orders) if not any(_same(order, other) for other in orders[:place])]


def voted(request: Request, opening: RenderedStep, opening_with: Callable[[Sequence[ToolDefinition]], RenderedStep]) -> Steps:
    """The first of the replies whose calls most replies have; of several as frequent ones the first.

    Asks no further once a majority is sure.

    Args:
        request: what is asked for.
        opening: the request with the tools in their own order.
        opening_with: makes the request with the tools in another order.
    """
    replies: list[ReplyContent] = []
    counts: dict[str, int] = {}
    keys: list[str] = []
    orders = orders_of(request.tools)
    for number, order in enumerate(orders, 1):
        again = None if number == 1 else opening_with(as_kind_of(request.tools, order))
        reply = yield opening if again is None else replace(again, step=f"vote {number}")
        key = calls_key(calls_in(reply, request.offered)[0])
        replies.append(reply)
        keys.append(key)
        counts[key] = counts.get(key, 0) + 1
        if 2 * counts[key] > len(orders):
            break
    most = max(counts.values())
    return next(reply for reply, key in zip(replies, keys, strict=True) if counts[key] == most)


def _same(one: Sequence[ToolDefinition], other: Sequence[ToolDefinition]) -> bool:
    return all(a is b for a, b in zip(one, other, strict=True))
