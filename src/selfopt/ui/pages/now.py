"""Now: is everything all right?"""

from __future__ import annotations

from selfopt.ui.asked import Asked, Page, PageAnswer, Route


async def show(asked: Asked) -> PageAnswer:
    """Draw the page."""
    return asked.site.page(asked, "now.html", title="Now", active="now")


PAGE = Page("now", "Now", "/", "n", (Route("/", show),))
