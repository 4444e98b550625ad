"""`suites import bfcl` and `suites pull bfcl`: the leaderboard's prompts as suites of the home."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfopt.engine import ModelEntry, ModelStore, PullProgress
from selfopt.suites import import_bfcl, store_suites
from selfopt.wiring.app import App

from .models import pull_line

__all__ = ["BFCL_WHEEL", "import_bfcl_suites", "pull_bfcl_suites"]

# The package is never installed and nothing of it is executed: its data is read out of the wheel.
BFCL_WHEEL = ModelEntry(
    name="bfcl/bfcl-eval-2026.3.23",
    file="bfcl_eval-2026.3.23-py3-none-any.whl",
    sha256="3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
    size_bytes=1_925_664,
    sources=(("pypi:bfcl-eval==2026.3.23:*",),),
    license="Apache-2.0",
)


def import_bfcl_suites(app: App, source: Path, categories: Sequence[str] = (), *, replace: bool = False) -> list[dict[str, Any]]:
    """Put the leaderboard's categories (default: all that are there) out of a wheel or a folder into the home's suites.

    Of each: name, path, state (new, replaced, unchanged), prompts, search, heldout, tool_sets, origin. All or none: SuiteError
    for what is not as it should be, StoreError when the home cannot be written.
    """
    suites = import_bfcl(source, categories)
    app.home.ensure()
    rows = []
    for stored in store_suites(app.home.suites, suites, replace=replace):
        suite, splits = stored.suite, Counter(prompt.split for prompt in stored.suite.prompts)
        counts = {"prompts": len(suite.prompts), "search": splits["search"], "heldout": splits["heldout"]}
        sets = {"tool_sets": len(suite.tool_sets), "origin": suite.origin}
        rows.append({"name": suite.name, "path": str(stored.path), "state": stored.state, **counts, **sets})
    return rows


def pull_bfcl_suites(
    app: App, categories: Sequence[str], show: Callable[[str], None], *, replace: bool = False
) -> list[dict[str, Any]]:
    """`import_bfcl_suites` out of the wheel of bfcl-eval 2026.3.23, fetched into the cache and checked when it is not there yet.
    `show` gets a sign of life every second. ModelStoreError when it cannot be had."""
    store = ModelStore(app.store.root, folder="data", file="data.whl")

    def progress(event: PullProgress) -> None:
        show(pull_line(event))

    return import_bfcl_suites(app, store.pull(BFCL_WHEEL, progress), categories, replace=replace)
