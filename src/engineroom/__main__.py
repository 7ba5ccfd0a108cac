"""`python -m engineroom`: the command line."""

from engineroom.cli import main

if __name__ == "__main__":
    main()
