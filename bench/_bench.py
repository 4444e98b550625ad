"""What every script here needs: selfopt's interpreter, the specification's settings, and measurements to work on.

The scripts run without an activated environment: where selfopt cannot be imported, the script that was called is started
again with the project's own interpreter, and for one that is only imported the project's packages are added to the path. This
file therefore reads under any Python 3.
"""

import importlib.util
import os
import site
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parent / ".venv" / "bin" / "python"
SETTINGS = HERE / "specification.toml"
LFM = "lfm2.5-thinking:1.2b"
COLD = "lfm2.5 atomic native_api"
NEEDED = "selfopt.verbs"


def importable(name: str) -> bool:
    """Whether a module is there, dependencies of the project included."""
    return all(importlib.util.find_spec(n) is not None for n in (name, "pydantic", "aiohttp", "click"))


def use_project_interpreter() -> None:
    """Make selfopt importable: a called script is started again with .venv/bin/python, for an imported one its packages are
    added to the path. Exit with one line where there is no .venv, or one of another Python."""
    if importable("selfopt"):
        return
    called = Path(sys.argv[0]).resolve()
    is_script = called.parent == HERE and called.is_file()
    if is_script and PYTHON.is_file() and Path(sys.prefix) != PYTHON.parent.parent:
        sys.stdout.flush()
        os.execv(str(PYTHON), [str(PYTHON), str(called), *sys.argv[1:]])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = PYTHON.parent.parent / "lib" / version / "site-packages"
    if not is_script and packages.is_dir():
        site.addsitedir(str(packages))
        if importable("selfopt"):
            return
    what = f"has no selfopt for {version}" if PYTHON.is_file() else "is missing"
    sys.exit(
        f"{called.name if is_script else HERE.name}: selfopt is not installed here and {PYTHON} {what}; run 'make test' or 'make quickstart' in {HERE.parent} first"
    )


use_project_interpreter()

import asyncio  # noqa: E402
import logging  # noqa: E402
from collections.abc import Awaitable, Callable, Sequence  # noqa: E402
from typing import NoReturn, TypeVar  # noqa: E402

from selfopt.cli.main import run as run_command  # noqa: E402
from selfopt.errors import GateFailed, SelfoptError  # noqa: E402
from selfopt.verbs.diagnosing import make_feedback  # noqa: E402
from selfopt.verbs.measuring import measure_model, measure_request  # noqa: E402
from selfopt.verbs.opening import App  # noqa: E402
from selfopt.verbs.routing import enforce_file, rules_in_force  # noqa: E402
from selfopt.verbs.specification import kept_evaluations  # noqa: E402

T = TypeVar("T")


def set_environment() -> None:
    """The home and the settings of this folder, unless the user named others."""
    os.environ.setdefault("SELFOPT_HOME", str(HERE / ".selfopt"))
    os.environ.setdefault("SELFOPT_CONFIG", str(SETTINGS))


def uses_specification() -> bool:
    """Whether the scripted endpoint of this folder is in use: what is measured of itself, without being asked, costs nothing."""
    return Path(os.environ["SELFOPT_CONFIG"]).resolve() == SETTINGS


async def make_ready(app: App, *, rules: bool = True) -> None:
    """Measure once what the specification takes for granted: lfm2.5 cold on atomic, lfm2.5 and haiku on extended. rules: put in
    force what follows from it, also where that was left out when it was measured."""
    wanted = [(COLD, False), (f"{LFM} extended extended", None), ("haiku extended extended", None)]
    known = {(e.model, e.phase) for e in kept_evaluations(app)}
    requests = []
    for text, warm_up in wanted:
        model, phase, variant = text.split()
        request = measure_request(app, model, phase, variant, warm_up=warm_up, force_model=True, n_runs=7, sampling=True)
        if (request.model, request.phase) not in known:
            requests.append(request)
    if requests:
        todo = ", ".join(f"{r.model} {r.phase}" for r in requests)
        print(f"bench: nothing is known yet of {todo}: measured once, a few seconds", file=sys.stderr, flush=True)
    for request in requests:
        await measure_model(app, request)
    follows = rules and app.settings.enforcement.enabled and (requests or rules_in_force(app).version == 0)
    if requests or follows:
        await make_feedback(app)
    if follows:
        enforce_file(app)


def with_app(work: Callable[[App], Awaitable[T]], *, ready: bool = False, rules: bool = True) -> T:
    """Open the app, do the work, close it."""

    async def whole() -> T:
        async with App.open() as app:
            if ready and uses_specification():
                await make_ready(app, rules=rules)
            return await work(app)

    return asyncio.run(whole())


async def _nothing(_: App) -> None:
    return None


def command(*words: str, ready: bool = False, rules: bool = True) -> NoReturn:
    """Be the selfopt command of these words, with what was typed after the script's name. ready, rules: see `make_ready`."""
    set_environment()
    if {"--help", "-h"} & set(sys.argv[1:]):
        print((sys.modules["__main__"].__doc__ or "").strip(), end="\n\n", flush=True)
    elif ready:
        guarded(lambda: with_app(_nothing, ready=True, rules=rules))
    sys.exit(run_command([*words, *sys.argv[1:]]))


def without_arguments(description: str | None) -> None:
    """For scripts that take none: --help prints the description, anything else is a usage error."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        print((description or "").strip())
        sys.exit(0)
    if sys.argv[1:]:
        print(f"{Path(sys.argv[0]).name}: unexpected {sys.argv[1]!r}; see --help", file=sys.stderr)
        sys.exit(2)


def guarded(work: Callable[[], T]) -> T:
    """Do the work; an error that selfopt explains ends the script with one line and the error's exit code."""
    try:
        return work()
    except SelfoptError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def judged(checks: Sequence[tuple[str, bool, str]]) -> int:
    """Print one PASS or FAIL line for each numbered check (what, whether, observed); 100 when any fails, else 0."""
    for number, (what, passed, observed) in enumerate(checks, 1):
        print(f"{'PASS' if passed else 'FAIL'} {number}: {what}: {observed}", flush=True)
    return 0 if all(passed for _, passed, _ in checks) else GateFailed.exit_code


def run_test(checks: Callable[[App], Awaitable[Sequence[tuple[str, bool, str]]]], *, ready: bool) -> NoReturn:
    """Run one test script: its checks, judged."""
    without_arguments(sys.modules["__main__"].__doc__)
    set_environment()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("selfopt").setLevel(logging.INFO)
    sys.exit(judged(guarded(lambda: with_app(checks, ready=ready))))
