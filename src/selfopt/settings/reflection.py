"""Settings of the model that a search asks what would mend failures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .endpoint import Table


class ReflectionSettings(Table):
    """Reflection: a model reads failed trials of a search, and proposes what to try next.

    It is shown prompts of the search, never held-out ones. One on another machine is asked only
    with `allow_remote`, unless the measured model is remote too.

    Attributes:
        model: who is asked. None: nobody.
        backend: who writes the questions. `own`: this program. `gepa`: the prompt of GEPA, which asks
            for new instructions alone (the extra `search`).
        questions: how often it is asked in one search at most.
        timeout_s: how long an answer may take, in seconds.
        max_tokens: of an answer.
        max_chars: of a question.
    """

    model: str | None = None
    backend: Literal["own", "gepa"] = "own"
    questions: int = Field(default=20, ge=1, le=1000)
    timeout_s: float = Field(default=180.0, gt=0, le=3600)
    max_tokens: int = Field(default=1500, ge=64, le=32_768)
    max_chars: int = Field(default=8000, ge=6000, le=200_000)
