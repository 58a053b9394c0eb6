"""PyTorch's global random states: on that backend unseeded dropout draws from them."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import keras

__all__ = ["TorchRandom", "torch_randoms"]


class TorchRandom:
    """One device's generator, dressed as a variable: `path`, `value`, `assign`."""

    def __init__(self, path: str, get: Callable[[], Any], put: Callable[[Any], Any]):
        self.path, self._get, self._put = path, get, put

    @property
    def value(self) -> Any:
        """Its state, uint8 of shape (bytes,)."""
        return self._get()

    def assign(self, value: Any) -> None:
        self._put(value.cpu())


def torch_randoms() -> list[TorchRandom]:
    """The generators of all devices in use; none on the other backends."""
    if keras.config.backend() != "torch":
        return []
    torch = sys.modules["torch"]
    found = [TorchRandom("torch.random", torch.get_rng_state, torch.set_rng_state)]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        for i in range(torch.cuda.device_count()):
            get = functools.partial(torch.cuda.get_rng_state, i)
            put = functools.partial(torch.cuda.set_rng_state, device=i)
            found.append(TorchRandom(f"torch.cuda.random.{i}", get, put))
    return found
