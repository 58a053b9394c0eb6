"""`python -m kcnn` is the `kcnn` command, which parses before it imports anything heavy."""

import sys

from kcnn_cli import main

if __name__ == "__main__":
    # Python had to import the package first, which left out all but its name; whatever the
    # command needs of it imports it whole.
    del sys.modules["kcnn"]
    main()
