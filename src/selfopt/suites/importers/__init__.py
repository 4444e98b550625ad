"""Suites from other formats: JSON lines, promptfoo's YAML, and the tool definitions of the field.

Each gives data of a suite, checked as a whole by whoever stores it; nothing of a file is executed.
"""

from .assemble import SuiteParts, assemble
from .jsonl import read_jsonl
from .promptfoo import read_promptfoo
from .tools import tools_from

__all__ = ["SuiteParts", "assemble", "read_jsonl", "read_promptfoo", "tools_from"]
