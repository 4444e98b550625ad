"""The table of trials: what was asked and how it went, a row for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from selfopt.ledger import Bodies, BodyPage
from selfopt.records import Trial

from .columns import Column, DataTable, Lines, Selection, Values, decode_all, fields_of, uncollected
from .runs import RUN_COLUMNS, Runs

PAGE = 512
CONTENT_PAGE = 64
"""Rows at a time where texts are wanted: a reply may have megabytes."""


class _Usage(msgspec.Struct, gc=False, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    thinking_tokens: int | None = None


class _Load(msgspec.Struct, gc=False, frozen=True):
    before: str = "unknown"
    load_ms: float | None = None
    loaded: bool | None = None


class _Attempt(msgspec.Struct, gc=False, omit_defaults=True):
    """An attempt without what a server said, which may repeat a prompt."""

    number: int
    started_at: str
    latency_ms: float
    request: str = ""
    reply: str | None = None
    status: int | None = None
    fault: str | None = None
    finish_reason: str = "unknown"
    wait_before_ms: float = 0.0
    cause: str | None = None


class _Exchange(msgspec.Struct, gc=False, omit_defaults=True):
    attempts: tuple[_Attempt, ...]
    step: str = "answer"
    content: str | None = None


class _Trial(msgspec.Struct, gc=False):
    trial_id: str
    run_id: str
    request_id: str
    environment_id: str
    prompt_id: str
    run_index: int
    position: int
    slot: int
    started_at: str
    exchanges: tuple[_Exchange, ...]
    latency_ms: float
    fault: str | None = None
    usage: _Usage = _Usage()
    load: _Load = _Load()
    cause: str | None = None
    said: str = ""


class _Reply(msgspec.Struct):
    text: str = ""
    thinking: str = ""


TRIALS = DataTable(
    "trials",
    "One row for each trial: one prompt, once. Verdicts are a table of their own, because a trial can be judged again.",
    (
        Column("trial_id", "text", "the trial"),
        Column("run_id", "text", "the run that it belongs to"),
        Column("prompt_id", "text", "the prompt in its suite"),
        Column("started_at", "time", "when it began"),
        *RUN_COLUMNS,
        Column("request_id", "text", "hash of all chosen inputs without the parser"),
        Column("environment_id", "text", "hash of all observed inputs"),
        Column("run_index", "integer", "number of the pass over the suite, from 0"),
        Column("position", "integer", "place within the run"),
        Column("slot", "integer", "which of the slots asked it"),
        Column("asked", "flag", "whether anything was sent"),
        Column("fault", "text", "`truncated`, `timeout`, `loading` or `error`; none where a whole reply was read"),
        Column("cause", "text", "why the server refused, as far as it says so"),
        Column("latency_ms", "number", "from the first byte sent to the last received, with retries and waits"),
        Column("busy_ms", "number", "its attempts together, without the waits between them"),
        Column("steps", "integer", "requests that the trial needed: steps, turns or votes"),
        Column("attempts", "integer", "requests with retries"),
        Column("status", "integer", "HTTP status of the last attempt"),
        Column("finish_reason", "text", "why the model ended its last reply"),
        Column("input_tokens", "integer", "tokens of the requests, where the server reports them"),
        Column("output_tokens", "integer", "tokens of the replies"),
        Column("cached_tokens", "integer", "the part of the input that came from a prompt cache"),
        Column("thinking_tokens", "integer", "the part of the output that is thinking"),
        Column("loaded", "flag", "whether the model was loaded during the trial; none without evidence"),
        Column("load_ms", "number", "how long that took"),
        Column(
            "exchanges",
            "json",
            "every step with its attempts; `request`, `reply` and `content` are hashes of texts in the ledger",
        ),
        Column("request", "text", "the body of the last request, exactly as sent", content=True),
        Column("reply", "text", "the body of the last reply, exactly as received", content=True),
        Column("text", "text", "the answer, without thinking", content=True),
        Column("thinking", "text", "the thinking", content=True),
        Column("said", "text", "the server's words where it refused", content=True),
    ),
)

_many = msgspec.json.Decoder(list[_Trial])
_one = msgspec.json.Decoder(_Trial)
_reply = msgspec.json.Decoder(_Reply)
_encode_lines = msgspec.json.Encoder().encode_lines
_NO_ATTEMPT = _Attempt(0, "", 0.0)


def trial_rows(bodies: Bodies, selection: Selection) -> Iterator[Values]:
    """Yields the rows of trials in the order of appending, a bounded number at a time. Raises CorruptError."""
    runs = Runs(bodies)
    for page in bodies.pages(Trial, CONTENT_PAGE if selection.content else PAGE):
        with uncollected():
            values = _chosen(page, runs, selection, bodies)
        if values is not None:
            yield values


def _chosen(page: BodyPage, runs: Runs, selection: Selection, bodies: Bodies) -> Values | None:
    """The rows of a page that are wanted; None where there are none."""
    rows = decode_all(_many, _one, page)
    if selection.since or selection.until:
        rows = [row for row in rows if selection.has_time(row.started_at)]
    if selection.model is not None:
        known = runs.of({row.run_id for row in rows})
        rows = [row for row in rows if selection.has_model(known[row.run_id].model)]
    if not rows:
        return None
    values = _values(rows)
    values |= runs.values(values["run_id"])
    return values | _content(rows, bodies) if selection.content else values


def _values(rows: list[_Trial]) -> Values:
    values = fields_of(_Trial, rows)
    usage, load, exchanges = (values.pop(name) for name in ("usage", "load", "exchanges"))
    attempts = [made[0].attempts if len(made) == 1 else _attempts(made) for made in exchanges]
    counts = list(map(len, attempts))
    last = [made[-1] if made else _NO_ATTEMPT for made in attempts]
    times = [made.latency_ms for made in last]
    if counts.count(1) != len(counts):
        times = [sum(each.latency_ms for each in made) if len(made) != 1 else made[0].latency_ms for made in attempts]
    return {
        **values,
        **fields_of(_Usage, usage),
        **fields_of(_Load, load),
        "asked": list(map(bool, exchanges)),
        "busy_ms": times,
        "steps": list(map(len, exchanges)),
        "attempts": counts,
        "status": [made.status for made in last],
        "finish_reason": [made.finish_reason for made in last],
        "exchanges": Lines(_encode_lines(exchanges), len(rows)),  # JSON has no ends of lines in texts
    }


def _attempts(exchanges: tuple[_Exchange, ...]) -> tuple[_Attempt, ...]:
    return tuple(attempt for exchange in exchanges for attempt in exchange.attempts)


def _content(rows: list[_Trial], bodies: Bodies) -> Values:
    """The texts of these rows. Texts that the ledger does not hold are left empty."""
    last = [row.exchanges[-1] if row.exchanges else None for row in rows]
    requests = [each.attempts[-1].request if each is not None and each.attempts else None for each in last]
    replies = [each.attempts[-1].reply if each is not None and each.attempts else None for each in last]
    contents = [each.content if each is not None else None for each in last]
    texts = bodies.texts({blob for blob in (*requests, *replies, *contents) if blob is not None})
    said = [_said(texts.get(blob or "")) for blob in contents]
    return {
        "request": [texts.get(blob or "") for blob in requests],
        "reply": [texts.get(blob or "") for blob in replies],
        "text": [reply.text if reply is not None else None for reply in said],
        "thinking": [reply.thinking if reply is not None else None for reply in said],
        "said": [row.said or None for row in rows],
    }


def _said(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return _reply.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
