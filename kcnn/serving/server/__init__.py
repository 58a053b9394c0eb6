"""The process that serves a SavedModel over HTTP.

Installed as the package `kcnn_server`, beside kcnn and not inside it: importing kcnn imports
Keras, and the server needs neither, only TensorFlow's runtime for saved graphs. Every public
name stands in its module: `settings`, `process`, `supervisor`.

A request goes `protocol` -> `app` -> `predict` -> `batching` -> `runtime` and back.
"""

if __name__ != "kcnn_server":
    raise ImportError(
        f"This folder is installed as the package kcnn_server, not as {__name__!r}; "
        "run `kcnn serve` after `pip install -e '.[serve]'`."
    )

__all__: list[str] = []
