"""`selfopt suites import`: the group; each format has a file of its own, `suites_import_FORMAT.py`."""

from __future__ import annotations

import click

from .suites_import_bfcl import import_bfcl
from .suites_import_jsonl import import_jsonl
from .suites_import_promptfoo import import_promptfoo

__all__ = ["group"]


@click.group("import")
def group() -> None:
    """Make a suite of your own from data in another format; it lands in the home's folder `suites`."""


group.add_command(import_bfcl)
group.add_command(import_jsonl)
group.add_command(import_promptfoo)
