"""Who may see the pages, and what a foreign page can make a browser do."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.ui.sessions import IDLE_S, LONGEST_S, TRIES, TRIES_S

from .kit import running


async def test_a_link_signs_in_once(tmp_path: Path) -> None:
    """The ticket gives a cookie that no script reads, and is void then."""
    async with running(tmp_path) as ui:
        ticket, browser = ui.site.tickets.make(), ui.browser()
        got = await browser.get(f"/ui/enter?ticket={ticket}", sec_fetch_site="none")
        assert got.status == 200
        assert got.headers["set-cookie"].endswith("; Path=/ui; HttpOnly; SameSite=Strict")
        assert (await browser.get("/ui/")).status == 200
        other = ui.browser()
        assert (await other.get(f"/ui/enter?ticket={ticket}", sec_fetch_site="none")).status == 403
        assert (await other.get("/ui/")).status == 303


async def test_only_the_newest_link_counts(tmp_path: Path) -> None:
    """An earlier one that nobody used is void."""
    async with running(tmp_path) as ui:
        earlier, newest, browser = ui.site.tickets.make(), ui.site.tickets.make(), ui.browser()
        assert (await browser.get(f"/ui/enter?ticket={earlier}")).status == 403
        assert (await browser.get(f"/ui/enter?ticket={newest}")).status == 200


async def test_without_a_session_every_page_asks_to_sign_in(tmp_path: Path) -> None:
    """A page leads there, and a part of a page makes the browser go there."""
    async with running(tmp_path) as ui:
        browser = ui.browser()
        got = await browser.get("/ui/words")
        assert (got.status, got.headers["location"]) == (303, "/ui/signin")
        got = await browser.get("/ui/words", hx_request="true")
        assert (got.status, got.headers["hx-redirect"]) == (401, "/ui/signin")
        browser.cookie = f"selfopt-ui-{ui.port}=made-up"
        assert (await browser.get("/ui/words")).status == 303


@pytest.mark.parametrize(("pause_s", "times"), [(IDLE_S + 1, 1), (IDLE_S - 1, int(LONGEST_S / (IDLE_S - 1)) + 1)])
async def test_a_session_ends_when_idle_and_after_twelve_hours(tmp_path: Path, pause_s: float, times: int) -> None:
    """Whoever looks regularly stays, but not for ever."""
    async with running(tmp_path) as ui:
        browser, statuses = await ui.signed_in(), []
        for _ in range(times):
            ui.clock.now += pause_s
            statuses.append((await browser.get("/ui/words")).status)
        assert statuses == [200] * (times - 1) + [303]


async def test_signing_out_ends_the_session(tmp_path: Path) -> None:
    """The cookie is worth nothing afterwards."""
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        cookie = browser.cookie
        assert (await browser.post("/ui/signout", {"csrf": await browser.csrf()})).status == 303
        browser.cookie = cookie
        assert (await browser.get("/ui/")).status == 303


async def test_a_key_signs_in_until_it_is_revoked(tmp_path: Path) -> None:
    """With a gateway, its key is asked for, and the link does not exist."""
    keys = {"sk-good": "key-1"}
    async with running(tmp_path, keys) as ui:
        browser = ui.browser()
        assert "API key" in (await browser.get("/ui/signin")).text
        assert (await browser.post("/ui/signin", {"key": "sk-bad"})).status == 403
        assert (await browser.post("/ui/signin", {"key": " sk-good "})).status == 303
        assert (await browser.get("/ui/")).status == 200
        keys.clear()
        assert (await browser.get("/ui/")).status == 303
        assert (await browser.get(f"/ui/enter?ticket={ui.site.tickets.make()}")).status == 403


async def test_wrong_links_do_not_keep_the_reader_out(tmp_path: Path) -> None:
    """A web page can make a browser open any number of them."""
    async with running(tmp_path) as ui:
        for _ in range(TRIES + 1):
            assert (await ui.browser().get("/ui/enter?ticket=wrong")).status == 403
        assert (await ui.browser().get(f"/ui/enter?ticket={ui.site.tickets.make()}")).status == 200


async def test_wrong_keys_are_bounded_and_keep_nobody_out(tmp_path: Path) -> None:
    """After ten within a minute a wrong key is told to wait, and the right one still signs in."""
    async with running(tmp_path, {"sk-good": "key-1"}) as ui:
        browser = ui.browser()
        for _ in range(TRIES):
            assert (await browser.post("/ui/signin", {"key": "sk-bad"})).status == 403
        assert (await browser.post("/ui/signin", {"key": "sk-bad"})).status == 429
        assert (await browser.post("/ui/signin", {"key": "sk-good"})).status == 303
        ui.clock.now += TRIES_S + 1
        assert (await ui.browser().post("/ui/signin", {"key": "sk-bad"})).status == 403


async def test_a_form_needs_its_sessions_token(tmp_path: Path) -> None:
    """A cookie alone changes nothing."""
    async with running(tmp_path) as ui:
        browser, other = await ui.signed_in(), await ui.signed_in()
        for token in ("", "made-up", await other.csrf()):
            assert (await browser.post("/ui/signout", {"csrf": token})).status == 403
        assert (await browser.get("/ui/")).status == 200
        assert (await browser.post("/ui/signout", {}, x_csrf=await browser.csrf())).status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "origin": None},
        {"sec_fetch_site": None, "origin": None},
        {"content_type": "text/plain"},
        {"content_type": None},
    ],
)
async def test_a_form_of_another_page_is_refused(tmp_path: Path, headers: dict[str, str | None]) -> None:
    """Even with cookie and token: pages of other local servers share the cookie."""
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        assert (await browser.post("/ui/signout", {"csrf": await browser.csrf()}, **headers)).status in (403, 415)
        assert (await browser.get("/ui/")).status == 200


async def test_a_name_that_was_pointed_here_sees_nothing(tmp_path: Path) -> None:
    """DNS rebinding: the Host is not ours, whatever the path."""
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        for host in ("evil.example", f"evil.example:{ui.port}", "127.0.0.1.evil.example", "10.0.0.7"):
            for path in ("/ui/", "/ui/signin", "/ui/nowhere", "/"):
                assert (await browser.get(path, host=host)).status == 403
        for host in (f"localhost:{ui.port}", f"[::1]:{ui.port}"):
            assert (await browser.get("/ui/signin", host=host)).status in (200, 303)


async def test_another_page_can_link_here_but_embed_nothing(tmp_path: Path) -> None:
    """A navigation is answered; what is loaded into a page is not."""
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        for site in ("cross-site", "same-site"):
            assert (await browser.get("/ui/words", sec_fetch_site=site, sec_fetch_mode="navigate")).status == 200
            assert (await browser.get("/ui/words", sec_fetch_site=site, sec_fetch_mode="no-cors")).status == 403


@pytest.mark.parametrize("path", ["/ui/", "/ui/words", "/ui/signin", "/ui/nowhere", "/"])
async def test_every_answer_says_what_a_browser_may_do_with_it(tmp_path: Path, path: str) -> None:
    """No foreign script, no frame, no address told on, nothing kept."""
    async with running(tmp_path) as ui:
        headers = (await (await ui.signed_in()).get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


async def test_pages_hold_no_inline_script_or_style(tmp_path: Path) -> None:
    """The policy would not let them run."""
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        for path in ("/ui/", "/ui/words", "/ui/nowhere"):
            text = (await browser.get(path)).text
            assert "<style" not in text
            assert " style=" not in text
            assert "<script>" not in text
            assert " onclick" not in text


async def test_static_files_are_named_after_their_content(tmp_path: Path) -> None:
    """A browser keeps them for good, and gets no other file of this machine."""
    async with running(tmp_path) as ui:
        browser = ui.browser()
        got = await browser.get(ui.site.files.url("vendor/htmx.min.js"))
        assert (got.status, got.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        assert "immutable" in got.headers["cache-control"]
        for name in ("../site.py", "..%2fsite.py", "vendor/..%2f..%2fsite.py", "nothing.css"):
            assert (await browser.get(f"/ui/static/x/{name}")).status in (404, 400)


async def test_odd_requests_get_a_page_too(tmp_path: Path) -> None:
    """Unknown paths, methods and floods of fields."""
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        assert (await browser.get("/ui/nowhere")).status == 404
        assert (await browser.send("DELETE", "/ui/")).status == 404
        assert (await browser.get("/ui/words?" + "&".join(f"a{n}=1" for n in range(100)))).status == 400
        assert (await browser.get("/ui/%ff%00<script>")).status in (400, 404)
