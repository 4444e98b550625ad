"""The pages, in the order of the navigation. A page is a module with a `PAGE`; add yours here."""

from __future__ import annotations

from selfopt.ui.asked import Page

from . import experiments, glossary, models, now, playground, requests, signing, suites

PAGES: tuple[Page, ...] = (now.PAGE, requests.PAGE, models.PAGE, experiments.PAGE, suites.PAGE, playground.PAGE)
ALSO = (*signing.ROUTES, *glossary.ROUTES)
"""Routes that the navigation does not name."""
