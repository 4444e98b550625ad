"""Several cycles asked for by one command, continued by the same command."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import Cycle, LoopEnd, LoopStart, new_id

from .begin import why_not_continued
from .context import LoopContext, LoopEvent, Target
from .cycle import run_cycle
from .store import cycles_of_loop, has_ended, open_loop, unfinished_cycle


async def run_cycles(
    context: LoopContext, targets: Sequence[Target], cycles: int, request: str, *, once: bool = False
) -> list[Cycle]:
    """Run whole cycles, the first from the targets as given, later ones from the baselines that came of them.

    request: hash of what was asked. An interrupted loop of the same request is continued: its finished cycles are not run
    again. once: so is one that has ended, which then has nothing left to do. Raises as `run_cycle`. The loop has ended when
    the listener has handed its cycles over.
    """
    loop = open_loop(context.ledger, request, ended_too=once)
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
        later = [Target(t.model, t.phase, candidates=t.candidates) for t in targets]
        done.append(await run_cycle(context, later if done else targets, loop.loop_id))
    context.listener.tell(done)
    await context.ledger.append([LoopEnd(loop_id=loop.loop_id, at=context.now())])
    context.on_step("loop_ended")
    return done


async def _begin(context: LoopContext, targets: Sequence[Target], cycles: int, request: str) -> LoopStart:
    interrupted = unfinished_cycle(context.ledger)
    fits = interrupted is not None and why_not_continued(context, interrupted, targets) is None
    loop = LoopStart(
        loop_id=new_id("loop"),
        request=request,
        cycles=cycles,
        adopted=interrupted.cycle_id if interrupted is not None and fits else None,
        at=context.now(),
    )
    await context.ledger.append([loop])
    context.on_step("loop_begun")
    return loop
