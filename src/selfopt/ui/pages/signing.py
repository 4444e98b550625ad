"""Signing in and out: by the link that `selfopt ui` prints, or with a gateway's API key."""

from __future__ import annotations

from selfopt.ui.asked import Asked, PageAnswer, PageError, Route, redirect
from selfopt.ui.drawing import url
from selfopt.ui.guard import set_cookie


async def enter(asked: Asked) -> PageAnswer:
    """Take a link. The page goes on by itself: a browser keeps a strict cookie back from a redirect that began elsewhere."""
    site = asked.site
    if site.by_key or not site.tickets.use(asked.query.one("ticket")):
        raise PageError(
            403, "This link was used already, or is not valid", "Use the newest link that selfopt ui printed in the terminal."
        )
    cookie = site.sessions.begin(None)
    site.link_used()
    return site.bare(asked, "enter.html", headers=(set_cookie(asked.host, cookie, secure=False),))


async def ask(asked: Asked) -> PageAnswer:
    """Draw the form."""
    if asked.session is not None:
        return redirect(url("/"))
    return asked.site.bare(asked, "signin.html", wrong="")


async def sign_in(asked: Asked) -> PageAnswer:
    """Begin a session for a key with the scope admin."""
    site = asked.site
    if not site.by_key:
        raise PageError(404, "There is nothing to sign in to", "Use the link that selfopt ui printed in the terminal.")
    key = site.find_key(asked.form.one("key").strip())
    if key is None:
        # A right key is never among them: it cannot be guessed, and nobody may keep a reader out with wrong ones.
        if not site.sessions.may_fail():
            return site.bare(
                asked, "signin.html", status=429, wrong="There were too many attempts. Wait a minute, then try again."
            )
        wrong = "This is not a valid key with the scope admin."
        return site.bare(asked, "signin.html", status=403, wrong=wrong)
    cookie = site.sessions.begin(key)
    return redirect(url("/"), set_cookie(asked.host, cookie, secure=asked.secure))


async def sign_out(asked: Asked) -> PageAnswer:
    """End the session."""
    asked.site.sessions.end(asked.cookie)
    return redirect(url("/signin"), set_cookie(asked.host, "", secure=asked.secure))


ROUTES = (
    Route("/enter", enter, is_open=True),
    Route("/signin", ask, is_open=True),
    Route("/signin", sign_in, "POST", is_open=True),
    Route("/signout", sign_out, "POST"),
)
