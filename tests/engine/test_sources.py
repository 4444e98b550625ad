"""Sources over HTTP: a server on loopback that behaves in every way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from selfopt.engine.meter import PullProgress
from selfopt.engine.store import ModelStore
from selfopt.errors import ModelStoreError

from .conftest import entry_for

DATA = b"GGUF" + os.urandom(3_000_000)


@dataclass
class Site:
    """What the server does, and the ranges it was asked for."""

    behaviour: str = "whole"
    ranges: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    base_url: str = ""


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            site.ranges.append(asked)
            site.paths.append(self.path)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if site.behaviour == "redirect":
                self.send_response(302)
                self.send_header("Location", "http://192.0.2.1/x" if self.path == "/away" else "/model")
                self.end_headers()
                site.behaviour = "whole"
            elif site.behaviour == "missing":
                self.send_error(404, "no\x1b[31m such thing")
            elif site.behaviour == "cut":
                self._send(200, DATA[: len(DATA) // 2])
            elif start >= len(DATA):
                self.send_error(416)
            elif start and site.behaviour == "other range":
                self._send(206, DATA[5:], f"bytes 5-{len(DATA) - 1}/{len(DATA)}")
            elif start and site.behaviour != "no ranges":
                self._send(206, DATA[start:], f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
            else:
                self._send(200, DATA + b"more" if site.behaviour == "longer" else DATA)

        def _send(self, status: int, data: bytes, content_range: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(DATA) if site.behaviour == "cut" else len(data)))
            if content_range:
                self.send_header("Content-Range", content_range)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A running server; also the Hugging Face hub for the time of a test."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", site.base_url)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


ENTRY = entry_for(DATA, "hf:owner/repo/models/m.gguf")


def ignore(_: PullProgress) -> None:
    """A progress callback for those who do not look."""


def test_a_file_of_the_hub_is_fetched_from_its_main_revision(store: ModelStore, site: Site) -> None:
    """The hub's own address scheme."""
    assert store.pull(ENTRY, ignore).read_bytes() == DATA
    assert site.paths == ["/owner/repo/resolve/main/models/m.gguf"]


def test_a_revision_can_be_named(store: ModelStore, site: Site) -> None:
    """owner/repo@revision."""
    store.pull(entry_for(DATA, "hf:owner/repo@v1.0/m.gguf"), ignore)
    assert site.paths == ["/owner/repo/resolve/v1.0/m.gguf"]


def test_a_redirect_on_the_same_machine_is_followed(store: ModelStore, site: Site) -> None:
    """As the hub does it."""
    site.behaviour = "redirect"
    assert store.pull(ENTRY, ignore).read_bytes() == DATA


@pytest.mark.parametrize("behaviour", ["whole", "no ranges", "other range"])
def test_a_download_that_was_cut_off_goes_on_where_it_was(store: ModelStore, site: Site, behaviour: str) -> None:
    """By a range where the server knows ranges, from the start where it does not."""
    site.behaviour = "cut"
    with pytest.raises(ModelStoreError, match="owner/repo"):
        store.pull(ENTRY, ignore)
    site.behaviour = behaviour
    if behaviour == "other range":
        with pytest.raises(ModelStoreError, match="another range"):
            store.pull(ENTRY, ignore)
        return
    assert store.pull(ENTRY, ignore).read_bytes() == DATA
    assert site.ranges[0] is None
    assert site.ranges[1] == f"bytes={len(DATA) // 2}-"


def test_a_remainder_that_is_whole_already_is_asked_for_anew_when_the_server_refuses(store: ModelStore, site: Site) -> None:
    """416 is no dead end."""
    site.behaviour = "cut"
    with pytest.raises(ModelStoreError):
        store.pull(ENTRY, ignore)
    (part,) = (store.root / "partial").rglob("*.part")
    part.write_bytes(DATA)
    site.behaviour = "whole"
    assert store.pull(ENTRY, ignore).read_bytes() == DATA
    assert site.ranges[-1] is None


@pytest.mark.parametrize(("behaviour", "said"), [("missing", "404 no"), ("longer", "larger than")])
def test_what_the_server_does_wrong_is_named(store: ModelStore, site: Site, behaviour: str, said: str) -> None:
    """Free of terminal escapes."""
    site.behaviour = behaviour
    with pytest.raises(ModelStoreError, match=said) as caught:
        store.pull(ENTRY, ignore)
    assert str(caught.value).isprintable()


def test_plain_http_to_another_machine_is_refused(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a look-up is made."""
    monkeypatch.setenv("HF_ENDPOINT", "http://models.example")
    with pytest.raises(ModelStoreError, match="is not https"):
        store.pull(ENTRY, ignore)


def test_progress_counts_up_to_the_size_in_the_catalogue(store: ModelStore, site: Site) -> None:
    """Never backwards, never past it."""
    seen: list[PullProgress] = []
    store.pull(ENTRY, seen.append)
    done = [p.bytes_done for p in seen]
    assert done == sorted(done)
    assert done[-1] == len(DATA) == seen[-1].bytes_total
