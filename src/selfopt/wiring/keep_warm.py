"""Makes the models of the rules ready for traffic and keeps them ready."""

from __future__ import annotations

from collections.abc import Callable

from selfopt.errors import SelfoptError, UnknownModelError
from selfopt.gateway import Warmed, Warmer
from selfopt.records import ChatRequest, Message, ModelStatus, RoutingConfig, Rule, ToolDefinition, Variant
from selfopt.residency import ensure_resident
from selfopt.variants import render

from .app import App

_TOOL = ToolDefinition(name="get_time", description="Say what time it is.")
_QUESTION = Message(role="user", content="What time is it?")


def warmer(
    app: App, config: Callable[[], RoutingConfig], tell: Callable[[str, ModelStatus], None] = lambda _model, _status: None
) -> Warmer:
    """Return a function that loads a model or resets its server's idle timer.

    After a load it asks one question through each variant that serves the model. The server then
    has read the variant's instructions and examples before a client waits for it.

    Args:
        config: returns the rules in force.
        tell: gets what the server says about a model, by the model's full name.
    """

    async def warm(model: str) -> Warmed:
        try:
            full = app.full_name(model)
        except UnknownModelError as error:
            return Warmed(problem=str(error))
        entry = app.settings.endpoint_of(full)[1]
        residency, known = app.sender.residency(full, asked=full), app.sender.server_model(full)
        timeout_s = app.settings.warm_up.warmup_load_timeout_s
        found = await ensure_resident(residency, known, timeout_s)
        tell(full, found.before)
        try:
            if found.before.state == "loaded" and entry.traits.counts_idle:
                # A second load costs nothing and resets the idle timer.
                await residency.load(known, timeout_s)
            elif found.load_ms is not None and not found.problem:
                for rule in config().rules:
                    if rule.model == model and rule.warm_up and rule.allow and rule.variant is not None:
                        await app.sender.endpoint(full, asked=full).chat(_first_chat(known, rule, rule.variant, timeout_s))
        except SelfoptError as error:
            return Warmed(found.load_ms, problem=str(error))
        return Warmed(found.load_ms, found.problem)

    return warm


def _first_chat(model: str, rule: Rule, variant: Variant, timeout_s: float) -> ChatRequest:
    """Build the variant's first request, for a reply of one token: only reading it matters."""
    step = next(render(variant, (_QUESTION,), (_TOOL,)))
    return ChatRequest(
        model=model,
        messages=step.messages,
        tools=step.tools,
        tool_choice=step.tool_choice,
        constraint=step.constraint,
        sampling=step.sampling.model_copy(update={"max_tokens": 1}),
        timeout_s=timeout_s,
        context_size=rule.limits.context_size,
    )
