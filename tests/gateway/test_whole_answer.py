"""The calls in a whole answer that is passed on."""

from __future__ import annotations

import json
from typing import Any

import pytest

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


@pytest.mark.parametrize("written", ["NaN", "-Infinity", "1e400"])
async def test_a_number_that_json_lacks_passes_as_it_came(written: str) -> None:
    """A text is no repair of it, reported or in a text; where the tool takes a text, it is one."""
    for name, key, mended in (("set_timer", "minutes", 0), ("write_note", "text", 1)):
        call = {"type": "function", "function": {"name": name, "arguments": f'{{"{key}": {written}}}'}}
        body = json.dumps({"choices": [{"message": {"content": None, "tool_calls": [call]}}]}).encode()
        got = await with_calls(body, OFFERED, "call_1")
        assert got is not None
        assert (got.mended, got.body == body) == (mended, not mended)
        text = f'{{"name": "{name}", "arguments": {{"{key}": {written}}}}}'
        got = await with_calls(json.dumps({"choices": [{"message": {"content": text}}]}).encode(), OFFERED, "call_1")
        assert got is not None
        assert got.read == mended
