"""The tables of live requests and of what clients told of them, from the gateway's own records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from selfopt.gateway.ticket import FeedbackRecord, JournalRecord, RequestRecord

from .columns import Column, DataTable, Selection, Values

PAGE = 4096

REQUESTS = DataTable(
    "requests",
    "One row for each live request that a gateway answered, in the order in which each of its processes wrote them. Prompts and replies are never recorded.",
    (
        Column("id", "text", "the request, as in `x-request-id`"),
        Column("at", "time", "when it was over"),
        Column("outcome", "text", "`served`, `diverted`, `refused`, `rejected`, `failed` or `cancelled`"),
        Column("status", "integer", "HTTP status of the answer"),
        Column("model", "text", "the model, as the client asked for it"),
        Column("served", "text", "the model that answered"),
        Column("phase", "text", "`atomic` or `extended`"),
        Column("rule", "text", "id of the rule that applied"),
        Column("version", "integer", "version of the rules in force"),
        Column("variant", "text", "the variant that was used"),
        Column("key", "text", "id of the client's API key, never the key"),
        Column("stream", "flag", "whether the answer was streamed"),
        Column("route", "text", "the route beside chats that it came on"),
        Column("latency_ms", "number", "until the last byte of the answer"),
        Column("first_byte_ms", "number", "until the first byte of the answer"),
        Column("input_tokens", "integer", "tokens of the request"),
        Column("output_tokens", "integer", "tokens of the answer"),
        Column("cost", "number", "of all attempts, in the currency of the settings"),
        Column("cost_alone", "number", "what the rule's stronger model alone would have cost: an estimate"),
        Column("charged", "number", "what counted against the key's budget where the cost is not known"),
        Column("reason", "text", "why it was not served as asked"),
        Column("voided", "text", "why a threshold did not hold any more"),
        Column("trace_id", "text", "the trace that it belongs to"),
        Column("span_id", "text", "its span"),
        Column("escalated", "json", "why a stronger model had to answer, in order"),
        Column("attempts", "json", "every attempt: model, time, fault, confidence"),
    ),
)

FEEDBACK = DataTable(
    "feedback",
    "One row for each report of a client about an earlier request (POST `/v1/feedback`). `id` joins it to the requests; a request may have several.",
    (
        Column("id", "text", "the request that it is about, as in `x-request-id`"),
        Column("at", "time", "when it was told"),
        Column("success", "flag", "whether the answer was right; none where that was not told"),
        Column("score", "number", "how good it was, in [0, 1]"),
        Column("key", "text", "id of the client's API key, never the key"),
        Column("rule", "text", "the rule by whose threshold the request was served, where the outcome counts for it"),
        Column("comment", "text", "the client's own words", content=True),
    ),
)

_encode = msgspec.json.Encoder().encode
_NESTED = ("escalated", "attempts")


def request_rows(records: Iterable[JournalRecord], selection: Selection) -> Iterator[Values]:
    """Yields the rows of requests as the records come, a bounded number at a time."""
    wanted = (
        record
        for record in records
        if isinstance(record, RequestRecord)
        and selection.has_time(record.at)
        and selection.has_model(record.model, record.served)
    )
    plain = [column.name for column in REQUESTS.columns if column.name not in _NESTED]
    while page := list(islice(wanted, PAGE)):
        values: Values = {name: [getattr(record, name) for record in page] for name in plain}
        for name in _NESTED:
            values[name] = [_json(getattr(record, name)) for record in page]
        yield values


def feedback_rows(records: Iterable[JournalRecord], selection: Selection) -> Iterator[Values]:
    """Yields the rows of feedback as the records come, a bounded number at a time."""
    wanted = (record for record in records if isinstance(record, FeedbackRecord) and selection.has_time(record.at))
    names = [column.name for column in FEEDBACK.chosen(selection)]
    while page := list(islice(wanted, PAGE)):
        yield {name: [getattr(record, name) for record in page] for name in names}


def _json(value: object) -> str:
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:  # lone surrogates
        return json.dumps(msgspec.to_builtins(value))
