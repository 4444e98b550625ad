"""A process that is killed around any step that changes a file."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

__all__ = ["killed"]

POINTS = ("write", "pwrite", "fsync", "ftruncate", "replace", "link", "unlink")


def killed(work: Callable[[], Any], at: int) -> bool:
    """Do this in a forked process that dies by SIGKILL around its steps that change a file: at=1 before the first, 2 in the middle
    of it (after it, when it is no write), 3 before the second, and so on. Whether it came so far."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **more: Any) -> Any:
                nonlocal count
                count += 2
                if count >= at:
                    if count == at and "write" in name:
                        real(arguments[0], arguments[1][: len(arguments[1]) // 2], *arguments[2:])
                    elif count == at:
                        real(*arguments, **more)
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **more)

            return call

        for name in POINTS:
            setattr(os, name, watched(name, getattr(os, name)))
        code = 0
        try:
            work()
        except BaseException:
            code = 9
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False
