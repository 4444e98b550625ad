"""The calls in a whole answer that is passed on."""

from __future__ import annotations

import json
from typing import Any

from selfopt.dialects.openai_edit import MAX_CHOICES
from selfopt.gateway.offered import OfferedTools
from selfopt.gateway.whole_answer import with_calls
from tests.reading.test_threads import CALL, TOOLS

OFFERED = OfferedTools(TOOLS, "unknown", required=False, parallel=True)


async def test_only_so_many_choices_are_looked_at() -> None:
    """Each that is edited writes the reply anew. The others stay as they came."""
    choices: list[dict[str, Any]] = [{"message": {"content": CALL}, "finish_reason": "stop"}] * (MAX_CHOICES + 8)
    answer = await with_calls(json.dumps({"choices": choices}).encode(), OFFERED, "call_1")
    assert answer is not None
    got = json.loads(answer.body)["choices"]
    assert answer.read == MAX_CHOICES == sum("tool_calls" in choice["message"] for choice in got)
    assert got[MAX_CHOICES:] == choices[MAX_CHOICES:]
