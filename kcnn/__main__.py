"""`python -m kcnn` is the `kcnn` command."""

from kcnn_cli import main

if __name__ == "__main__":
    main()
