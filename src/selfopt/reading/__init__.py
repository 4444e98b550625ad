"""Reading a model's words: tool calls out of a reply, whole or while it is being written, and thinking kept apart."""

from __future__ import annotations

from .certain import EARLY_LIMIT, can_be_certain, certain_calls
from .chain import read_reply

__all__ = ["EARLY_LIMIT", "can_be_certain", "certain_calls", "read_reply"]
