"""``python -m tests.contracts.differential [histories]``, as `make differential` calls it."""

import sys

from .full_run import main

if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
