"""`python -m selfopt.wiring.warm_up_child`: one warm-up for the process that starts it."""

from .separate import main

if __name__ == "__main__":
    main()
