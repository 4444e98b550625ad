"""Inspect: a task that answers, and one that calls a tool. Run as a program, it says how their logs ended."""

import sys

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import tool


@tool
def get_weather():
    async def execute(city: str) -> str:
        """Get the current weather in a city.

        Args:
            city: Name of the city.
        """
        return "It is raining."

    return execute


@task
def hello():
    return Task(dataset=[Sample(input="Say hello.", target="")], solver=generate(), scorer=includes())


@task
def weather():
    question = Sample(input="What is the weather in Oslo?", target="")
    return Task(dataset=[question], solver=[use_tools(get_weather()), generate()], scorer=includes())


if __name__ == "__main__":
    from importlib.metadata import version

    from checks import Checks
    from inspect_ai.log import list_eval_logs, read_eval_log

    checks = Checks(f"inspect {version('inspect-ai')}")
    logs = {log.eval.task: log for log in map(read_eval_log, list_eval_logs(sys.argv[5]))}
    for name, what in (("hello", "task"), ("weather", "task with a tool")):

        def said(log):
            if log.status != "success":
                raise ValueError(log.error.message if log.error else log.status)
            messages = log.samples[0].messages
            return [call.arguments for m in messages if m.role == "assistant" for call in m.tool_calls or ()] or (
                log.samples[0].output.completion
            )

        checks.check(what, lambda: said(logs[name]))
    checks.done()
