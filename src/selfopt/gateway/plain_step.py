"""The request for a chat that no variant serves, to a server of another dialect than the client's."""

from __future__ import annotations

from selfopt.dialects.clients import ClientRequest
from selfopt.dialects.refusal import bad_request
from selfopt.records import Constraint
from selfopt.variants import RenderedStep
from selfopt.variants.call_schema import calls_schema

from .live_request import LiveRequest
from .offered import wants_other_form

MOST_CALLS = 8  # of a reply that has to be one object


def plain_step(exchange: LiveRequest, asked: ClientRequest, *, with_tools: bool) -> RenderedStep:
    """Return the step that asks for an answer.

    Where a call is required and the server ignores `tool_choice`, a schema limits the reply to
    calls. Raises Refusal (400) where the client wants another form of the answer at the same time.
    """
    request = asked.request
    constraint = None
    if with_tools and request.tool_choice == "required" and exchange.upstream.ignores_choice:
        if wants_other_form(exchange.chat):
            raise bad_request(
                f"endpoint {exchange.upstream.name} can't be made to call a tool while response_format asks for another form: "
                "leave out one of the two",
                "tool_choice",
                "unsupported_value",
            )
        schema = calls_schema(request.tools, MOST_CALLS if asked.parallel else 1, required=True)
        constraint = Constraint(kind="json_schema", json_schema=schema)
    return RenderedStep(
        step="answer",
        messages=request.messages,
        tools=request.tools if with_tools else (),
        tool_choice=request.tool_choice if with_tools else "auto",
        constraint=constraint,
        sampling=request.sampling,
    )
