"""What the clients in Python are asked, and one line for each answer. Run by deploy/clients.sh."""

import sys
import traceback

URL, MODEL, KEY, EMBEDDING = (*sys.argv[1:], "")[:4]
HELLO, WEATHER, CITY = "Say hello.", "What is the weather in Oslo?", "Oslo"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DESCRIPTION = "Get the current weather in a city."


class Checks:
    """Runs checks and remembers whether one failed."""

    def __init__(self, client):
        self.client, self.failed = client, False

    def check(self, what, ask):
        """Ask, and print whether the answer is right: some text, or a call with the city."""
        try:
            answer = ask()
            good, told = bool(answer) and (CITY in str(answer) if "tool" in what else True), repr(answer)[:120]
            good = good and (any(answer) if "embeddings" in what else True)
        except Exception as error:
            good, told = False, f"{type(error).__name__}: {error}".replace("\n", " ")[:500]
            if "-v" in sys.argv:
                traceback.print_exc()
        self.failed = self.failed or not good
        print(f"{'ok    ' if good else 'FAILED'}  {self.client}: {what}: {told}", flush=True)

    def done(self):
        """End with 1 if a check failed."""
        sys.exit(self.failed)
