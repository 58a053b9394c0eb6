"""Find and prepare a set of tensorflow-datasets, quietly, and quickly say so when offline."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from kcnn.data._record import DataError

__all__ = ["find_builder", "prepare", "quietly"]

_PATIENCE = 5.0  # seconds to reach a host before it counts as out of reach


class _DeafTo:
    """A text stream that drops what one thread writes and passes on what the others do."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            return len(text)
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """No progress bars, prints and log lines of tensorflow-datasets; then all is as before."""
    import logging as python_logging

    from absl import logging
    from tensorflow_datasets.core.utils import tqdm_utils

    logger, root = python_logging.getLogger("absl"), python_logging.getLogger()
    before, handlers = (logger.level, logging.get_verbosity()), list(root.handlers)
    bars = not isinstance(tqdm_utils.tqdm(disable=True), tqdm_utils.EmptyTqdm)
    tqdm_utils.display_progress_bar(False)
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(_DeafTo(sys.stdout)):
            yield
    finally:
        logging.set_verbosity(before[1])
        logger.setLevel(before[0])
        root.handlers[:] = handlers  # a first message gives the root one
        tqdm_utils.display_progress_bar(bars)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def find_builder(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    """The builder of a set, without any network; DataError with the nearest name if unknown."""
    import tensorflow_datasets as tfds

    folder = os.fspath(data_dir) if data_dir else os.environ.get("TFDS_DATA_DIR")
    try:
        return tfds.builder(name, data_dir=folder)
    except Exception as error:
        known = tfds.list_builders(with_community_datasets=False)
        base, _, config = name.partition("/")
        if base.partition(":")[0] not in known:
            near = difflib.get_close_matches(base, ["digits", *known], n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "no name is near it."
            raise DataError(
                f"{name!r} is no file, no folder and no set of tensorflow-datasets; {hint}"
            ) from error
        near = difflib.get_close_matches(config, list(tfds.builder_cls(base).builder_configs), n=3)
        hint = f"; did you mean {' or '.join(f'{base}/{n}' for n in near)}?" if near else "."
        raise DataError(f"{name}: {_first_line(error)}{hint}") from error


def _reachable(url: str) -> bool:
    """Whether the host of `url` (or the proxy that leads there) takes a connection in time."""
    import socket

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy:
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = parts.port or (80 if parts.scheme == "http" else 443)
    answer = []

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE).close()
            answer.append(True)

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name knows no timeout
    thread.start()
    thread.join(_PATIENCE + 1.0)
    return bool(answer)


def prepare(builder: Any, name: str, manual_dir: str | os.PathLike[str] | None) -> None:
    """Download and build the set unless that was done before; offline from files in `manual_dir`.

    DataError if its files can be had neither there nor from the network, or are not the right ones.
    """
    import tensorflow_datasets as tfds

    if builder.is_prepared():
        return
    folder = Path(manual_dir).expanduser() if manual_dir else None
    if folder is not None and not folder.is_dir():
        raise DataError(f"{name}: manual_dir={os.fspath(folder)!r} is no folder.")
    lacking = {
        url: info.filename
        for url, info in (builder.url_infos or {}).items()
        if folder is None or not info.filename or not (folder / info.filename).is_file()
    }
    where = f"{name}: not prepared in {builder.data_path.parent.parent}"
    if lacking and not _reachable(next(iter(lacking))):
        files = ", ".join(str(filename) for filename in list(lacking.values())[:4] if filename)
        raise DataError(
            f"{where}, and {urlsplit(next(iter(lacking))).hostname} can't be reached; connect, "
            f"or give manual_dir, a folder with its original files ({files or 'see its page'})."
        )
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=folder)
        )
    except Exception as error:
        how = " ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split())[:200]
        if how and folder is None:
            raise DataError(
                f"{where}, and its files must be fetched by hand; put them into a folder and give "
                f"it as manual_dir ({how})."
            ) from error
        raise DataError(f"{where}, and building it failed: {_first_line(error)}") from error
