"""Reads the calls in a whole answer that is passed on, and mends those that the server reported damaged."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from selfopt.dialects.finish import finish_of
from selfopt.dialects.openai_edit import (
    MAX_CHOICES,
    Count,
    SaidPart,
    WholeChoice,
    mended_calls,
    read_whole,
    with_less_text,
    with_message,
    written,
)
from selfopt.reading.within import calls_within

from .bounded import beside
from .cutting import each_once
from .offered import OfferedTools


@dataclass(slots=True)
class WholeAnswer:
    """An answer with its calls.

    Attributes:
        body: what the client gets: what came, unless calls were read or mended.
        read: how many calls were read from text.
        mended: how many reported calls were mended.
        called: whether the first choice holds a call.
        usage: the token counts that came with it.
    """

    body: bytes
    usage: Count | None
    read: int = 0
    mended: int = 0
    called: bool = False


async def with_calls(body: bytes, offered: OfferedTools, ids: str, *, once: bool = False) -> WholeAnswer | None:
    """Read the calls in an answer. ids: the beginning of their ids; once: whether it repeats them.

    Returns None for a body that is no reply of chat completions, which is the client's to read.
    """
    try:
        reply = read_whole(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    answer = WholeAnswer(body, reply.usage)
    for place, choice in enumerate(reply.choices[:MAX_CHOICES]):
        said = choice.message
        if said is None:
            continue
        own = ids if not place else f"{ids}_{place}"
        if said.reports_calls:
            await _mend(answer, place, choice, said, offered, own)
            called = True
        else:
            called = await _read(answer, place, choice, said, offered, own, once=once)
        if not place:
            answer.called = called
    return answer


async def _mend(answer: WholeAnswer, place: int, choice: WholeChoice, said: SaidPart, offered: OfferedTools, ids: str) -> None:
    size, cut = len(said.tool_calls) + len(said.function_call), finish_of(choice.finish_reason) == "length"
    calls, mended = await beside(size, mended_calls, said, offered.tools, ids, cut=cut)
    if mended:
        answer.body = with_message(answer.body, place, {"tool_calls": calls}, cut=cut)
        answer.mended += mended


async def _read(
    answer: WholeAnswer, place: int, choice: WholeChoice, said: SaidPart, offered: OfferedTools, ids: str, *, once: bool
) -> bool:
    text = said.text
    if not text:
        return False
    cut = finish_of(choice.finish_reason) == "length"
    within = await beside(len(text), calls_within, text, offered.tools, offered.family, cut=cut)
    calls = each_once(within.calls) if once else within.calls
    calls = calls if offered.parallel else calls[:1]
    if not calls:
        return False
    told = [written(call, f"{ids}_{number}") for number, call in enumerate(calls)]
    answer.body = with_message(
        answer.body, place, {"content": with_less_text(said.content, within.before) or None, "tool_calls": told}
    )
    answer.read += len(calls)
    return True
