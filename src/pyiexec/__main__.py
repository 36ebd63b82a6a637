"""`python -m pyiexec`."""

from pyiexec.cli import main

if __name__ == "__main__":
    main()
