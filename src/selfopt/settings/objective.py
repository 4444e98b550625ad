"""What a search looks for, in the settings."""

from __future__ import annotations

from pydantic import Field

from .endpoint import Table


class ObjectiveSettings(Table):
    """What a search looks for, beside accuracy above the policy's floor of restraint.

    Attributes:
        call_weight: How much call accuracy counts beside accuracy, from 0 to 1.
        latency_weight: What a second of the median latency costs, in points of accuracy.
        tokens_weight: What 1,000 tokens of the median prompt cost, in points of accuracy.
        max_latency_s: The median latency of what may be tried. None: any.
        max_tokens: The tokens of the median prompt, sent and received, of what may be tried. None:
            any.
    """

    call_weight: float = Field(default=0.0, ge=0, le=1)
    latency_weight: float = Field(default=0.0, ge=0, le=100)
    tokens_weight: float = Field(default=0.0, ge=0, le=100)
    max_latency_s: float | None = Field(default=None, gt=0, le=3600)
    max_tokens: int | None = Field(default=None, ge=1)
