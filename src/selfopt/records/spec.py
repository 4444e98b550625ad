"""All chosen inputs of a measurement (spec), and all observed ones (environment)."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import Field

from .base import Record, content_hash
from .suite import Phase, Split
from .variant import Variant

UNKNOWN = "unknown"


class WarmUp(Record):
    """Whether and how the model is loaded before the first scored request. Times are in seconds."""

    enabled: bool = False
    load_timeout_s: float = Field(default=120.0, gt=0)  # for the load itself; nothing is aborted while loading
    prompt_timeout_s: float = Field(default=10.0, gt=0)  # for the warm-up prompt, once the model is loaded
    separate_process: bool = False  # run the warm-up outside the measuring process


class Spec(Record, ledger_kind="spec", id_field="spec_id", index_fields=("model", "phase", "request_id")):
    """All chosen inputs of a measurement. Times are in seconds.

    Two specs with equal content are the same spec, even if their variants have different names.
    """

    endpoint: str  # its name in the settings
    model: str  # `provider/name`
    phase: Phase
    suite: str
    suite_hash: str  # hash of the suite's content
    split: Split = "all"
    variant: Variant
    context_size: int | None = None
    timeout_s: float = Field(default=60.0, gt=0)
    connect_timeout_s: float = Field(default=5.0, gt=0)
    retries: int = Field(default=0, ge=0, le=20)  # attempts after the first
    isolate: bool = False
    warm_up: WarmUp = WarmUp()
    # The endpoint's settings that change its requests. A spec without them is hashed and stored as before they existed.
    omit: tuple[str, ...] = Field(default=(), exclude_if=lambda omit: not omit)
    extra_body: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda extra: not extra)
    # The version of the requests; 1 for those that were never written in another way.
    rendering: int = Field(default=1, ge=1, exclude_if=lambda rendering: rendering == 1)

    def _request_content(self) -> dict[str, Any]:
        body = self.model_dump(mode="json", exclude={"variant"}, exclude_defaults=True)
        body["render"] = self.variant.render_content()
        return body

    @cached_property
    def request_id(self) -> str:
        """Hash of everything chosen except the parser.

        Specs that differ only in the parser share their trials.
        """
        return content_hash("req", self._request_content())

    @cached_property
    def spec_id(self) -> str:
        """Hash of everything chosen."""
        return content_hash("spec", [self._request_content(), list(self.variant.parsers)])

    @property
    def label(self) -> str:
        """The spec for people: `model phase variant`."""
        return f"{self.model} {self.phase} {self.variant.name}"


class Environment(Record, ledger_kind="environment", id_field="environment_id", index_fields=("model",)):
    """All observed inputs of a measurement. What the endpoint hides is "unknown"."""

    endpoint: str
    model: str
    digest: str = UNKNOWN
    quantization: str = UNKNOWN
    template_hash: str = UNKNOWN
    engine: str = UNKNOWN
    engine_build: str = UNKNOWN
    slots: int | None = None
    context_size: int | None = None
    hardware: str = UNKNOWN
    # Of the embedding model that the spec's variant names. Environments without one are stored as before the field existed.
    embedding_digest: str = Field(default=UNKNOWN, exclude_if=lambda digest: digest == UNKNOWN)

    @cached_property
    def environment_id(self) -> str:
        """Hash of everything observed."""
        return content_hash("env", self.model_dump(mode="json", exclude_defaults=True))

    def compatible_with(self, other: Environment, *, ignoring: frozenset[str] = frozenset()) -> bool:
        """Returns whether both can describe the same environment: no field that both know differs.

        A server knows less about a model that it has not loaded yet. ignoring: fields that may
        differ.
        """
        pairs = ((getattr(self, n), getattr(other, n)) for n in type(self).model_fields if n not in ignoring)
        return all(a == b or a in (None, UNKNOWN) or b in (None, UNKNOWN) for a, b in pairs)
