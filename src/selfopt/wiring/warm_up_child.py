"""`python -m selfopt.wiring.warm_up_child`: one warm-up on behalf of the process that started this one. Not for people."""

from .separate import main

if __name__ == "__main__":
    main()
