"""Remembers how models answer questions without content, so that these are not asked for each request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from selfopt.records import ReplyContent
from selfopt.variants import RenderedStep

LEANING_S = 600.0
"""So long a reply counts. Then a model that changed behind its name is asked anew."""
_MOST = 256


class Leanings:
    """The replies to questions without content. They are the same for all requests with the same tools and standing orders."""

    def __init__(self, now: Callable[[], float]) -> None:
        """now: seconds of a clock that never goes back."""
        self._now = now
        self._kept: dict[tuple[str, str], tuple[float, ReplyContent]] = {}

    def get(self, model: str, question: str) -> ReplyContent | None:
        """The reply of a model, by the one name for all of its names; None where it has to be asked."""
        found = self._kept.get((model, question))
        return found[1] if found is not None and found[0] > self._now() else None

    def add(self, model: str, question: str, content: ReplyContent) -> None:
        """Take note of a reply. The oldest one of too many is forgotten."""
        self._kept.pop((model, question), None)
        self._kept[model, question] = self._now() + LEANING_S, content
        if len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]


def question_key(step: RenderedStep, beside: Mapping[str, Mapping[str, Any]]) -> str:
    """A hash of all that is sent with a question, a client's own fields among it: they may sway the reply."""
    rest = (step.step, step.tool_choice, step.constraint, step.sampling, step.logprobs)
    fields = sorted((name, key, bytes(value)) for name, own in beside.items() for key, value in own.items())
    digest = hashlib.sha256(repr((rest, fields)).encode())
    for part in (*step.messages, *step.tools):
        digest.update(part.model_dump_json(exclude_defaults=True).encode() + b"\n")
    return digest.hexdigest()
