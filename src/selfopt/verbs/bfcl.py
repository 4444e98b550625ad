"""`suites pull bfcl`: fetches the leaderboard's prompts and imports them as suites of the home."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selfopt.engine.catalogue import ModelEntry
from selfopt.engine.store import ModelStore
from selfopt.suites import ImportRequest
from selfopt.wiring.app import App

from .making import ImportedSuites, import_suites
from .models import pull_line

# The package is neither installed nor executed: only its data is read from the wheel.
BFCL_WHEEL = ModelEntry(
    name="bfcl/bfcl-eval-2026.3.23",
    file="bfcl_eval-2026.3.23-py3-none-any.whl",
    sha256="3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
    size_bytes=1_925_664,
    sources=(("pypi:bfcl-eval==2026.3.23:*",),),
    license="Apache-2.0",
)


def pull_bfcl_suites(
    app: App, categories: Sequence[str], show: Callable[[str], None], *, replace: bool = False
) -> ImportedSuites:
    """Import categories of bfcl-eval 2026.3.23. Fetches its wheel unless the cache has it.

    Args:
        show: gets a line of progress every second.

    Raises:
        ModelStoreError: the wheel cannot be fetched. Otherwise raises as `import_suites`.
    """
    store = ModelStore(app.store.root, folder="data", file="data.whl")
    wheel = store.pull(BFCL_WHEEL, lambda event: show(pull_line(event)))
    return import_suites(app, "bfcl", ImportRequest(wheel, options={"categories": tuple(categories)}), replace=replace)
