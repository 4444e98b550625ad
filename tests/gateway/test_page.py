"""`/ui` of the gateway: another process draws it, and only readers with a key get in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from selfopt.gateway.page import AT_ONCE, MAX_FORM, PageDoor, StateOfGateway
from selfopt.home import KEY_SCOPES, KeyScope
from selfopt.ui.live import GatewayState
from selfopt.verbs.opening import App
from selfopt.web import HttpRequest
from tests.ui.kit import Browser

from .kit import World, chat, gateway_world, until

ADMIN: tuple[KeyScope, ...] = ("admin",)


def drawing() -> list[psutil.Process]:
    """The processes that this one started to draw pages."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            found += [child] if "selfopt.ui.behind" in child.cmdline() else []
    return found


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it does."""
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110  another process is waited for
            await asyncio.sleep(0.02)


async def signed_in(world: World, key: str) -> Browser:
    """A browser that signed in."""
    browser = Browser(world.port)
    assert (await browser.post("/ui/signin", {"key": key})).status == 303
    return browser


async def test_a_reader_with_an_admin_key_sees_requests_until_it_is_revoked(tmp_path: Path) -> None:
    """Nothing is started before somebody asks; the key opens the page; its end ends the session; the process ends with the gateway."""
    async with gateway_world(tmp_path, on_disk=True) as world:
        assert drawing() == []
        admin, entry = world.app.keys.add("me", scopes=ADMIN)
        plain, _ = world.app.keys.add("client", scopes=KEY_SCOPES[:3])
        headers = {"Authorization": f"Bearer {plain}"}

        async def counts() -> bool:
            return (await world.post(chat(), headers)).status == 200

        await eventually(counts)
        anybody = Browser(world.port)
        assert (await anybody.get("/ui/")).headers["location"] == "/ui/signin"
        assert len(drawing()) == 1
        assert (await anybody.post("/ui/signin", {"key": plain})).status == 403
        browser = await signed_in(world, admin)

        async def shown() -> bool:
            return "up/good" in (await browser.get("/ui/requests")).text

        await eventually(shown)
        world.app.keys.revoke(entry.id)

        async def out() -> bool:
            return (await browser.get("/ui/requests")).status == 303

        await eventually(out)
    assert drawing() == []


async def test_the_page_opens_nothing_else_to_web_pages(tmp_path: Path) -> None:
    """A cookie asks no model, another Host sees nothing, and forms of other origins are refused, with and without keys."""
    async with gateway_world(tmp_path, settings="[gateway]\nallowed_origins = ['http://app.example']\n") as world:
        own = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{world.port}", "Sec-Fetch-Site": "same-origin"}
        assert (await world.post(chat(), own)).status == 403
        admin, _ = world.app.keys.add("me", scopes=ADMIN)
        browser = await signed_in(world, admin)
        assert (await world.post(chat(), {**own, "Cookie": browser.cookie})).status in (401, 403)
        for host in ("evil.example", f"evil.example:{world.port}", "10.0.0.1"):
            assert (await browser.get("/ui/", host=host)).status == 403
        for origin in ("http://evil.example", "http://app.example", "null"):
            assert (await browser.post("/ui/signin", {"key": admin}, origin=origin)).status == 403
        got = await browser.send(
            "OPTIONS",
            "/ui/",
            origin="http://app.example",
            access_control_request_method="POST",
            access_control_request_headers="x-csrf",
        )
        assert got.status == 405
        assert "access-control-allow-origin" not in got.headers
        got = await browser.get("/ui/", origin="http://app.example")
        assert "access-control-allow-origin" not in got.headers


@pytest.mark.parametrize(
    ("options", "on"),
    [
        ({"ui": "loopback"}, True),
        ({"ui": "on"}, True),
        ({"ui": "off"}, False),
        ({"host": "0.0.0.0", "ui": "loopback"}, False),
        ({"host": "0.0.0.0", "ui": "on"}, True),
    ],
)
async def test_the_page_is_off_beyond_loopback_until_it_is_switched_on(tmp_path: Path, options: dict[str, str], on: bool) -> None:
    """Where it is off, its paths are as unknown as any other."""
    async with App.open(tmp_path, environ={}, cwd=tmp_path) as app:
        _, made = app.keys.add("me", scopes=ADMIN)
    async with gateway_world(tmp_path, options=options, environ={"SELFOPT_HOME": str(tmp_path)}) as world:
        assert (world.gateway.parts.page is not None) is on
        assert made.scopes == ADMIN
        if not on:
            assert (await Browser(world.port).get("/ui/")).status == 401
        assert drawing() == []


async def test_only_the_gateway_may_ask_the_drawing_process(tmp_path: Path) -> None:
    """Others on this machine find its port, but not its secret."""
    async with gateway_world(tmp_path) as world:
        await Browser(world.port).get("/ui/")
        (process,) = drawing()
        port = next(c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
        for secret in (None, "", "0" * 64):
            got = await Browser(port).get("/ui/signin", x_selfopt_door=secret)
            assert got.status == 403
            assert "sign" not in got.text.lower()


async def test_a_reader_cannot_speak_for_the_gateway(tmp_path: Path) -> None:
    """The headers by which the gateway speaks are its own, and a header that comes twice is refused."""
    async with gateway_world(tmp_path, settings="", on_disk=True) as world:
        admin, _ = world.app.keys.add("me", scopes=ADMIN)
        browser = await signed_in(world, admin)
        told = '{"open":["made up"],"fault":"made up","rules_faults":3,"worker":9}'
        await browser.get("/ui/", x_selfopt_gateway=told)
        assert "made up" not in (await browser.get("/ui/")).text
        request = f"GET /ui/ HTTP/1.1\r\nHost: 127.0.0.1:{world.port}\r\nCookie: a=1\r\nCookie: b=2\r\nConnection: close\r\n\r\n"
        assert b" 400 " in (await world.raw(request.encode())).partition(b"\r\n")[0]


def counting(world: World, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The targets of requests that are passed on from now, and parts that stay fresh."""
    door = world.gateway._page
    assert door is not None
    passed, payload = list[bytes](), door._payload

    def noted(request: HttpRequest, secret: bytes) -> bytes:
        passed.append(request.path)
        return payload(request, secret)

    monkeypatch.setattr(door, "_payload", noted)
    door._parts._clock = lambda: 5.0
    return passed


async def test_what_all_readers_see_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reader is judged once; then both get what either was shown. What is not the same for all is passed on."""
    async with gateway_world(tmp_path, on_disk=True) as world:
        key, _ = world.app.keys.add("me", scopes=ADMIN)
        one, other = await signed_in(world, key), await signed_in(world, key)
        passed = counting(world, monkeypatch)
        drawn = {(await browser.get("/ui/now")).text for browser in (one, other, one, other, one)}
        assert len(passed) == 2
        assert drawn == {(await one.get("/ui/now")).text, (await other.get("/ui/now")).text} | drawn
        assert len(passed) == 2
        got = await one.get("/ui/now")
        assert "x-selfopt-shared" not in got.headers
        assert "default-src 'none'" in got.headers["content-security-policy"]
        tokens = {await one.csrf(), await other.csrf()}
        assert len(tokens) == 2
        assert passed[2:] == [b"/ui/words"] * 2


async def test_what_was_just_drawn_is_for_readers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither without a session, nor from another site, nor for another Host, however fresh it is."""
    async with gateway_world(tmp_path, on_disk=True) as world:
        key, _ = world.app.keys.add("me", scopes=ADMIN)
        browser = await signed_in(world, key)
        counting(world, monkeypatch)
        for _ in range(2):
            assert (await browser.get("/ui/now")).status == 200
        assert (await Browser(world.port).get("/ui/now")).status == 303
        assert (await Browser(world.port, browser.cookie + "x").get("/ui/now", hx_request="true")).status == 401
        assert (await browser.get("/ui/now", sec_fetch_site="cross-site")).status == 403
        assert (await browser.get("/ui/now", sec_fetch_site="same-site")).status == 403
        assert (await browser.get("/ui/now", host="evil.example")).status == 403
        assert (await browser.get("/ui/now")).status == 200


async def test_a_session_that_ended_sees_nothing_that_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing out ends it at once, for the next request already, and a revoked key within the time that the file is looked at."""
    async with gateway_world(tmp_path, on_disk=True) as world:
        key, entry = world.app.keys.add("me", scopes=ADMIN)
        browser, other = await signed_in(world, key), await signed_in(world, key)
        counting(world, monkeypatch)
        cookie = browser.cookie
        for each in (browser, other, browser, other):
            assert (await each.get("/ui/now")).status == 200
        assert (await browser.post("/ui/signout", {"csrf": await browser.csrf()})).status == 303
        assert (await Browser(world.port, cookie).get("/ui/now")).status == 303
        assert (await other.get("/ui/now")).status == 200
        world.app.keys.revoke(entry.id)

        async def out() -> bool:
            return (await other.get("/ui/now")).status == 303

        await eventually(out)


async def test_a_gateway_says_how_long_a_reader_waits_until_the_next_poll(tmp_path: Path) -> None:
    """Who polls is told; who only opens a page is not, nor who is not signed in."""
    async with gateway_world(tmp_path, on_disk=True) as world:
        key, _ = world.app.keys.add("me", scopes=ADMIN)
        browser = await signed_in(world, key)
        assert "x-poll-s" not in (await browser.get("/ui/now")).headers
        assert "x-poll-s" not in (await Browser(world.port).get("/ui/now", x_poll_s="2", hx_request="true")).headers
        assert (await browser.get("/ui/now", x_poll_s="2")).headers["x-poll-s"] == "2"
        for _ in range(40):
            got = await browser.get("/ui/now", x_poll_s="30")
        assert got.headers["x-poll-s"] == "16"  # 40 polls in no time count as 120 readers, three each


async def test_what_a_gateway_says_of_itself_fits_a_header(tmp_path: Path) -> None:
    """Names and reasons may hold any character."""
    odd = StateOfGateway(('é/\u2028"\\',), "no room in /home/zoë\r\nx: y", 2, 1)
    async with gateway_world(tmp_path) as world:
        process = world.gateway.parts.page
        assert process is not None
        told = PageDoor(process, world.gateway.parts.pool, lambda: odd)._state_told()
    assert told.isascii()
    assert told.decode().isprintable()
    assert msgspec.json.decode(told, type=GatewayState) == GatewayState(odd.open, odd.fault, odd.rules_faults, odd.worker)


async def test_forms_are_bounded_before_they_are_read(tmp_path: Path) -> None:
    """Too long, of unknown length, or by another method."""
    async with gateway_world(tmp_path) as world:
        browser = Browser(world.port)
        for length in (str(MAX_FORM + 1), "99999999999", "x"):
            got = await browser.send("POST", "/ui/signin", b"", content_length=length)
            assert got.status in (400, 413)
        got = await browser.send("POST", "/ui/signin", b"", content_length=None, transfer_encoding="chunked")
        assert got.status in (400, 413)
        assert (await browser.send("PUT", "/ui/signin")).status == 405
        assert drawing() == []


async def test_the_page_comes_back_after_its_process_was_killed(tmp_path: Path) -> None:
    """Readers are told to wait, and models are served meanwhile."""
    async with gateway_world(tmp_path) as world:
        await Browser(world.port).get("/ui/")
        (process,) = drawing()
        process.kill()
        page = world.gateway.parts.page
        assert page is not None
        await until(lambda: page._watching is None)
        assert (await Browser(world.port).get("/ui/")).status == 503
        assert (await world.post(chat())).status == 200
        page._failed_at -= 60

        async def back() -> bool:
            return (await Browser(world.port).get("/ui/")).status == 303

        await eventually(back)


async def test_many_readers_at_once_leave_connections_to_others(tmp_path: Path) -> None:
    """Beyond a number they are told to come again."""
    async with gateway_world(tmp_path) as world:
        door = world.gateway._page
        assert door is not None
        door._under_way = AT_ONCE
        assert (await Browser(world.port).get("/ui/")).status == 503
        assert (await world.post(chat())).status == 200


async def test_paths_beside_it_are_the_apis(tmp_path: Path) -> None:
    """Only `/ui` and what is below."""
    async with gateway_world(tmp_path) as world:
        for path in ("/uix", "/ui2/", "/UI/", "//ui/", "/ui%2f"):
            assert (await Browser(world.port).get(path)).status in (400, 404)
        assert drawing() == []


async def test_no_file_of_the_working_folder_runs_in_the_process_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever serves from a folder of somebody else's runs none of its modules."""
    folder, proof = tmp_path / "foreign", tmp_path / "proof"
    folder.mkdir()
    (folder / "msgspec.py").write_text(f"open({str(proof)!r}, 'w').close()\nraise SystemExit(9)\n")
    async with gateway_world(tmp_path) as world:
        world.app.keys.add("me", scopes=ADMIN)
        monkeypatch.chdir(folder)
        assert (await Browser(world.port).get("/ui/signin")).status == 200
    assert not proof.exists()
