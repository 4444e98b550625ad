"""`try`: sends one prompt to any model with any variant and any tools, and scores nothing."""

from __future__ import annotations

from dataclasses import dataclass

from selfopt.measure.attempt import status_of
from selfopt.reading import chain_of, needs_logprobs, read_calls
from selfopt.records import ChatReply, ChatRequest, Endpoint, Message, ParsedReply, ReplyContent, Variant
from selfopt.variants import RenderedStep, options_of, render
from selfopt.variants.options import require_embedding
from selfopt.wiring.app import App
from selfopt.wiring.ready import require_logprobs

from .tools import Tools, read_tools


@dataclass(frozen=True, slots=True)
class TriedStep:
    """One request of the variant and its reply."""

    step: str
    request: ChatRequest
    reply: ChatReply | None


@dataclass(frozen=True, slots=True)
class Tried:
    """The steps, the content that the parsers read, and what they found in it."""

    model: str
    variant: str
    steps: tuple[TriedStep, ...]
    content: ReplyContent | None
    parsed: ParsedReply | None


async def try_model(
    app: App,
    model: str,
    variant: str | Variant,
    tools: Tools,
    prompt: str,
    timeout_s: float | None = None,
    *,
    observe: bool = False,
) -> Tried:
    """Ask a model once through a variant. Records nothing.

    observe: ask for log probabilities also where the variant does not read them, if the endpoint may give them.

    Raises:
        EndpointError: the request failed.
        VariantError: the variant reads log probabilities, and the endpoint gives none.
    """
    name = app.resolve_model(model)
    app.require_ready([name])
    provider, entry = app.settings.endpoint_of(name)
    chosen = app.fitting(app.variant(variant) if isinstance(variant, str) else variant, provider)
    require_logprobs(app.settings, chosen, provider)
    if options_of(chosen).embeds:
        require_embedding(chosen, app.settings.embedding)
    asked = entry.logprobs_asked(read=True) if observe or needs_logprobs(chosen.parsers) else None
    endpoint = app.sender.endpoint(name, asked=name)
    steps: list[TriedStep] = []
    messages = (Message(role="user", content=prompt),)
    offered = await read_tools(app, tools)
    generator = render(chosen, messages, offered, embeds=True)
    content: ReplyContent | None = None
    try:
        step = next(generator)
        while True:
            request = ChatRequest(
                model=app.sender.server_model(name),
                messages=step.messages,
                tools=step.tools,
                tool_choice=step.tool_choice,
                sampling=step.sampling,
                constraint=step.constraint,
                timeout_s=timeout_s or app.settings.limits.timeout_s,
                connect_timeout_s=app.settings.limits.connect_timeout_s,
                context_size=app.settings.engine.context_size if entry.traits.engine else None,
                logprobs=step.logprobs or asked,
            )
            reply = await _answered(app, name, endpoint, step, request)
            steps.append(TriedStep(step.step, request, reply))
            step = generator.send(reply.content.model_copy(update={"logprobs": reply.logprobs}))
    except StopIteration as stop:
        content = stop.value
    parsed = None
    if content is not None:
        hinted = chain_of(chosen.parsers).splits  # an earlier chain knows no families
        status = await status_of(app.sender.residency(name, asked=name), app.sender.server_model(name)) if hinted else None
        parsed = read_calls(chosen.parsers, content, offered, messages, status.family if status is not None else "")
    return Tried(name, chosen.name, tuple(steps), content, parsed)


async def _answered(app: App, asked: str, endpoint: Endpoint, step: RenderedStep, request: ChatRequest) -> ChatReply:
    """Send a step to the model, or to the embedding model that answers it."""
    if not step.embedding:
        return await endpoint.chat(request)
    source = app.sender.embedding(step.embedding, asked=asked)
    return await source.endpoint.chat(request.model_copy(update={"model": source.model}))
