"""What a scripted endpoint plays: models with their replies, latency, faults and loading, read from YAML."""

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
        raise ValueError(f"pattern {pattern!r} is no regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_checked_pattern)]


class ScriptedCall(Record):
    """A native tool call. Arguments as text are sent as they are, even when they are no JSON."""

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict)


class ScriptedFault(Record):
    """What goes wrong instead of (or while) replying.

    times: only for the first so many requests that this reply answers (None: always). retry_after: the header's value,
    seconds or a date. chunk_bytes every chunk_ms: pace of `slow`. body: text that `garbage` and `status` send.
    """

    kind: Literal["hang", "close", "garbage", "status", "slow", "truncated", "deep", "huge", "invalid_utf8", "html"]
    status: int = Field(default=500, ge=300, le=599)
    retry_after: str | None = None
    body: str | None = None
    times: int | None = Field(default=None, ge=1)
    chunk_bytes: int = Field(default=16, ge=1)
    chunk_ms: float = Field(default=10.0, ge=0)


class ScriptedReply(Record):
    """One answer. latency_ms: added to the model's."""

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ScriptedCall, ...] = ()
    finish_reason: FinishReason | None = None
    latency_ms: float = Field(default=0.0, ge=0)
    fault: ScriptedFault | None = None


class ScriptedMatch(Record):
    """When a rule applies: all conditions that are given must hold. Texts are compared without regard to case.

    contains: every one of these stands in the last user message; regex: is found in it; kind: one of the patterns that
    the script lists under `kinds` is found in it; system_contains / conversation_contains: likewise in the system prompt,
    in the text of all messages; tools: whether native tools are offered; after_tool_result: whether the last message is a
    tool result; constraint: how the output is limited; positions: number of the chat among those to this model, from 0;
    chance: holds for this share of the times that the same conversation is asked, by a draw that is the same in every process.
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
    """A reply with its conditions. sequence: answers given one after another instead; then: what follows the last."""

    match: ScriptedMatch = ScriptedMatch()
    sequence: tuple[ScriptedReply, ...] = ()
    then: Literal["repeat_last", "cycle"] = "repeat_last"


class ScriptedModel(Record):
    """One model. Times in milliseconds, unless the name says seconds.

    load_ms: how long a load takes; it is begun by any chat, generate or load request and goes on when clients leave, unless
    abort_cancels_load is set (as Ollama does). load_after_aborts: the load is also finished once so many requests were
    given up, and a request that wants to see it finish must itself wait load_ms. while_loading: requests `wait`, or are
    `refuse`d with 503. cold_affects: patterns of the prompts (last user message) that loading concerns; others are
    answered meanwhile; empty: all are concerned. idle_unload_s: unloaded after so long without a request.
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
    """A scripted endpoint. kinds: named lists of patterns, for `match.kind`. api_key: asked of every request when set."""

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
    """The script in a YAML file of at most 2 MB, no aliases. SettingsError names the file and what is wrong with it."""
    file = Path(path)
    try:
        content = read_plain_yaml(read_input(file, MAX_SCRIPT_BYTES))
    except (InputFileError, PlainYamlError) as error:
        raise SettingsError(f"script {file}: {error}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"script {file}: holds no mapping; start with models (docs/SCRIPTED.md)")
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
