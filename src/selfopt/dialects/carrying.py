"""Where each field that a client of OpenAI's dialect sends goes in the request of another dialect.

One table for each dialect. A field that is in none of its rows follows the dialect's rule for
others. Nothing vanishes: a field is written, says nothing (`SAYS_NOTHING`), or the request is
refused by the field's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from selfopt.errors import EndpointError
from selfopt.records import ChatRequest

from .jsontext import as_dict

CLIENT = "openai_chat"
"""The dialect of the fields that are translated."""


MAX_FIELDS_BYTES = 1_000_000


LIMIT_KEYS = frozenset({"max_tokens", "max_completion_tokens"})
THINKING_KEYS = frozenset({"reasoning_effort", "reasoning", "thinking", "think", "enable_thinking"})
"""Fields by which clients ask for thinking, or for none."""


EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class _Unsaid:
    """What a conversion returns for a value that asks for nothing."""


UNSAID = _Unsaid()
Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Goes:
    """The place of a field in the server's body, with dots, and how its value is written there.

    `convert` raises ValueError, which says what is wrong, for a value that the server has no words
    for.
    """

    place: str
    convert: Convert = _same


@dataclass(frozen=True, slots=True)
class FieldTable:
    """Where the fields of clients go in one dialect.

    Attributes:
        server: what messages call the servers.
        goes: the places of fields.
        refused: fields that servers of the dialect have no words for.
        others: `same` writes a field without a row under its own name, as servers ignore what they
            don't know. `refused` refuses it.
    """

    server: str
    goes: Mapping[str, Goes]
    refused: frozenset[str] = frozenset()
    others: Literal["same", "refused"] = "refused"


# Values that ask for nothing, of fields that would be refused. null never asks for anything.
SAYS_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repeat_penalty": (1,),
    "repetition_penalty": (1,),
    "min_p": (0,),
    "store": (False,),
    "metadata": ({},),
    "modalities": (["text"],),
    "options": ({},),
    "functions": ([],),
    "think": (False,),
    "echo": (False,),
}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _format(value: Any) -> Any:
    """Ollama's `format` for a `response_format`."""
    kind = as_dict(value).get("type")
    if kind == "text":
        return UNSAID
    if kind == "json_object":
        return as_dict(value).get("schema") or "json"
    schema = as_dict(as_dict(value).get("json_schema")).get("schema")
    if kind == "json_schema" and isinstance(schema, dict):
        return schema
    raise ValueError("must be of type text, json_object or json_schema")


def _schema(value: Any) -> Any:
    """Anthropic's `output_config.format` for a `response_format`."""
    kind = as_dict(value).get("type")
    if kind == "text":
        return UNSAID
    schema = as_dict(as_dict(value).get("json_schema")).get("schema")
    if kind == "json_schema" and isinstance(schema, dict):
        return {"type": "json_schema", "schema": schema}
    raise ValueError("must be of type text or json_schema")


def _effort(value: Any) -> Any:
    """Ollama's `think`, which has three levels: the nearest one."""
    return (
        {"none": False, "minimal": "low", "xhigh": "high", "max": "high"}.get(value, value) if isinstance(value, str) else value
    )


def _reasoning(value: Any) -> Any:
    """The effort in OpenRouter's `reasoning`: {"effort": ...} or {"enabled": ...}."""
    told = as_dict(value)
    if not told or not told.keys() <= {"effort", "enabled"}:
        raise ValueError("must hold effort or enabled")
    return _effort(told["effort"]) if told.get("effort") is not None else bool(told.get("enabled"))


def _template(value: Any) -> Any:
    """The one variable of a chat template that every reasoning model knows."""
    told = as_dict(value)
    if not told.keys() <= {"enable_thinking"}:
        raise ValueError("only enable_thinking is known")
    return told.get("enable_thinking", UNSAID)


def _thinking(value: Any) -> Any:
    return as_dict(value).get("type") not in (None, "disabled")


def _as_thinking(value: Any) -> Any:
    return _effort_alone(_reasoning(value))


def _effort_alone(value: Any) -> Any:
    """What the dialect makes thinking of, by the model's version."""
    if not isinstance(value, bool) and value not in EFFORTS:
        raise ValueError(f"must be one of {', '.join(EFFORTS)}")
    return {"effort": value}


def _single(value: Any) -> Any:
    return True if value is False else UNSAID


def _tier(value: Any) -> Any:
    return "standard_only" if value == "default" else value


_OLLAMA_OPTIONS = (
    "temperature top_p seed top_k min_p typical_p frequency_penalty presence_penalty repeat_penalty repeat_last_n "
    "num_ctx num_keep num_predict num_batch num_gpu main_gpu num_thread use_mmap mirostat mirostat_eta mirostat_tau tfs_z "
    "penalize_newline numa low_vram f16_kv vocab_only use_mlock logits_all"
)
# What llama.cpp calls them.
_OLLAMA_NAMES = {"n_predict": "num_predict", "n_keep": "num_keep", "n_ctx": "num_ctx", "typ_p": "typical_p"}
_ANTHROPIC_FIELDS = (
    "temperature top_p top_k max_tokens stop_sequences metadata thinking output_config container mcp_servers "
    "context_management cache_control inference_geo billing_policy compaction diagnostics fallback_credit_token fallbacks speed "
    "thread user_profile_id workspace_id"
)
# Fields that shape the answer or ask for more of it, which these servers or the gateway's answers cannot give.
_NOT_HERE = (
    "n best_of logit_bias functions function_call modalities audio prediction web_search_options "
    "grammar guided_regex guided_choice guided_grammar structured_outputs prompt_logprobs echo n_probs"
)
TABLES: Mapping[str, FieldTable] = {
    "ollama": FieldTable(
        "Ollama",
        {
            **{name: Goes(f"options.{name}") for name in _OLLAMA_OPTIONS.split()},
            **{name: Goes(f"options.{known}") for name, known in _OLLAMA_NAMES.items()},
            "repetition_penalty": Goes("options.repeat_penalty"),
            "max_tokens": Goes("options.num_predict"),
            "max_completion_tokens": Goes("options.num_predict"),
            "stop": Goes("options.stop", _as_list),
            "options": Goes("options"),
            "logprobs": Goes("logprobs"),
            "top_logprobs": Goes("top_logprobs"),
            "response_format": Goes("format", _format),
            "json_schema": Goes("format"),
            "guided_json": Goes("format"),
            "enable_thinking": Goes("think"),
            "chat_template_kwargs": Goes("think", _template),
            "reasoning": Goes("think", _reasoning),
            "thinking": Goes("think", _thinking),
            "reasoning_effort": Goes("think", _effort),
        },
        frozenset(_NOT_HERE.split()),
        others="same",
    ),
    "anthropic": FieldTable(
        "Anthropic",
        {
            **{name: Goes(name) for name in _ANTHROPIC_FIELDS.split()},
            "max_completion_tokens": Goes("max_tokens"),
            "stop": Goes("stop_sequences", _as_list),
            "user": Goes("metadata.user_id"),
            "service_tier": Goes("service_tier", _tier),
            "reasoning": Goes("thinking", _as_thinking),
            "reasoning_effort": Goes("thinking", _effort_alone),
            "parallel_tool_calls": Goes("tool_choice.disable_parallel_tool_use", _single),
            "response_format": Goes("output_config.format", _schema),
        },
    ),
}


def carried(endpoint: str, dialect: str, request: ChatRequest) -> dict[str, Any]:
    """What a body of this dialect says for the fields that a client of OpenAI's dialect sent.

    Args:
        endpoint: the server's name, for messages.
        dialect: the server's.
        request: its `beside` holds the fields, decoded or not.

    Raises:
        EndpointError: `bad_request`, with the name of a field that the server has no words for.
    """
    table = TABLES[dialect]
    try:
        return _written(table, request)
    except _NoPlaceError as error:
        said = f"endpoint {endpoint}: {table.server} cannot be asked for {error.key!r}: {error}; leave it out"
        raise EndpointError(said, kind="bad_request", told=said) from None


def refused_field(dialect: str, request: ChatRequest) -> tuple[str, str] | None:
    """The first field that a server of this dialect has no words for, and why; None if it has some for all."""
    table = TABLES.get(dialect)
    try:
        if table is not None:
            _written(table, request)
    except _NoPlaceError as error:
        return error.key, str(error)
    return None


class _NoPlaceError(ValueError):
    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def _written(table: FieldTable, request: ChatRequest) -> dict[str, Any]:
    fields = request.beside.get(CLIENT, {})
    written: dict[str, Any] = {}
    size = 0
    # An object of the server's own options is the most explicit: it comes last.
    for key in sorted(fields, key="options".__eq__):
        value = fields[key]
        if isinstance(value, msgspec.Raw):
            size += len(value)
            if size > MAX_FIELDS_BYTES:
                raise _NoPlaceError(key, f"at most {MAX_FIELDS_BYTES} bytes of such fields are allowed")
            value = msgspec.json.decode(value)
        if value is None:
            continue
        goes = None if key in table.refused else table.goes.get(key) or (Goes(key) if table.others == "same" else None)
        if goes is None:
            if not says_nothing(key, value):
                raise _NoPlaceError(key, "there is no such field")
            continue
        try:
            value = goes.convert(value)
            if value is not UNSAID:
                put(written, goes.place, value)
        except ValueError as error:
            raise _NoPlaceError(key, str(error)) from None
    return written


def signed_thinking(beside: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The thinking of an earlier turn that Anthropic's servers take again: blocks that they have signed.

    They refuse any other, so thinking in plain text (`reasoning_content`) is not carried there.

    Args:
        beside: what a client's message holds beside the fields that are known. Signed blocks are in
            `thinking_blocks`, as LiteLLM writes them, or in `reasoning_details`, as OpenRouter does.
            There, `format` names the servers that signed a block: others' are no use to Anthropic's.
    """
    found: list[dict[str, Any]] = []
    details = (
        one for one in _objects(beside.get("reasoning_details")) if str(one.get("format") or "anthropic")[:9] == "anthropic"
    )
    for block in _objects(beside.get("thinking_blocks")) or details:
        text = block.get("thinking") if block.get("type") == "thinking" else block.get("text")
        kind, signature, data = block.get("type"), block.get("signature"), block.get("data")
        if kind in ("thinking", "reasoning.text") and isinstance(text, str) and isinstance(signature, str) and signature:
            found.append({"type": "thinking", "thinking": text, "signature": signature})
        elif kind in ("redacted_thinking", "reasoning.encrypted") and isinstance(data, str) and data:
            found.append({"type": "redacted_thinking", "data": data})
    return found


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def wants_thinking(fields: Mapping[str, Any]) -> bool:
    """Whether a client asks for thinking. fields: decoded or not."""
    for key in filter(fields.__contains__, THINKING_KEYS):
        value = fields[key]
        value = msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
        told = as_dict(value)
        off = value in (None, False, "none") or told.get("type") == "disabled" or told.get("effort") == "none"
        if not off and told.get("enabled") is not False:
            return True
    return False


def says_nothing(key: str, value: Any) -> bool:
    """Whether a field with this value asks for nothing."""
    nothings = SAYS_NOTHING.get(key, ())
    return value is None or any(value == one and isinstance(value, bool) is isinstance(one, bool) for one in nothings)


def put(body: dict[str, Any], place: str, value: Any) -> None:
    """Write a value at a place with dots. Objects are merged; anything else is replaced.

    Raises ValueError where something else than an object is on the way.
    """
    *above, last = place.split(".")
    for key in above:
        body = body.setdefault(key, {})
        if not isinstance(body, dict):
            raise ValueError(f"{key} is no object")
    known = body.get(last)
    if not isinstance(known, dict):
        body[last] = value
    elif isinstance(value, dict):
        known.update(value)
    else:
        raise ValueError(f"{last} is no object")


def merged(body: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The body with more fields; objects at the top are merged one level deep."""
    for key, value in more.items():
        known = body.get(key)
        body[key] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return body


def picture_of(url: str) -> tuple[str, str] | None:
    """The media type and the base64 text of a picture's data URL; None for another URL."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    return head.removeprefix("data:").removesuffix(";base64").partition(";")[0] or "image/png", data
