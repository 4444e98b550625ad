"""Harness configurations: a catalogue of variants, requests rendered from them, and replies read by their parsers."""

from __future__ import annotations

from .catalogue import get_variant, load_variants
from .certain import EARLY_LIMIT, can_be_certain, certain_calls
from .options import VariantOptions, options_of
from .read import read_reply
from .render import RenderedStep, render

__all__ = [
    "EARLY_LIMIT",
    "RenderedStep",
    "VariantOptions",
    "can_be_certain",
    "certain_calls",
    "get_variant",
    "load_variants",
    "options_of",
    "read_reply",
    "render",
]
