"""`kcnn serve DIR`: answer HTTP requests with an exported model."""

import os
from pathlib import Path

import click

__all__ = ["serve"]


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0: every network.")
@click.option("--port", default=8501, show_default=True, help="0: any free one.")
@click.option("--name", default="", help="In the URLs; default: the folder's name.")
@click.option(
    "--workers", default=1, show_default=True, help="Processes; one that dies is replaced."
)
@click.option("--threads", type=int, help="Of each worker's TensorFlow; default: all cores.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL=VERSION",
    help="Keep a version loaded under .../labels/LABEL; may be repeated.",
)
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ask for the key in this file (or in KCNN_API_KEY).",
)
@click.option("--max-batch", type=int, help="Images that may run together.")
@click.option("--max-wait", type=float, metavar="MS", help="Longest wait for a batch to fill.")
@click.option("--max-queue", type=int, help="Images that may wait; more are answered 429.")
@click.option("--max-body", type=int, metavar="BYTES", help="Of one request.")
@click.option("--max-pixels", type=int, help="Of one picture, read before it is decoded.")
@click.option("--max-connections", type=int, help="More are answered 503.")
@click.option(
    "--receive-timeout", type=float, metavar="S", help="For a request to arrive; then 408."
)
@click.option("--timeout", type=float, metavar="S", help="For one answer; later is 504.")
@click.option("--drain", type=float, metavar="S", help="For open requests after SIGTERM.")
@click.option("--access-log", is_flag=True, help="One line of JSON per request.")
def serve(
    folder: Path,
    threads: int | None,
    labels: tuple[str, ...],
    api_key_file: Path | None,
    max_wait: float | None,
    receive_timeout: float | None,
    timeout: float | None,
    drain: float | None,
    **options,
) -> None:
    """Serve the versions of a model in DIR over HTTP.

    DIR holds one folder per version, as `kcnn export` and TensorFlow Serving have it. The newest
    one answers; a new one is picked up while the server runs. Speaks TensorFlow Serving's REST
    API, takes pictures as multipart/form-data, and shows a page at /. Ends after SIGTERM or
    Ctrl-C, once the open requests are answered. Needs `pip install 'kcnn[serve]'`.
    """
    chosen = {
        **options,
        "threads": threads,
        "labels": dict(_label(text) for text in labels),
        "api_key": _api_key(api_key_file),
        "max_wait_s": None if max_wait is None else max_wait / 1000,
        "receive_s": receive_timeout,
        "answer_s": timeout,
        "drain_s": drain,
    }
    try:
        from kcnn_server.process import listen
        from kcnn_server.process import serve as run
    except ImportError as error:
        raise ValueError(
            f"kcnn serve: {error.name} is not installed; run `pip install 'kcnn[serve]'`."
        ) from error
    from kcnn_server.metrics import Metrics
    from kcnn_server.settings import Settings
    from kcnn_server.supervisor import supervise

    settings = Settings(str(folder), **{k: v for k, v in chosen.items() if v is not None})
    listener = listen(settings.host, settings.port)
    if settings.workers > 1:
        supervise(settings, listener)
    else:
        run(settings, listener, Metrics())


def _label(text: str) -> tuple[str, int]:
    label, _, version = text.partition("=")
    if not label or "/" in label or ":" in label or not (version.isascii() and version.isdigit()):
        raise ValueError(f"kcnn serve: --label {text}; expected LABEL=VERSION, like stable=3.")
    return label, int(version)


def _api_key(file: Path | None) -> str:
    if file is None:
        return os.environ.get("KCNN_API_KEY", "")
    key = file.read_text(encoding="utf-8").strip()
    if not key:
        raise ValueError(f"kcnn serve: the file {file} with the API key is empty.")
    return key
