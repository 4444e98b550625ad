"""Why a server refuses a request: the one place where the prose of servers is read.

A cause is read from the code or type of an error, then from the beginning of its message, then from
the status. A message may repeat what was sent, so rows match at its beginning only, and words that
stand in the request itself count for nothing. `tests/dialects/causes.json` holds what servers said,
and where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from selfopt.errors import Cause

from .jsontext import as_dict, as_str, parse_json

READ_CHARS = 600
"""How much of a message is read."""
_MAX_WRAPPERS = 5
_MAX_JSON_CHARS = 8_000

CODES: Mapping[str, Cause] = {
    "context_length_exceeded": "context",
    "exceed_context_size_error": "context",
    "model_not_found": "unknown_model",
    "insufficient_quota": "payment",
    "billing_not_active": "payment",
    "billing_error": "payment",
    "rate_limit_exceeded": "rate",
    "rate_limit_error": "rate",
    "resource_exhausted": "rate",
    "tool_use_failed": "not_parsed",
}
"""What codes, types and statuses of error objects mean."""

STATUSES: Mapping[int, Cause] = {402: "payment", 429: "rate"}
"""What an HTTP status means when nothing else is known."""

_NAME = r"""["'`]?\w[\w./:@+\-]{0,199}(?<!:)["'`]?"""

ROWS: Sequence[tuple[Cause, str, str]] = (
    ("no_tools", rf"{_NAME} ", r"does not support (?:tools|tool (?:use|calls|calling)|function[ -]call(?:s|ing)?)\b"),
    ("no_tools", r"", r"No endpoints found that support tool use\b"),
    (
        "no_tools",
        r"",
        r"[`'\"]?(?:tools|tool[ _]calling|tool[ _]use|tool_choice)[`'\"]? is not supported (?:with|in|by|for) this model\b",
    ),
    ("no_tools", r"(?:\w{1,40} error: )?", r"Tool calling is not supported for model\b"),
    ("no_tools", r"", r"Function calling is not enabled for (?:this model|models/)"),
    (
        "no_tools",
        r"The parameter `\w{0,40}` specified in the request (?:is|are) not valid: ",
        r"the requested model does not support function",
    ),
    ("no_tools", r"", r"This model doesn't support tool use\b"),
    ("no_tools", r"", r"The tool call is not supported\b"),
    ("tools_off", r"(?:\w{1,20} )?", r"(?:tools|tool_choice) param requires --jinja\b"),
    ("tools_off", r"", r"Unsupported param: (?:tools|tool_choice)\b"),
    ("tools_off", r"[\"'`]?\w{1,20}[\"'`]? ", r"tool choice requires [`'\"]?--(?:enable-auto-tool-choice|tool-call-parser)\b"),
    ("tools_off", r"", r"tool_choice\S{0,40} requires [`'\"]?--(?:enable-auto-tool-choice|tool-call-parser)\b"),
    ("not_parsed", r"", r"error parsing tool call\b"),
    ("not_parsed", r"", r"Failed to call a function\. Please adjust your prompt\b"),
    ("not_parsed", r"", r"Failed to parse input at pos \d{1,9}"),
    ("not_parsed", r"", r"The model produced output that does not match the expected [\w-]{1,40} format\b"),
    ("not_parsed", r"", r"Failed to parse tool call: "),
    ("not_parsed", r"(?:failed to parse XML: )?", r"XML syntax error on line \d{1,9}: "),
    ("not_parsed", r"", r"expected element type <\w{1,40}> but have <\w{1,40}>"),
    ("roles", r"(?:After the optional system message, )?", r"conversation roles must alternate\b"),
    ("roles", r"", r"A conversation must alternate between user and assistant roles\b"),
    ("roles", r"messages: ", r"roles must alternate between\b"),
    ("roles", r"", r"System role (?:is )?not supported\b"),
    ("roles", r"", r"Only user(?:,| and) assistant(?: and tool)? roles are supported\b"),
    ("roles", r"", r"System message must be at the beginning\b"),
    ("roles", r"", r"Developer instruction is not enabled for (?:this model|models/)"),
    ("roles", r"", r"Expected last role User or Tool\b"),
    ("context", r"", r"This model's maximum context length is [\d,]{1,12} tokens"),
    ("context", r"(?:the )?request (?:\([\d,]{1,12} tokens\) )?", r"exceeds the available context size\b"),
    ("context", r"", r"Context size has been exceeded\b"),
    ("context", r"The input \([\d,]{1,12} tokens\) ", r"is longer than the model's context length\b"),
    ("context", r"Input length \([\d,]{1,12} tokens\) ", r"exceeds the maximum allowed length\b"),
    ("context", r"Requested tokens \([\d,]{1,12}\) ", r"exceed context window of \d"),
    ("context", r"`inputs` ", r"(?:tokens \+ `max_new_tokens` must be <=|must have less than \d{1,9} tokens)"),
    ("context", r"", r"prompt is too long: [\d,]{1,12} tokens\b"),
    ("context", r"", r"input length and `max_tokens` exceed context limit\b"),
    ("context", r"The (?:decoder )?prompt \((?:total )?length [\d,]{1,12}\) ", r"is longer than the maximum model length\b"),
    ("context", r"Trying to keep the first [\d,]{1,12} tokens ", r"when context (?:the )?overflows\b"),
    ("memory", r"model ", r"requires more system memory \("),
    ("memory", r"(?:error loading model: )?", r"(?:CUDA|HIP|MPS backend) (?:error: )?out of memory\b"),
    ("memory", r"(?:error loading model: )?", r"cudaMalloc failed: out of memory\b"),
    ("memory", r"(?:error loading model: )?", r"unable to allocate \w{1,20} buffer\b"),
    ("memory", r"(?:error loading model: )?", r"unable to allocate backend buffer\b"),
    (
        "memory",
        r"(?:Failed to load model \S{1,200} Error: )?",
        r"Model loading was stopped due to insufficient system resources\b",
    ),
    ("memory", r"(?:\[METAL\] Command buffer execution failed: )?", r"Insufficient Memory \(\d{8}:"),
    ("memory", r"llama runner exited, ", r"you may not have enough available memory to run this model\b"),
    ("payment", r"", r"Your credit balance is too low\b"),
    ("payment", r"", r"Insufficient (?:Balance|credits)\b"),
    ("payment", r"", r"This request requires more credits\b"),
    ("payment", r"", r"More credits are required to run this request\b"),
    ("rate", r"", r"Rate limit reached for\b"),
    ("rate", r"", r"Resource exhausted\. Please try again later\b"),
    ("unknown_model", r"", rf"model {_NAME} not found\b"),
    ("unknown_model", r"", rf"The model {_NAME} does not exist\b"),
    ("unknown_model", r"", r"Invalid model name passed in\b"),
    ("unknown_model", rf"{_NAME} ", r"is not a valid model ID\b"),
    ("unknown_model", rf"models/{_NAME} ", r"is not found for API version\b"),
    ("unknown_model", r"", rf"No endpoints found for {_NAME}"),
    ("unknown_model", r"", rf"model: {_NAME}$"),
    ("not_loaded", r"", r"Loading model$"),
    ("not_loaded", r"", r"No models loaded\. Please load a model\b"),
    ("not_loaded", r"", r"Model is unloaded\b"),
    ("not_loaded", r"", r"could not load model\b"),
    ("not_loaded", r"(?:error loading model: )?(?:\w{1,40}: )?", r"Failed to load model\b"),
    ("not_loaded", rf"Model {_NAME} ", r"is currently loading\b"),
)
"""A cause, what may stand before the words that tell it, and these words."""

_WRAPPERS = r"""(?:
        [\w.]{1,80}(?:Error|Exception)(?::|\ -)\s?   # litellm.BadRequestError: GroqException - ...
      | (?:API\ )?Error:\s | Error\ code:\ \d{3}\ -\s | (?:HTTP\ )?\d{3}:\s
      | rpc\ error:\ code\ =\ \w{1,40}\ desc\ =\s
      | (?:llama\ runner|llama-server)\ process\ has\ terminated:\s(?:exit\ status\ \d{1,3}:\s)?
      | Input\ validation\ error:\s
      | Error\ rendering\ prompt\ with\ jinja\ template:\s["']?
      | (?:/\w{1,40}){1,3}:\s                      # /chat/completions: ...
      | (?:Unable\ to\ generate\ parser\ for\ this\ template\.\s[\w\ ]{1,60}:\s{1,3}-{3,40}\s{1,3})?
        While\ executing\ \w{1,40}\ at\ line\ \d{1,6},\ column\ \d{1,6}\s{1,3}in\ source:(?s:.{0,400}?)Error:\ Jinja\ Exception:\s
      | Jinja\ Exception:\s
      | \{\s?["'](?:error|detail)["']:\s?(?:\{\s?["']message["']:\s?)?["']
    )"""


@cache
def _compiled() -> tuple[tuple[Cause, re.Pattern[str]], ...]:
    """The rows as patterns. Made at the first refusal, because it takes some milliseconds."""
    return tuple((cause, re.compile(f"(?:{before})(?P<says>{says})", re.IGNORECASE)) for cause, before, says in ROWS)


@cache
def _wrappers() -> re.Pattern[str]:
    return re.compile(_WRAPPERS, re.IGNORECASE | re.VERBOSE)


def cause_of(status: int, body: Any, text: str, sent: str) -> Cause | None:
    """Why a server refuses a request; None when it does not say so in words that are known.

    Args:
        status: the HTTP status. A reply with 2xx is an answer, so it has no cause.
        body: the JSON of the reply; None when it is none.
        text: the server's message.
        sent: the body of the request.
    """
    if 200 <= status < 300:
        return None
    for code in _codes(body):
        if code in CODES:
            return CODES[code]
    for message in (_passed_on(body), text):
        cause = _read(message, sent)
        if cause is not None:
            return cause
    return STATUSES.get(status)


def is_loading(status: int, body: str) -> bool:
    """Whether a server says that it is loading the model, so that waiting helps: a 503 with that word."""
    return status == 503 and "loading" in body[:4000].lower()


def _codes(body: Any) -> Iterator[str]:
    """The codes and types of an error object in lower case, most specific first."""
    error = as_dict(as_dict(body).get("error"))
    for holder in (error, as_dict(body)):
        for name in ("code", "type", "status"):
            code = as_str(holder.get(name))
            if code:
                yield code[:80].lower()


def _passed_on(body: Any) -> str:
    """The message of a provider behind a server, which passes it on in the details of its own error."""
    raw = as_str(as_dict(as_dict(as_dict(body).get("error")).get("metadata")).get("raw"))
    if not raw or len(raw) > _MAX_JSON_CHARS:
        return ""
    try:
        inner = as_dict(parse_json(raw))
    except ValueError:
        return raw
    error = inner.get("error")
    return as_str(as_dict(error).get("message")) or as_str(error) or as_str(inner.get("message"))


def _read(message: str, sent: str) -> Cause | None:
    rest = _unwrapped(message[:READ_CHARS].strip())
    for cause, pattern in _compiled():
        found = pattern.match(rest)
        if found is not None and not _stands_in(sent, found["says"]):
            return cause
    return None


def _unwrapped(text: str) -> str:
    """The message without what servers and libraries put before it."""
    wrappers = _wrappers()
    for _ in range(_MAX_WRAPPERS):
        found = wrappers.match(text)
        if found is None:
            break
        text = text[found.end() :]
    return text


def _stands_in(sent: str, words: str) -> bool:
    """Whether these words stand in the request, plainly or escaped as in JSON."""
    return words in sent or json.dumps(words)[1:-1] in sent
