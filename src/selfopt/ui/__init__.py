"""The page that shows a home in a browser: what is served now, every request, and what was measured.

One process serves it, by itself (`selfopt ui`) or as a child of a gateway that passes `/ui` on. docs/UI.md says
how a page is added.
"""

from .serving import UiOptions, serve_ui
from .site import Site

__all__ = ["Site", "UiOptions", "serve_ui"]
