"""Harness configurations: a catalogue of variants, and requests rendered from them."""

from __future__ import annotations

from .catalogue import get_variant, load_variants
from .options import VariantOptions, options_of
from .render import RenderedStep, render

__all__ = ["RenderedStep", "VariantOptions", "get_variant", "load_variants", "options_of", "render"]
