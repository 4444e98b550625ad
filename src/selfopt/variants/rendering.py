"""Tells which version of writing tools and of limiting replies a variant's requests are of.

Version 2 tells of references, unions, constants, defaults and described choices, and limits replies
to what schemas allow. A request that is the same in both is of version 1, so that what was measured
before goes on to count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import LeftFree, Spec, Suite, ToolDefinition, Variant, remembered

from .options import options_of
from .render import lean_tools
from .schema_shapes import argument_shapes
from .shapes import Members, NoValue
from .signatures import one_line, signature


def as_rendered(spec: Spec, suite: Suite) -> Spec:
    """The spec with the version of the requests that its variant makes of this suite now."""
    version = rendering_of(spec.variant, suite)
    return spec if spec.rendering == version else spec.model_copy(update={"rendering": version})


@remembered
def rendering_of(variant: Variant, suite: Suite) -> int:
    """The version of the requests that a variant makes of a suite's prompts."""
    options = options_of(variant)
    sets = [lean_tools(tools) if options.lean else tools for tools in suite.tool_sets.values()]
    offered = [tool for tools in sets for tool in tools]
    if _limits_arguments(variant) and any(_has_arguments(tool) for tool in offered):
        return 2
    if options.tool_style == "json":
        return 1
    told = [tool for example in variant.examples for tool in example.tools]
    if (
        options.examples_by == "own_tools"
        or variant.tools == "system_prompt"
        or (variant.steps != "single" and options.choice == "listed")
    ):
        told += offered
    return 2 if any(_told_anew(tool, brief=options.tool_style == "brief") for tool in told) else 1


def left_free(variant: Variant, tools: Sequence[ToolDefinition]) -> tuple[LeftFree, ...]:
    """What a variant's limit on these tools' arguments leaves freer than their schemas."""
    if not _limits_arguments(variant):
        return ()
    offered, among = (lean_tools(tools) if options_of(variant).lean else tools), len(tools)
    return tuple(one for tool in offered for one in argument_shapes(tool, among).free)


def _limits_arguments(variant: Variant) -> bool:
    """Whether a variant limits the arguments of calls, and not only which tools are called."""
    if variant.steps == "choose_then_answer":
        return False
    return variant.constraint != "none" or variant.steps == "choose_then_fill"


def _has_arguments(tool: ToolDefinition) -> bool:
    """Whether a limit has anything to say of a tool's arguments."""
    root = argument_shapes(tool).root
    none = isinstance(root, Members) and not root.listed and isinstance(root.extra, NoValue)
    return not none or "properties" not in tool.parameters


def _told_anew(tool: ToolDefinition, *, brief: bool) -> bool:
    return signature(tool, brief=brief) != _first_signature(tool, brief=brief)


def _first_signature(tool: ToolDefinition, *, brief: bool) -> str:
    """The signature of version 1."""
    required, properties = tool.parameters.get("required"), tool.parameters.get("properties")
    needed = set(required) if isinstance(required, list) and all(isinstance(key, str) for key in required) else set()
    parts = []
    for key, schema in properties.items() if isinstance(properties, Mapping) else ():
        optional = "" if key in needed else "?"
        parts.append(f"{key}{optional}" if brief else f"{key}{optional}: {_first_type(schema, 0)}")
    text = f"{tool.name}({', '.join(parts)})"
    return f"{text} - {one_line(tool.description)}" if tool.description else text


def _first_type(schema: Any, depth: int) -> str:
    if not isinstance(schema, Mapping) or depth > 4:
        return "any"
    values = schema.get("enum")
    if isinstance(values, Sequence) and values and not isinstance(values, str):
        return "|".join(json.dumps(value, ensure_ascii=False, default=str) for value in values[:24])
    kind = schema.get("type")
    name = "|".join(str(one) for one in kind) if isinstance(kind, list) else str(kind or "any")
    if name == "array":
        name = f"list of {_first_type(schema.get('items'), depth + 1)}"
    elif name == "object" and isinstance(schema.get("properties"), Mapping):
        inner = ", ".join(f"{key}: {_first_type(part, depth + 1)}" for key, part in schema["properties"].items())
        name = f"{{{inner}}}"
    note = schema.get("description")
    return f"{name} ({one_line(note)})" if isinstance(note, str) and note else name
