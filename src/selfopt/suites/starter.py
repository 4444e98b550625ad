"""What `selfopt suites new` writes: a valid suite with comments that say what to change."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from selfopt.records import Phase, ToolDefinition

from .check import printable
from .write import tool_data, yaml_of

_HEAD = """\
# A suite of your own: prompts, the tools they offer, and the tool calls that are right (docs/SUITES.md says more).
# Check it after every change:  selfopt suites validate {named}
# Measure a model on it:        selfopt run MODEL {phase} --suite {named}
schema_version: 1
name: {name}
title: {title}
phase: {phase}{phase_note}
scope: sample             # it stands for prompts like these; `whole`: it is all there will ever be
"""

_TOOLS = """\

# Tools by set; a prompt offers one set. Give every split sets of its own: held out means new tools.
tool_sets:
"""

_SETS = """\
  shop:
    - name: find_product
      description: Look up a product of the shop by its name.
      parameters:         # JSON Schema; the fewer arguments are left open, the more can be judged
        type: object
        properties:
          name: {type: string, description: Name of the product.}
          colour: {type: string, enum: [red, green, blue]}
        required: [name]
    - name: reserve
      description: Put a product aside for a customer.
      parameters:
        type: object
        properties:
          name: {type: string, description: Name of the product.}
          customer: {type: string, description: Name of the customer.}
          days: {type: integer, minimum: 1, maximum: 14, default: 3}
        required: [name, customer]
  garden:
    - name: water_bed
      description: Water one bed of the garden.
      parameters:
        type: object
        properties:
          bed: {type: string, enum: [roses, herbs, beans]}
          minutes: {type: integer, minimum: 1, maximum: 60}
        required: [bed, minutes]
    - name: read_moisture
      description: Measure how moist the soil of a bed is.
      parameters:
        type: object
        properties:
          bed: {type: string, enum: [roses, herbs, beans]}
        required: [bed]
"""

_ATOMIC = """\

# Each prompt is one conversation; the answer to its last message is judged. Aim at 30 prompts or more, a quarter of them
# needing no call, about as many of each kind.
prompts:
  - id: shop-1
    kind: all there       # your own word for what is hard about it; report and warnings count by it
    reason: Product and customer are named; the days are not, so they stay out.
    tool_set: shop
    split: search         # seen while variants are chosen; `heldout` decides whether the choice was right
    messages:
      - {role: user, content: "Please put a garden lantern aside for Mrs Okafor."}
    expected:             # the accepted sets of calls; within a set every call has to be there, in any order
      - - name: reserve
          arguments:      # each argument with every value that is right; "" among them: it may be left out
            name: [garden lantern, lantern]
            customer: [Mrs Okafor, Okafor]

  - id: shop-2
    kind: detail missing
    reason: Nobody says for whom; the assistant has to ask.
    tool_set: shop
    messages:
      - {role: user, content: "Could you reserve the walnut tray?"}
    expected: [[]]        # nothing may be called

  - id: shop-3
    kind: small talk
    reason: Thanks need no tool.
    tool_set: shop
    messages:
      - {role: user, content: "That was quick, thank you!"}
    expected: [[]]

  - id: garden-1
    kind: all there
    reason: Bed and time are named in words.
    tool_set: garden
    split: heldout
    messages:
      - {role: user, content: "The herbs look thirsty. Give them a quarter of an hour."}
    expected:
      - - name: water_bed
          arguments:
            bed: [herbs]
            minutes: [15]

  - id: garden-2
    kind: all there
    reason: Two beds are asked about, so two calls are right.
    tool_set: garden
    split: heldout
    messages:
      - {role: user, content: "How dry is the soil under the roses and under the beans?"}
    expected:
      - - {name: read_moisture, arguments: {bed: [roses]}}
        - {name: read_moisture, arguments: {bed: [beans]}}

  - id: garden-3
    kind: small talk
    reason: A remark is no request.
    tool_set: garden
    split: heldout
    messages:
      - {role: user, content: "I like it best out here in the early morning."}
    expected: [[]]
"""

_EXTENDED = """\

# Each prompt is one conversation; history and tool results are fixed here, and the answer to the last message is judged.
# Aim at 30 prompts or more, a quarter of them needing no call, about as many of each kind.
prompts:
  - id: shop-1
    kind: recall          # your own word for what is hard about it; report and warnings count by it
    reason: The customer was named two turns ago.
    tool_set: shop
    split: search         # seen while variants are chosen; `heldout` decides whether the choice was right
    messages:
      - {role: user, content: "I am shopping for my neighbour Mrs Okafor today."}
      - {role: assistant, content: "How can I help?"}
      - {role: user, content: "Put a garden lantern aside for her."}
    expected:             # the accepted sets of calls; within a set every call has to be there, in any order
      - - name: reserve
          arguments:      # each argument with every value that is right; "" among them: it may be left out
            name: [garden lantern, lantern]
            customer: [Mrs Okafor, Okafor]

  - id: shop-2
    kind: result is enough
    reason: The result already answers the question; nothing more is to be called.
    tool_set: shop
    messages:
      - {role: user, content: "Do you have walnut trays?"}
      - role: assistant
        tool_calls:       # every call of the history has an id, and a result with that id behind it
          - {id: c1, name: find_product, arguments: {name: walnut tray}}
      - {role: tool, tool_call_id: c1, name: find_product, content: '{"in_stock": 4, "price": 18.5}'}
    expected: [[]]        # nothing may be called

  - id: garden-1
    kind: recall
    reason: Which bed and how long was said at the start.
    tool_set: garden
    split: heldout
    messages:
      - {role: user, content: "The herbs get a quarter of an hour every evening."}
      - {role: assistant, content: "Noted."}
      - {role: user, content: "It is evening now."}
    expected:
      - - name: water_bed
          arguments:
            bed: [herbs]
            minutes: [15]

  - id: garden-2
    kind: result is enough
    reason: The bed is moist, and watering was to depend on that.
    tool_set: garden
    split: heldout
    messages:
      - {role: user, content: "Water the roses for ten minutes if the soil there is dry."}
      - role: assistant
        tool_calls:
          - {id: c1, name: read_moisture, arguments: {bed: roses}}
      - {role: tool, tool_call_id: c1, name: read_moisture, content: '{"moisture": "wet"}'}
    expected: [[]]
"""

_WITH_TOOLS = """\

# Write your prompts below. Each is one conversation; the answer to its last message is judged.
prompts:
  - id: p1
    kind: question about the assistant   # your own word for what is hard about it
    reason: It is answered without looking anything up.
    tool_set: {tool_set}
    split: search         # `heldout` decides whether a choice was right; it needs a tool set of its own
    messages:
      - {{role: user, content: "What sort of things can you do for me?"}}
    expected: [[]]        # nothing may be called

  # A prompt that needs a call looks like this:
  # - id: p2
  #   kind: all there
  #   reason: Why this answer is right, in one line.
  #   tool_set: {tool_set}
  #   messages:
  #     - {{role: user, content: "..."}}
  #   expected:
  #     - - name: {tool}
  #         arguments: {{ARGUMENT: [every value, that is right]}}
"""


def starter_text(
    name: str, phase: Phase, tools: Sequence[ToolDefinition] | None = None, origin: str = "", *, named: str = ""
) -> str:
    """Write the text of a starter suite.

    Args:
        name: the name of the suite.
        phase: its phase.
        tools: the tools to offer instead of those of the example.
        origin: where these tools come from, for the title.
        named: how commands refer to the suite, if not by its name.
    """
    note = "             # one user turn each" if phase == "atomic" else "           # conversations with tool results"
    title = json.dumps(f"Tools of {printable(origin)}", ensure_ascii=False) if origin else "What my assistant is asked"
    head = _HEAD.format(name=name, named=printable(shlex.quote(named or name)), phase=phase, phase_note=note, title=title)
    if tools is None:
        return head + _TOOLS + _SETS + (_ATOMIC if phase == "atomic" else _EXTENDED)
    sets = yaml_of({"tools": [tool_data(tool) for tool in tools]})
    indented = "".join(f"  {line}" if line.strip() else line for line in sets.splitlines(keepends=True))
    return head + _TOOLS + indented + _WITH_TOOLS.format(tool_set="tools", tool=tools[0].name if tools else "TOOL")
