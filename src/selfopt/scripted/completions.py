"""OpenAI's completions, and the ranking of documents, to practise with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import sqrt
from typing import Any

from selfopt.dialects.jsontext import as_list, as_str
from selfopt.records import Message

from .embedding import embedding_of
from .player import ScriptedChat
from .vendors import CREATED, Answer

_PIECE = 7  # characters


def completion_chat(body: dict[str, Any]) -> ScriptedChat:
    """Read the body of POST /v1/completions. The prompt counts as what a user says."""
    prompt = body.get("prompt")
    text = prompt if isinstance(prompt, str) else "\n".join(map(as_str, as_list(prompt)))
    return ScriptedChat(as_str(body.get("model")), "openai", (Message(role="user", content=text),), body=body)


def completion_reply(answer: Answer) -> dict[str, Any]:
    """Write a text_completion object."""
    return {**_part(answer, answer.reply.text, answer.reply.finish_reason or "stop"), "usage": _usage(answer)}


def completion_pieces(answer: Answer) -> Iterator[str]:
    """Write server-sent events that end with [DONE]."""
    said = answer.reply.text
    for start in range(0, len(said), _PIECE):
        yield _event(_part(answer, said[start : start + _PIECE], None))
    yield _event(_part(answer, "", answer.reply.finish_reason or "stop"))
    yield _event({**_head(answer), "choices": [], "usage": _usage(answer)})
    yield "data: [DONE]\n\n"


def ranked(query: str, documents: list[str]) -> list[dict[str, Any]]:
    """The documents by how much they share with the query, the best first."""
    about = embedding_of(query)
    scores = [_cosine(about, embedding_of(text)) for text in documents]
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return [{"index": place, "relevance_score": round(scores[place], 6)} for place in order]


def _cosine(one: list[float], other: list[float]) -> float:
    return _product(one, other) / sqrt(_product(one, one) * _product(other, other))


def _product(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _head(answer: Answer) -> dict[str, Any]:
    return {"id": f"cmpl-{answer.number}", "object": "text_completion", "created": CREATED, "model": answer.model}


def _part(answer: Answer, text: str, finish: str | None) -> dict[str, Any]:
    return {**_head(answer), "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]}


def _usage(answer: Answer) -> dict[str, int]:
    asked, said = answer.input_tokens, answer.output_tokens
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
