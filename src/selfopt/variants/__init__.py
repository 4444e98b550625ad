"""Variants: the catalogue of harness configurations, and the requests that they render."""

from __future__ import annotations

from .catalogue import get_variant, load_variants
from .options import VariantOptions, options_of, rests_on_logprobs
from .render import render
from .step import RenderedStep

__all__ = ["RenderedStep", "VariantOptions", "get_variant", "load_variants", "options_of", "render", "rests_on_logprobs"]
