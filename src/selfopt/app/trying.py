"""`try`: one prompt, any model, any variant, any tools; nothing is scored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfopt.errors import SuiteError, UsageError
from selfopt.home import InputFileError, read_input
from selfopt.records import ChatReply, ChatRequest, Message, ParsedReply, ReplyContent, ToolDefinition
from selfopt.variants import read_reply, render

from .app import App

__all__ = ["Tried", "TriedStep", "load_tools", "render_variant", "try_model"]

MAX_TOOLS_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class TriedStep:
    """One request of the variant and its reply."""

    step: str
    request: ChatRequest
    reply: ChatReply | None


@dataclass(frozen=True, slots=True)
class Tried:
    """The steps, what the parsers read from, and what they read."""

    model: str
    variant: str
    steps: tuple[TriedStep, ...]
    content: ReplyContent | None
    parsed: ParsedReply | None


def load_tools(path: Path) -> tuple[ToolDefinition, ...]:
    """Tools from a JSON file: a list of `{name, description, parameters}`, of OpenAI's `{type, function}`, or an object with
    such a list under `tools`. SuiteError names what is wrong."""
    try:
        text = read_input(path, MAX_TOOLS_BYTES)
    except InputFileError as error:
        raise UsageError(f"--tools {path}: {error}; it should be a JSON file with a list of tools") from None
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"{path} is no valid JSON: {error}; fix the file") from None
    items = body.get("tools") if isinstance(body, dict) else body
    if not isinstance(items, list):
        raise SuiteError(f"{path}: expected a list of tools, or an object with a list under 'tools'")
    tools = []
    for number, item in enumerate(items, 1):
        inner = item.get("function", item) if isinstance(item, dict) else item
        try:
            tools.append(ToolDefinition.model_validate(_known(inner)))
        except ValidationError as error:
            first = error.errors()[0]
            raise SuiteError(f"{path}: tool {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    names = [tool.name for tool in tools]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise SuiteError(f"{path}: tool {double!r} is defined twice; names must differ")
    return tuple(tools)


def _known(item: Any) -> Any:
    """A tool as the field writes it: `inputSchema` (MCP) and `strict` are understood and passed over."""
    if not isinstance(item, dict):
        return item
    out = {k: v for k, v in item.items() if k in ("name", "description", "parameters")}
    for alias in ("inputSchema", "input_schema"):
        if alias in item and "parameters" not in out:
            out["parameters"] = item[alias]
    return out


def render_variant(app: App, variant: str, tools: Sequence[ToolDefinition], prompt: str) -> list[dict[str, Any]]:
    """The first request that a variant makes of a prompt, without asking anybody."""
    chosen = app.variant(variant)
    steps = render(chosen, (Message(role="user", content=prompt),), tools)
    first = next(steps)
    steps.close()
    return [
        {
            "step": first.step,
            "messages": first.messages,
            "tools": first.tools,
            "constraint": first.constraint,
            "sampling": first.sampling,
        }
    ]


async def try_model(
    app: App, model: str, variant: str, tools: Sequence[ToolDefinition], prompt: str, timeout_s: float | None = None
) -> Tried:
    """Ask once through a variant. Raises EndpointError as it comes; nothing is recorded."""
    name = app.resolve_model(model)
    app.require_ready([name])
    provider, entry = app.settings.endpoint_of(name)
    chosen = app.fitting(app.variant(variant), provider)
    endpoint = app.endpoint(provider)
    steps: list[TriedStep] = []
    generator = render(chosen, (Message(role="user", content=prompt),), tools)
    content: ReplyContent | None = None
    try:
        step = next(generator)
        while True:
            request = ChatRequest(
                model=app.server_model(name),
                messages=step.messages,
                tools=step.tools,
                tool_choice=step.tool_choice,
                sampling=step.sampling,
                constraint=step.constraint,
                timeout_s=timeout_s or app.settings.limits.timeout_s,
                connect_timeout_s=app.settings.limits.connect_timeout_s,
                context_size=app.settings.engine.context_size if entry.kind == "embedded" else None,
            )
            reply = await endpoint.chat(request)
            steps.append(TriedStep(step.step, request, reply))
            step = generator.send(reply.content)
    except StopIteration as stop:
        content = stop.value
    parsed = read_reply(chosen.parsers, content, tools) if content is not None else None
    return Tried(name, chosen.name, tuple(steps), content, parsed)
