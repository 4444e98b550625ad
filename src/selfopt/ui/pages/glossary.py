"""Words: what each word on the pages means."""

from __future__ import annotations

from selfopt.ui.asked import Asked, PageAnswer, Route


async def show(asked: Asked) -> PageAnswer:
    """Draw the list of words."""
    return asked.site.page(asked, "words.html", title="Words")


ROUTES = (Route("/words", show),)
