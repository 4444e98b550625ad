"""What OpenAI-compatible servers differ in: fields that only some know, and models that refuse some."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from selfopt.records import EndpointConfig, ServerKind

from .jsontext import as_dict, as_list, as_str, parse_json

OWN_FIELDS: Mapping[ServerKind, frozenset[str]] = {
    "llama.cpp": frozenset({"cache_prompt", "chat_template_kwargs"}),
    "vllm": frozenset({"chat_template_kwargs"}),
    "sglang": frozenset({"chat_template_kwargs"}),
    "other": frozenset(),
}
"""The fields beyond OpenAI's that selfopt uses, by the servers that know them."""

_OWNERS: Mapping[str, ServerKind] = {
    "llamacpp": "llama.cpp",
    "llama-swap": "llama.cpp",  # starts these servers and passes requests on
    "scripted": "llama.cpp",
    "vllm": "vllm",
    "sglang": "sglang",
    "openai": "other",  # LiteLLM and its kin
    "organization_owner": "other",  # LM Studio
    "library": "other",  # Ollama
}
_REASONS = re.compile(r"(?:^|/)(?:gpt-5(?!-chat)|o[1-9])(?![a-z0-9])")


def server_of(models: Any) -> ServerKind | None:
    """Tell which program answers so to /v1/models; None where its list does not say.

    models: its answer as JSON.
    """
    owners = {as_str(as_dict(entry).get("owned_by")) for entry in as_list(as_dict(models).get("data"))}
    kinds = {_OWNERS.get(owner) for owner in owners}
    return kinds.pop() if len(kinds) == 1 else None


def server_by(props: Any) -> ServerKind:
    """Tell the same by the answer to /props, which llama.cpp alone has."""
    return "llama.cpp" if as_dict(props).get("default_generation_settings") else "other"


@lru_cache(maxsize=256)
def always_reasons(model: str) -> bool:
    """Whether a model is one of OpenAI's that take no temperature, and count thinking as completion."""
    return _REASONS.search(model) is not None


def thinks_by_name(model: str) -> bool | None:
    """True for OpenAI's reasoning models; None for others, whose names do not say."""
    return always_reasons(model) or None


def takes_temperature(model: str) -> bool:
    """Whether a model takes a temperature, as far as its name says."""
    return not always_reasons(model)


def unsupported_parameter(body: str) -> set[str]:
    """The parameter that a model does not take, as OpenAI's error says it; empty if the error says another thing."""
    try:
        error = as_dict(as_dict(parse_json(body)).get("error"))
    except ValueError:
        return set()
    known = error.get("code") in ("unsupported_value", "unsupported_parameter")
    return {as_str(error.get("param"))} if known else set()


def with_settings(config: EndpointConfig, body: dict[str, Any]) -> dict[str, Any]:
    """The body of a request as the endpoint's settings want it: `omit` first, then `extra_body`.

    body: its fields, decoded or not.
    """
    for place in config.omit:
        first, _, rest = place.partition(".")
        if first in body:
            body = _without(body, first, rest)
    return {**body, **config.extra_body} if config.extra_body else body


def _without(body: dict[str, Any], first: str, rest: str) -> dict[str, Any]:
    if not rest:
        return {key: value for key, value in body.items() if key != first}
    inner = body[first]
    inner = msgspec.json.decode(inner) if isinstance(inner, msgspec.Raw) else inner
    key, _, further = rest.partition(".")
    return {**body, first: _without(inner, key, further)} if isinstance(inner, dict) and key in inner else body
