"""The child program: what it tells llama.cpp, and how it ends."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfopt.engine import child
from selfopt.engine.process import default_command

CONFIG: dict[str, Any] = {
    "model_path": "/nowhere/model.gguf",
    "alias": "local/tiny",
    "api_key": "secret",
    "context_size": 1000,
    "slots": 3,
    "threads": 2,
    "cores": None,
    "sleep_idle_s": 9,
    "prompt_cache_mib": 7,
    "verbosity": 2,
    "embedding": False,
    "pools": False,
    "install": "run: pip install some-engine==1",
    "parent_pid": os.getpid(),
}


class Params:
    """Takes whatever is set."""

    def __init__(self) -> None:
        self.model = SimpleNamespace()
        self.cpuparams = SimpleNamespace()


def fake_xllamacpp(monkeypatch: pytest.MonkeyPatch, server: Any = lambda params: params, *, openmp: bool = True) -> None:
    """An xllamacpp without a native part."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "")  # so that the variable is as it was after the test
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    off = SimpleNamespace(LLAMA_FLASH_ATTN_TYPE_DISABLED=0)
    module = SimpleNamespace(
        CommonParams=Params,
        Server=server,
        __version__="1.2.3",
        llama_flash_attn_type=off,
        llama_pooling_type=SimpleNamespace(LLAMA_POOLING_TYPE_MEAN=1),
        get_system_info=lambda: f"CPU : AVX2 = 1 | OPENMP = {int(openmp)} | ",
    )
    monkeypatch.setitem(sys.modules, "xllamacpp", module)


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Have the child read this from its standard input, then the end of it."""
    left = bytearray(data)

    def read(_: int, size: int) -> bytes:
        piece = bytes(left[:size])
        del left[:size]
        return piece

    monkeypatch.setattr(os, "read", read)


class Ended(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Exit codes, instead of an exit."""
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    return codes


def test_the_server_is_on_loopback_behind_its_key_with_nothing_more_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page, no tools, no network, no endpoint that wakes a sleeping model."""
    fake_xllamacpp(monkeypatch, lambda params: params)
    params, build = child._start_server(CONFIG)
    assert build == "1.2.3"
    assert (params.hostnames, params.port, params.api_keys) == (["127.0.0.1"], 0, ["secret"])
    assert (params.ui, params.endpoint_slots, params.offline) == (False, False, True)
    assert params.sleep_idle_seconds == 9


@pytest.mark.parametrize("pools", [True, False])
def test_an_embedding_model_reads_a_text_in_one_piece_and_pools_as_it_says(monkeypatch: pytest.MonkeyPatch, pools: bool) -> None:
    """One that says nothing of pooling is pooled by the mean. A chat model is not touched."""
    fake_xllamacpp(monkeypatch, lambda params: params)
    params, _ = child._start_server({**CONFIG, "embedding": True, "pools": pools})
    assert (params.embedding, params.n_batch, params.n_ubatch) == (True, 1000, 1000)
    assert getattr(params, "pooling_type", None) == (None if pools else 1)
    chat, _ = child._start_server(CONFIG)
    assert not hasattr(chat, "embedding")


def test_every_slot_has_the_whole_context_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp shares its context out among the slots."""
    fake_xllamacpp(monkeypatch, lambda params: params)
    params, _ = child._start_server(CONFIG)
    assert (params.n_ctx, params.n_parallel) == (3000, 3)


@pytest.mark.parametrize(
    ("cores", "openmp", "threads"),
    [(8, True, 8), (8, False, 2), (None, True, 2)],
    ids=["waiting threads sleep", "waiting threads spin", "the user chose"],
)
def test_all_cores_compute_where_waiting_threads_sleep(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, openmp: bool, threads: int
) -> None:
    """Then the kernel shares the cores out as the load changes; else the number that was free at the start stays."""
    fake_xllamacpp(monkeypatch, openmp=openmp)
    params, _ = child._start_server({**CONFIG, "cores": cores})
    assert params.cpuparams.n_threads == threads
    assert params.cpuparams.poll == 0


@pytest.mark.parametrize("theirs", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_threads_wait_as_the_user_says(monkeypatch: pytest.MonkeyPatch, theirs: str) -> None:
    """Few rounds of spinning by default; a variable of the user's own stays."""
    fake_xllamacpp(monkeypatch)
    child._start_server(CONFIG)
    assert os.environ["GOMP_SPINCOUNT"] == "300"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv(theirs, "7")
    child._start_server(CONFIG)
    assert os.environ.get("GOMP_SPINCOUNT") == ("7" if theirs == "GOMP_SPINCOUNT" else None)


def test_the_configuration_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows belongs to the watchdog."""
    feed(monkeypatch, json.dumps(CONFIG).encode() + b"\nmore")
    assert child._read_config() == CONFIG
    assert os.read(0, 10) == b"more"


@pytest.mark.parametrize("data", [b"", b'{"half": ', b"x" * 70_000])
def test_without_a_whole_configuration_the_child_ends(monkeypatch: pytest.MonkeyPatch, ended: list[int], data: bytes) -> None:
    """Its parent has gone, or is none of ours."""
    feed(monkeypatch, data)
    with pytest.raises(Ended):
        child._read_config()
    assert ended == [0]


def test_the_watchdog_ends_the_child_with_its_input(monkeypatch: pytest.MonkeyPatch, ended: list[int]) -> None:
    """The portable way to end with the parent."""
    feed(monkeypatch, b"ignored")
    with pytest.raises(Ended):
        child._watch_stdin()
    assert ended == [0]


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux")
def test_a_child_whose_parent_died_before_it_could_ask_ends(monkeypatch: pytest.MonkeyPatch, ended: list[int]) -> None:
    """The race between fork and prctl."""
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(prctl=lambda *_: 0))
    child._die_with_parent(os.getppid())
    with pytest.raises(Ended):
        child._die_with_parent(-1)
    assert ended == [0]


def run_child(line: bytes, *, path: Path | None = None) -> tuple[int, bytes, bytes]:
    """The real program, to its end."""
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path is not None else {})}
    with subprocess.Popen(
        default_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        answer = process.stdout.readline()  # before its input ends, and with that the child
        if b"listening" not in answer:
            process.wait(timeout=60)  # it ends by itself, with a code of its own
        _, errors = process.communicate(timeout=60)
    return process.returncode, answer, errors


def test_a_missing_engine_package_is_said_with_the_command_that_installs_it(tmp_path: Path) -> None:
    """A user of cloud endpoints need not have it."""
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('none here')")
    code, output, errors = run_child(json.dumps(CONFIG).encode() + b"\n", path=tmp_path)
    assert code == 1
    assert "run: pip install some-engine==1" in json.loads(output)["reason"]
    assert errors == b""


def test_what_native_code_prints_never_reaches_the_answers(tmp_path: Path) -> None:
    """It goes to the log; the answers are one line of JSON."""
    (tmp_path / "xllamacpp.py").write_text(
        "import os, types\n__version__ = '0'\n"
        "CommonParams = lambda: types.SimpleNamespace(model=types.SimpleNamespace(), cpuparams=types.SimpleNamespace())\n"
        "llama_flash_attn_type = types.SimpleNamespace(LLAMA_FLASH_ATTN_TYPE_DISABLED=0)\n"
        "class Server:\n"
        "    listening_address = 'http://127.0.0.1:1234'\n"
        "    def __init__(self, params):\n        os.write(1, b'native noise')\n"
    )
    code, output, errors = run_child(json.dumps(CONFIG).encode() + b"\n", path=tmp_path)
    assert code == 0
    assert errors == b"native noise"
    assert json.loads(output) == {"event": "listening", "port": 1234, "build": "0"}


def test_the_child_does_not_import_selfopt() -> None:
    """It starts in a tenth of a second because of that."""
    source = Path(child.__file__).read_text(encoding="utf-8")
    assert "import selfopt" not in source
    assert "from selfopt" not in source
    assert "from ." not in source
