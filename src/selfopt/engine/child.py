"""The engine child: one model behind llama.cpp's own HTTP server, in a process of its own.

It runs as a program and imports nothing of selfopt, so that it starts in a tenth of a second.

    stdin   one line of JSON: the `ChildConfig` of `process.py`, the API key and the parent's
            process id. The end of the file means that the parent has gone.
    stdout  one line of JSON: {"event": "listening", "port": ..., "build": ...}
            or {"event": "failed", "reason": ...}
    stderr  the log of llama.cpp
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_MAX_CONFIG_BYTES = 65536


# llama.cpp writes its log from a thread of its own. Exiting at once would lose its last lines.
_LAST_WORDS_S = 0.2


def _end(code: int) -> NoReturn:
    """Exit at once. An ordinary exit waits for native threads, or crashes in destructors."""
    os._exit(code)


def _die_with_parent(parent_pid: int) -> None:
    """Make the kernel end this process with its parent. Works on Linux only."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before prctl took hold
        _end(0)


def _watch_stdin() -> None:
    while os.read(0, 4096):
        pass
    _end(0)


def _read_config() -> dict[str, Any]:
    """Read the first line of stdin, unbuffered: the rest belongs to the watchdog."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece or len(line) > _MAX_CONFIG_BYTES:
            _end(0)
        line += piece
    config = json.loads(line)
    if not isinstance(config, dict):
        raise ValueError("the configuration is not a JSON object")
    return config


# OpenMP's threads wait for each other at every layer. By default they spin for milliseconds, which a
# busy machine takes from the thread that they wait for: with one of two cores taken, two threads made
# 0.4 to 5 tokens/s. After so few rounds they sleep instead: 22 tokens/s there, and on an idle machine
# the same 44 as before.
_SPIN_ROUNDS = "300"


def _start_server(config: dict[str, Any]) -> tuple[Any, str]:
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_ROUNDS)  # read when the library is loaded
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config["model_path"]
    params.model_alias = {config["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [config["api_key"]]
    params.n_ctx = config["context_size"] * config["slots"]  # llama.cpp shares n_ctx out among the slots
    params.n_parallel = config["slots"]
    # Threads that sleep while they wait may be as many as the cores: the kernel then shares these out as
    # the load changes. Others keep the number that was free at the start.
    sleeps = config["cores"] is not None and "OPENMP = 1" in xllamacpp.get_system_info()
    params.cpuparams.n_threads = config["cores"] if sleeps else config["threads"]
    params.cpuparams.poll = 0  # between two tokens, a thread sleeps at once
    params.cache_ram_mib = config["prompt_cache_mib"]
    params.sleep_idle_seconds = config["sleep_idle_s"]
    # With repacked weights or flash attention, a token's values depend on the batch size, and so a
    # reply depends on how much of its prompt was cached. Without them, cached and isolated requests
    # agree (measured on both catalogue models), at the same speed on a CPU.
    params.no_extra_bufts = True
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.use_jinja = True
    params.endpoint_metrics = True
    params.endpoint_slots = False  # GET /slots wakes a sleeping model
    params.ui = False
    params.offline = True
    params.warmup = False  # warming up is a measured step of its own, with the real prompt
    params.fit_params = False  # fitting to a GPU's memory reads the whole model once more
    params.verbosity = config["verbosity"]
    if config["embedding"]:
        params.embedding = True
        # A text is read in one piece. Models that say how they pool are pooled so; others by the mean.
        params.n_ubatch = params.n_batch = config["context_size"]
        if not config["pools"]:
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return xllamacpp.Server(params), str(xllamacpp.__version__)


def main() -> NoReturn:
    """Start the server, report its port, and run until the parent has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever native code prints goes to the log

    def answer(**fields: Any) -> None:
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    config = _read_config()
    _die_with_parent(config["parent_pid"])
    threading.Thread(target=_watch_stdin, daemon=True).start()
    try:
        server, build = _start_server(config)
    except ImportError as error:
        answer(event="failed", reason=f"the package xllamacpp cannot be imported ({error}); {config['install']}")
        _end(1)
    except RuntimeError as error:
        time.sleep(_LAST_WORDS_S)
        answer(event="failed", reason=str(error))
        _end(1)
    answer(event="listening", port=int(server.listening_address.rsplit(":", 1)[1]), build=build)
    threading.Event().wait()
    _end(0)


if __name__ == "__main__":
    main()
