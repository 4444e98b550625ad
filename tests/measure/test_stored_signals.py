"""What a model is told twice is one prompt."""

from __future__ import annotations

from selfopt.measure.stored_signals import first_said, prompt_words
from selfopt.records import Message, Prompt, Suite, ToolDefinition

PLAY, STOP = ToolDefinition(name="play"), ToolDefinition(name="stop")


def prompt(name: str, said: str, tool_set: str = "a") -> Prompt:
    return Prompt(id=name, kind="direct", tool_set=tool_set, messages=(Message(role="user", content=said),), expected=((),))


def test_prompts_of_the_same_messages_and_tools_are_one() -> None:
    """Whatever their ids, and whatever a set of tools is called or how it is ordered."""
    prompts = (
        prompt("1", "Stop!"),
        prompt("2", "Stop!"),
        prompt("3", "Stop!", "b"),
        prompt("4", "Stop!", "c"),
        prompt("5", "Go!"),
    )
    sets = {"a": (PLAY, STOP), "b": (STOP, PLAY), "c": (PLAY,)}
    suite = Suite(name="s", phase="atomic", tool_sets=sets, prompts=prompts)
    assert list(first_said(suite, prompts).values()) == ["1", "4", "5"]
    seen = {prompt_words(suite, prompts[1])}
    assert list(first_said(suite, prompts, seen).values()) == ["4", "5"]
