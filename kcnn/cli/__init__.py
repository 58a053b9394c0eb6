"""The `kcnn` command.

Installed as the package `kcnn_cli`, beside kcnn and not inside it: importing kcnn imports Keras
and TensorFlow (5-10 s), and the command has to answer `--help` and typing errors at once.
"""

if __name__ != "kcnn_cli":
    raise ImportError(
        f"This folder is installed as the package kcnn_cli, not as {__name__!r}; "
        "run `kcnn` or `python -m kcnn` after `pip install -e .`."
    )

from kcnn_cli.commands import main

__all__ = ["main"]
