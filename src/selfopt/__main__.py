"""`python -m selfopt`."""

from selfopt.cli import main

if __name__ == "__main__":
    main()
