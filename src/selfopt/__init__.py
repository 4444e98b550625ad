"""selfopt: the self-optimizing harness for language models that call tools.

measure -> diagnose -> recommend -> decide -> enforce -> measure again

`selfopt.open()` gives the verbs of the command line to Python programs; docs/PYTHON.md shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfopt.api import Selfopt, open

__all__ = ["Selfopt", "__version__", "open"]

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Load the Python API when it is first asked for: `import selfopt` alone stays light."""
    if name in ("Selfopt", "open"):
        from selfopt import api

        return getattr(api, name)
    raise AttributeError(f"module 'selfopt' has no attribute {name!r}")
