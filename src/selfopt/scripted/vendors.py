"""Reads requests and writes replies in each dialect, as the vendors document them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from selfopt.dialects.jsontext import as_dict, as_list, as_str
from selfopt.records import Constraint, Message

from .player import ScriptedChat, Turn
from .script import ScriptedCall, ScriptedFault, ScriptedReply

CREATED = 1_767_225_600
CREATED_AT = "2026-01-01T00:00:00.000000Z"
LOADING_BODY = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
_HTML = "<!doctype html><html><body><h1>502 Bad Gateway</h1><script>alert(1)</script></body></html>"
_ROLES = {"system": "system", "developer": "system", "assistant": "assistant", "tool": "tool"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply with the figures that vendors send along.

    Attributes:
        model: the name that the client gave.
        reply: what the script says.
        number: the number of the request on this server.
        input_chars: the length of all messages together.
        load_ms: how long the request waited for the model to load.
        output_ms: how long the output took.
        asked_logprobs: whether the client wants log probabilities.
    """

    model: str
    reply: ScriptedReply
    number: int
    input_chars: int
    load_ms: float
    output_ms: float
    asked_logprobs: bool = False

    @classmethod
    def of(cls, turn: Turn) -> Answer:
        """The answer that ends this turn."""
        chars = sum(len(m.content) for m in turn.chat.messages)
        figures = turn.entry.number, chars, turn.entry.load_wait_ms, turn.latency_s * 1000
        return cls(turn.chat.model, turn.reply, *figures, bool((turn.chat.body or {}).get("logprobs")))

    @property
    def input_tokens(self) -> int:
        """An estimate: four characters are one token."""
        return 1 + self.input_chars // 4

    @property
    def output_tokens(self) -> int:
        """An estimate: four characters are one token."""
        calls = sum(len(c.name) + len(_arguments_text(c)) for c in self.reply.tool_calls)
        return 1 + (len(self.reply.text) + len(self.reply.thinking) + calls) // 4

    @property
    def logprobs(self) -> list[dict[str, Any]] | None:
        """The entries of all tokens, four characters each; None if nobody asked or the script has none."""
        said, logprob = self.reply.thinking + self.reply.text, self.reply.logprob
        if logprob is None or not self.asked_logprobs:
            return None
        said += "".join(f"{call.name} {_arguments_text(call)}" for call in self.reply.tool_calls)
        tokens = [said[at : at + 4] for at in range(0, len(said), 4)]
        return [
            {
                "token": token,
                "bytes": list(token.encode("utf-8", "replace")),
                "logprob": logprob,
                "top_logprobs": [{"token": token, "logprob": logprob}],
            }
            for token in (*tokens, "")
        ]

    def call_id(self, index: int) -> str:
        """An id that is unique on this server."""
        return f"call_{self.number}_{index}"


def _arguments_text(call: ScriptedCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)


def _arguments_object(call: ScriptedCall) -> Any:
    if isinstance(call.arguments, dict):
        return call.arguments
    try:
        return json.loads(call.arguments)
    except ValueError:
        return call.arguments


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(as_str(as_dict(part).get("text")) for part in content if as_dict(part).get("type", "text") == "text")
    return as_str(content)


def _messages(items: Any) -> tuple[Message, ...]:
    return tuple(
        Message.model_validate({"role": _ROLES.get(as_str(item.get("role")), "user"), "content": _text(item.get("content"))})
        for item in map(as_dict, as_list(items))
    )


def _tool_names(body: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        as_str(as_dict(tool.get("function")).get("name")) or as_str(tool.get("name"))
        for tool in map(as_dict, as_list(body.get("tools")))
    )


def _schema_constraint(schema: Any) -> Constraint | None:
    return Constraint(kind="json_schema", json_schema=schema) if isinstance(schema, dict) else None


# OpenAI-compatible


def openai_chat(body: dict[str, Any]) -> ScriptedChat:
    """Read the body of POST /v1/chat/completions."""
    grammar = body.get("grammar")
    wanted = as_dict(as_dict(body.get("response_format")).get("json_schema")).get("schema")
    constraint = Constraint(kind="grammar", grammar=grammar) if isinstance(grammar, str) else _schema_constraint(wanted)
    return ScriptedChat(
        as_str(body.get("model")), "openai", _messages(body.get("messages")), _tool_names(body), constraint, body=body
    )


def _openai_finish(reply: ScriptedReply) -> str:
    known = {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter"}
    return known.get(reply.finish_reason or "", "tool_calls" if reply.tool_calls else "stop")


def _openai_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"id": answer.call_id(i), "type": "function", "function": {"name": c.name, "arguments": _arguments_text(c)}}
        for i, c in enumerate(answer.reply.tool_calls)
    ]


def _openai_figures(answer: Answer) -> dict[str, Any]:
    inp, out = answer.input_tokens, answer.output_tokens
    timings = {"cache_n": 0, "prompt_n": inp, "prompt_ms": 0.5, "predicted_n": out, "predicted_ms": round(answer.output_ms, 3)}
    return {"usage": {"prompt_tokens": inp, "completion_tokens": out, "total_tokens": inp + out}, "timings": timings}


def openai_reply(answer: Answer) -> dict[str, Any]:
    """Write a chat.completion object."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.reply.text}
    if answer.reply.thinking:
        message["reasoning_content"] = answer.reply.thinking
    if answer.reply.tool_calls:
        message["tool_calls"] = _openai_calls(answer)
    return {
        "id": f"chatcmpl-{answer.number}",
        "object": "chat.completion",
        "created": CREATED,
        "model": answer.model,
        "choices": [{"index": 0, "finish_reason": _openai_finish(answer.reply), "message": message, **_openai_logprobs(answer)}],
        **_openai_figures(answer),
    }


def _openai_logprobs(answer: Answer) -> dict[str, Any]:
    entries = answer.logprobs
    return {} if entries is None else {"logprobs": {"content": entries}}


def openai_pieces(answer: Answer) -> Iterator[str]:
    """Write server-sent events that end with [DONE]."""

    def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
        head = {"id": f"chatcmpl-{answer.number}", "object": "chat.completion.chunk", "created": CREATED, "model": answer.model}
        return f"data: {json.dumps({**head, 'choices': [choice]}, ensure_ascii=False)}\n\n"

    yield event({"role": "assistant", "content": ""})
    for key, said in (("reasoning_content", answer.reply.thinking), ("content", answer.reply.text)):
        for part in _pieces(said):
            yield event({key: part})
    for index, call in enumerate(_openai_calls(answer)):
        yield event({"tool_calls": [{**call, "index": index, "function": {**call["function"], "arguments": ""}}]})
        for part in _pieces(call["function"]["arguments"]):
            yield event({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    yield event({}, _openai_finish(answer.reply), **_openai_logprobs(answer))
    yield f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [], 'model': answer.model, **_openai_figures(answer)})}\n\n"
    yield "data: [DONE]\n\n"


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), 7):
        yield text[start : start + 7]


# Ollama


def ollama_chat(body: dict[str, Any]) -> ScriptedChat:
    """Read the body of POST /api/chat or /api/generate. Without a prompt it only loads."""
    messages = _messages(body.get("messages"))
    if as_str(body.get("prompt")):
        messages = (*messages, Message(role="user", content=as_str(body.get("prompt"))))
    return ScriptedChat(
        as_str(body.get("model")).removesuffix(":latest"),
        "ollama",
        messages,
        _tool_names(body),
        _schema_constraint(body.get("format")),
        keep_alive_s=_seconds(body.get("keep_alive")),
        load_only=not messages,
        body=body,
    )


def _seconds(keep: Any) -> float | None:
    if isinstance(keep, int | float) and not isinstance(keep, bool):
        return float(keep)
    text, unit = as_str(keep), {"s": 1.0, "m": 60.0, "h": 3600.0}
    try:
        return float(text[:-1]) * unit[text[-1:]] if text[-1:] in unit else float(text)
    except ValueError:
        return None


def _ollama_done(answer: Answer) -> dict[str, Any]:
    load, output, entries = int(answer.load_ms * 1e6), int(answer.output_ms * 1e6), answer.logprobs
    return {
        **({} if entries is None else {"logprobs": entries}),
        "done_reason": "length" if answer.reply.finish_reason == "length" else "stop",
        "done": True,
        "total_duration": load + output + 1_000_000,
        "load_duration": load,
        "prompt_eval_count": answer.input_tokens,
        "prompt_eval_duration": 500_000,
        "eval_count": answer.output_tokens,
        "eval_duration": output,
    }


def _ollama_message(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.reply.text}
    if answer.reply.thinking:
        message["thinking"] = answer.reply.thinking
    if answer.reply.tool_calls:
        message["tool_calls"] = [
            {"function": {"index": i, "name": c.name, "arguments": _arguments_object(c)}}
            for i, c in enumerate(answer.reply.tool_calls)
        ]
    return message


def ollama_reply(answer: Answer, *, generate: bool = False) -> dict[str, Any]:
    """Write the object that /api/chat returns, or /api/generate."""
    said: dict[str, Any] = {"response": answer.reply.text} if generate else {"message": _ollama_message(answer)}
    return {"model": answer.model, "created_at": CREATED_AT, **said, **_ollama_done(answer)}


def ollama_pieces(answer: Answer) -> Iterator[str]:
    """Write lines of JSON."""

    def line(message: dict[str, Any], end: dict[str, Any]) -> str:
        content = {"model": answer.model, "created_at": CREATED_AT, "message": {"role": "assistant", "content": "", **message}}
        return json.dumps({**content, **end}, ensure_ascii=False) + "\n"

    going = {"done": False}
    for key, said in (("thinking", answer.reply.thinking), ("content", answer.reply.text)):
        for part in _pieces(said):
            yield line({key: part}, going)
    for call in _ollama_message(answer).get("tool_calls", []):
        yield line({"tool_calls": [call]}, going)
    yield line({}, _ollama_done(answer))


# Anthropic


def anthropic_chat(body: dict[str, Any]) -> ScriptedChat:
    """Read the body of POST /v1/messages."""
    found: list[Message] = []
    if body.get("system"):
        found.append(Message(role="system", content=_text(body.get("system"))))
    for item in map(as_dict, as_list(body.get("messages"))):
        content = item.get("content")
        found += (
            Message(role="tool", content=_text(block.get("content")), tool_call_id=as_str(block.get("tool_use_id")))
            for block in map(as_dict, as_list(content))
            if block.get("type") == "tool_result"
        )
        if _text(content) or not isinstance(content, list):
            found.append(Message(role="assistant" if item.get("role") == "assistant" else "user", content=_text(content)))
    wanted = as_dict(as_dict(body.get("output_config")).get("format")).get("schema")
    return ScriptedChat(
        as_str(body.get("model")), "anthropic", tuple(found), _tool_names(body), _schema_constraint(wanted), body=body
    )


def _anthropic_stop(reply: ScriptedReply) -> str:
    known = {"length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use", "stop": "end_turn"}
    return known.get(reply.finish_reason or "", "tool_use" if reply.tool_calls else "end_turn")


def _anthropic_blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.reply.thinking:
        blocks.append({"type": "thinking", "thinking": answer.reply.thinking, "signature": "c2NyaXB0ZWQ="})
    if answer.reply.text:
        blocks.append({"type": "text", "text": answer.reply.text})
    for index, call in enumerate(answer.reply.tool_calls):
        blocks.append(
            {"type": "tool_use", "id": f"toolu_{answer.call_id(index)}", "name": call.name, "input": _arguments_object(call)}
        )
    return blocks


def anthropic_reply(answer: Answer) -> dict[str, Any]:
    """Write a message object."""
    return {
        "id": f"msg_{answer.number}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": _anthropic_blocks(answer),
        "stop_reason": _anthropic_stop(answer.reply),
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


# By the type of a block: the fields with which it starts, and the type and the key of its deltas.
_ANTHROPIC_STREAMED: dict[str, tuple[dict[str, Any], str, str]] = {
    "thinking": ({"thinking": "", "signature": ""}, "thinking_delta", "thinking"),
    "text": ({"text": ""}, "text_delta", "text"),
    "tool_use": ({"input": {}}, "input_json_delta", "partial_json"),
}


def anthropic_events(answer: Answer) -> Iterator[str]:
    """Write named server-sent events that end with message_stop."""

    def event(name: str, **content: Any) -> str:
        return f"event: {name}\ndata: {json.dumps({'type': name, **content}, ensure_ascii=False)}\n\n"

    whole = anthropic_reply(answer)
    empty = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield event("message_start", message=empty)
    yield event("ping")
    for index, block in enumerate(whole["content"]):
        kind = block["type"]
        empty_block, name, key = _ANTHROPIC_STREAMED[kind]
        yield event("content_block_start", index=index, content_block={**block, **empty_block})
        for part in _pieces(json.dumps(block["input"], ensure_ascii=False) if kind == "tool_use" else block[kind]):
            yield event("content_block_delta", index=index, delta={"type": name, key: part})
        if kind == "thinking":
            yield event("content_block_delta", index=index, delta={"type": "signature_delta", "signature": block["signature"]})
        yield event("content_block_stop", index=index)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=delta, usage={"output_tokens": answer.output_tokens})
    yield event("message_stop")


# Faults


def fault_bytes(fault: ScriptedFault) -> bytes:
    """The body that a fault sends. `huge` is 10 MB of JSON; `deep` is nested 10,000 levels deep."""
    match fault.kind:
        case "deep":
            return b"[" * 10_000 + b"]" * 10_000
        case "huge":
            return b'{"filler": "' + b"x" * 10_000_000 + b'"}'
        case "invalid_utf8":
            return b'{"choices": [{"message": {"role": "assistant", "content": "\xff\xfe\xc3\x28"}}]}'
        case "html":
            return (fault.body or _HTML).encode()
        case "status":
            error = {"code": fault.status, "message": fault.body or "scripted fault", "type": "error"}
            return json.dumps({"error": error}).encode()
        case _:
            return (fault.body or "\x1b[2J}{ no \x07 JSON at all").encode()
