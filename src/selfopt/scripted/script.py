"""The format of a script: models with their replies, latency, faults and loading, in YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from selfopt.errors import SettingsError
from selfopt.home import InputFileError, read_input
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml
from selfopt.records import FinishReason, Record

MAX_SCRIPT_BYTES = 2_000_000


def _checked_pattern(pattern: str) -> str:
    try:
        re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} is not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_checked_pattern)]


class ScriptedCall(Record):
    """A native tool call. Arguments given as text are sent unchanged, even if they are not JSON."""

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict)


class ScriptedFault(Record):
    """A fault that replaces or disturbs a reply.

    Attributes:
        kind: what goes wrong.
        status: the HTTP status of `status`.
        retry_after: the value of the Retry-After header, in seconds or as a date.
        body: the text that `garbage`, `html` and `status` send.
        times: how many requests that this reply answers get the fault; None for all of them.
        chunk_bytes: `slow` sends this many bytes every `chunk_ms` milliseconds.
    """

    kind: Literal["hang", "close", "garbage", "status", "slow", "truncated", "deep", "huge", "invalid_utf8", "html"]
    status: int = Field(default=500, ge=300, le=599)
    retry_after: str | None = None
    body: str | None = None
    times: int | None = Field(default=None, ge=1)
    chunk_bytes: int = Field(default=16, ge=1)
    chunk_ms: float = Field(default=10.0, ge=0)


class ScriptedReply(Record):
    """One answer. Its latency_ms is added to the model's.

    Attributes:
        logprob: the log probability of each token in nats, for requests that ask for it; None: the
            server has none.
    """

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ScriptedCall, ...] = ()
    finish_reason: FinishReason | None = None
    logprob: float | None = Field(default=None, le=0)
    latency_ms: float = Field(default=0.0, ge=0)
    fault: ScriptedFault | None = None


class ScriptedMatch(Record):
    """The conditions of a rule. All that are given must hold. Case is ignored.

    Attributes:
        contains: texts that the last user message must contain.
        regex: a pattern that must match somewhere in the last user message.
        kind: a name in the script's `kinds`, one of whose patterns must match there.
        system_contains: texts that the system prompt must contain.
        conversation_contains: texts that the messages together must contain.
        tools: whether native tools are offered.
        after_tool_result: whether the last message is a tool result.
        constraint: how the output is limited.
        positions: which chats with this model match, counted from 0.
        chance: the share of times that the same conversation matches. The draw is the same in
            every process.
    """

    contains: tuple[str, ...] = ()
    regex: Pattern | None = None
    kind: str | None = None
    system_contains: tuple[str, ...] = ()
    conversation_contains: tuple[str, ...] = ()
    tools: bool | None = None
    after_tool_result: bool | None = None
    constraint: Literal["none", "grammar", "json_schema"] | None = None
    positions: tuple[int, ...] | None = None
    chance: float | None = Field(default=None, ge=0, le=1)

    @field_validator("contains", "system_contains", "conversation_contains", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class ScriptedRule(ScriptedReply):
    """A reply with its conditions.

    Attributes:
        match: when the rule applies.
        sequence: answers to give one after another instead of this one.
        then: what follows the last answer of the sequence.
    """

    match: ScriptedMatch = ScriptedMatch()
    sequence: tuple[ScriptedReply, ...] = ()
    then: Literal["repeat_last", "cycle"] = "repeat_last"


class ScriptedModel(Record):
    """One model.

    Attributes:
        load_ms: how long a load takes. Any chat, generate or load request starts one.
        initially_loaded: whether the model is loaded from the start.
        while_loading: whether requests `wait` for a load, or are refused with 503.
        abort_cancels_load: whether a load ends when its last client leaves, as in Ollama.
        load_after_aborts: the number of aborted requests that completes a load. A single request
            sees the load complete only if it waits `load_ms` itself.
        cold_affects: patterns of the prompts (last user message) that wait for a load. The others
            are answered during the load. Empty means all prompts.
        idle_unload_s: seconds without a request after which the model is unloaded.
        can_unload: whether clients can unload it.
        latency_ms: how long every reply takes.
        replies: the rules; the first that matches answers.
        default: the answer when no rule matches.
    """

    load_ms: float = Field(default=0.0, ge=0)
    initially_loaded: bool = False
    while_loading: Literal["wait", "refuse"] = "wait"
    abort_cancels_load: bool = False
    load_after_aborts: int | None = Field(default=None, ge=1)
    cold_affects: tuple[Pattern, ...] = ()
    idle_unload_s: float | None = Field(default=None, gt=0)
    can_unload: bool = True
    latency_ms: float = Field(default=0.0, ge=0)
    replies: tuple[ScriptedRule, ...] = ()
    default: ScriptedReply = ScriptedReply(text="I cannot say.")
    digest: str = "unknown"
    quantization: str = "unknown"
    template: str = ""
    context_size: int | None = Field(default=None, ge=1)


class Script(Record):
    """A scripted endpoint.

    Attributes:
        models: the models by name.
        kinds: named lists of patterns, for `match.kind`.
        api_key: the key that every request must send; None for no check.
        engine: the name of the engine, for the environment.
        slots: the number of slots, for the environment.
    """

    models: dict[str, ScriptedModel] = Field(min_length=1)
    kinds: dict[str, tuple[Pattern, ...]] = Field(default_factory=dict)
    api_key: str | None = Field(default=None, repr=False)
    engine: str = "scripted"
    slots: int | None = None

    @model_validator(mode="after")
    def _kinds_are_known(self) -> Script:
        for name, model in self.models.items():
            for kind in (rule.match.kind for rule in model.replies):
                if kind is not None and kind not in self.kinds:
                    known = ", ".join(sorted(self.kinds)) or "none"
                    raise ValueError(f"model {name}: match.kind {kind!r} is not among kinds ({known})")
        return self


def load_script(path: str | Path) -> Script:
    """Read a script from a YAML file of at most 2 MB without aliases.

    Raises:
        SettingsError: the file cannot be used. The message names the file and its first problem.
    """
    file = Path(path)
    try:
        content = read_plain_yaml(read_input(file, MAX_SCRIPT_BYTES))
    except (InputFileError, PlainYamlError) as error:
        raise SettingsError(f"script {file}: {error}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"script {file}: is not a mapping; start with models (docs/SCRIPTED.md)")
    try:
        return Script.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        what = _WORDS.get(first["type"], first["msg"])
        raise SettingsError(
            f"script {file}: {where}: {what} ({error.error_count()} problems; format: docs/SCRIPTED.md)"
        ) from None


_WORDS = {
    "extra_forbidden": "unknown key; remove it or correct its spelling",
    "missing": "missing; add it",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
}
