"""Kinds of endpoints: our own, and those that installed packages offer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.dialects.kinds import ENDPOINT_KINDS
from selfopt.endpoints.factory import create_endpoint
from selfopt.errors import SettingsError
from selfopt.records import EndpointConfig
from selfopt.scripted.script import Script
from selfopt.scripted.server import serve_scripted
from selfopt.settings import load_settings
from tests.endpoints.kit import ask

THEIRS = """
from selfopt.dialects.kinds import EndpointKind
from selfopt.dialects.openai_chat import OpenAIChat


class Shouting(OpenAIChat):
    name = "shouting"

    def write_request(self, request, *, streamed=False):
        body = super().write_request(request, streamed=streamed)
        return body | {"messages": [{**m, "content": m["content"].upper()} for m in body["messages"]]}


KIND = EndpointKind(dialect=Shouting, speaks="shouting")
NO_KIND = object()
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of somebody else, installed in a folder of its own: one kind that works, one that is none, one that is missing."""
    folder = tmp_path / "site"
    info = folder / "theirs-1.2.dist-info"
    info.mkdir(parents=True)
    (folder / "theirs.py").write_text(THEIRS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[selfopt.dialects]\ntheirs = theirs:KIND\nnone = theirs:NO_KIND\ngone = theirs_gone:KIND\nollama = theirs:KIND\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    loaded = dict(ENDPOINT_KINDS._loaded)
    monkeypatch.setattr(ENDPOINT_KINDS, "_found", None)
    yield folder
    ENDPOINT_KINDS._loaded.clear()
    ENDPOINT_KINDS._loaded.update(loaded)
    sys.modules.pop("theirs", None)


async def test_an_endpoint_of_a_package_s_kind_works_from_the_settings(theirs: Path, tmp_path: Path) -> None:
    """Named as a kind like any other; its server is asked in the package's words."""
    server = await serve_scripted(Script.model_validate({"models": {"m": {"default": {"text": "Yes."}}}}))
    config = tmp_path / "own.toml"
    config.write_text(f'[endpoints.x]\nkind = "theirs"\nbase_url = "{server.base_url}"\nlocal = true\n', "utf-8")
    settings = load_settings({"SELFOPT_CONFIG": str(config)}, tmp_path)
    endpoint = create_endpoint(settings.endpoint_config("x", {}))
    reply = await endpoint.chat(ask("hello"))
    await endpoint.close()
    await server.close()
    assert reply.content.text == "Yes."
    assert server.journal[-1].last_user == "HELLO"


def test_a_kind_that_cannot_be_used_is_left_out_with_the_reason(theirs: Path) -> None:
    """One that is no kind, one that is not there, and one that would take the place of ours."""
    problems = {extension.name: extension.problem for extension in ENDPOINT_KINDS.installed()}
    assert problems["theirs"] is None
    assert "does not satisfy EndpointKind" in str(problems["none"])
    assert "cannot be loaded" in str(problems["gone"])
    assert "taken" in str(problems["ollama"])


def test_an_unknown_kind_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    """In the settings, and wherever else one is named."""
    config = tmp_path / "own.toml"
    config.write_text('[endpoints.x]\nkind = "nobodys"\n', "utf-8")
    with pytest.raises(SettingsError, match=r"endpoints\.x\.kind.*openai_compatible, ollama, anthropic, scripted, embedded"):
        load_settings({"SELFOPT_CONFIG": str(config)}, tmp_path)
    with pytest.raises(SettingsError, match="unknown kind 'nobodys'"):
        create_endpoint(EndpointConfig(name="x", kind="nobodys"))


def test_our_own_kinds_are_known_without_a_look_at_what_is_installed() -> None:
    """Reading settings loads no HTTP client and asks for no entry points."""
    code = (
        "import sys\nfrom selfopt.dialects.kinds import ENDPOINT_KINDS\nfrom selfopt.settings import Settings\n"
        "settings = Settings()\n"
        "assert settings.is_local('local/m') and not settings.is_local('openai/m')\n"
        "assert ENDPOINT_KINDS._found is None\n"
        "print(sorted({'aiohttp', 'yaml', 'selfopt.endpoints.http', 'selfopt.scripted.player'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
