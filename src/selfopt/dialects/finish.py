"""Why a reply ended, in the words of all servers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from selfopt.records import FinishReason

_REASONS: Mapping[FinishReason, str] = {
    "stop": "stop endturn stopsequence pauseturn eos eostoken complete completed endofturn",
    "length": "length maxtokens maxlength maxoutputtokens modellength modelcontextwindowexceeded",
    "tool_calls": "toolcalls toolcall tooluse functioncall",
    "content_filter": (
        "contentfilter contentfiltered refusal safety recitation blocklist prohibitedcontent spii guardrailintervened errortoxic"
    ),
    "load": "load unload",
}
_WORDS: Mapping[str, FinishReason] = {word: reason for reason, words in _REASONS.items() for word in words.split()}
_NO_LETTER = re.compile("[^a-z]")


def finish_of(reason: Any) -> FinishReason:
    """The reason that a server names, in any case and with any separators: `STOP`, `Tool_Calls`."""
    return _known(reason) if isinstance(reason, str) and len(reason) <= 64 else "unknown"


@lru_cache(maxsize=256)
def _known(reason: str) -> FinishReason:
    return _WORDS.get(_NO_LETTER.sub("", reason.lower()).removeprefix("finishreason"), "unknown")
