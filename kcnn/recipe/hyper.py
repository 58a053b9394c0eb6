"""What a builder is called with."""

from collections.abc import Iterator, Mapping
from typing import Any

from kcnn.recipe.settings import did_you_mean

__all__ = ["HyperParameters"]


class HyperParameters(Mapping[str, Any]):
    """What a builder is called with: values by name, as items or as attributes.

    `read` holds the names that were asked for, so that a name nobody reads is noticed.

    >>> hp = HyperParameters({"width": 2})
    >>> hp.width, hp["width"]
    (2, 2)
    """

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(
                f"hp has no {name!r}; the space names {', '.join(self._values)}."
                f"{did_you_mean(name, self._values)}"
            ) from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return self._values.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
