"""Runs several cycles for one command. The same command continues them after an interruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from selfopt.records import Cycle, LoopEnd, LoopStart, new_id

from .begin import why_not_continued
from .context import LoopContext, LoopEvent, Target
from .cycle import run_cycle
from .store import cycles_of_loop, has_ended, open_loop


async def run_cycles(
    context: LoopContext, targets: Sequence[Target], cycles: int, request: str, *, once: bool = False
) -> list[Cycle]:
    """Run cycles one after the other.

    The first starts from the targets as given, each later one from the baselines then.

    An interrupted loop of the same request is continued: its finished cycles are not run again. A
    loop has ended once the listener was given its cycles.

    Args:
        cycles: how many.
        request: hash of what was asked.
        once: a loop of this request that has ended is not run again either; its cycles are
            returned.

    Raises:
        Whatever `run_cycle` raises.
    """
    loop = open_loop(context.ledger, request, context.newest_cycles(targets), ended_too=once)
    if loop is not None and has_ended(context.ledger, loop):
        done = cycles_of_loop(context.ledger, loop)
        context.listener.tell(done)
        return done
    if loop is None:
        loop = await _begin(context, targets, cycles, request)
    done = cycles_of_loop(context.ledger, loop)
    if done:
        numbers = ", ".join(str(cycle.number) for cycle in done)
        context.say(LoopEvent("resume", f"an interrupted loop is continued; finished already: cycle {numbers}", loop))
        context.stages.report()
    while len(done) < loop.cycles:
        later = [replace(t, baseline=None) for t in targets]
        done.append(await run_cycle(context, later if done else targets, loop.loop_id))
    context.listener.tell(done)
    await context.ledger.append([LoopEnd(loop_id=loop.loop_id, at=context.now())])
    context.on_step("loop_ended")
    return done


async def _begin(context: LoopContext, targets: Sequence[Target], cycles: int, request: str) -> LoopStart:
    fitting = (one for one in context.unfinished_cycles(targets) if why_not_continued(context, one, targets) is None)
    interrupted = next(fitting, None)
    loop = LoopStart(
        loop_id=new_id("loop"),
        request=request,
        cycles=cycles,
        adopted=interrupted.cycle_id if interrupted is not None else None,
        at=context.now(),
    )
    await context.ledger.append([loop])
    context.on_step("loop_begun")
    return loop
