"""Transfer learning: a pretrained backbone, a new head, and two stages of plain `model.fit`.

    model = linear_probe(backbone, classes=10)          # stage 1: the head alone learns
    model.compile("adam", loss, metrics=["accuracy"])
    fit_head(model, cache_features(model, x, y), epochs=20)
    unfreeze(model, learning_rate=1e-4)                 # stage 2: the backbone, too
    model.fit(x, y, epochs=5)

`fine_tune` does both stages in one call. BatchNorm stays in inference mode throughout.
"""

from kcnn.transfer._cache import CachedFeatures, cache_features
from kcnn.transfer._freezing import unfreeze
from kcnn.transfer._heads import head_of, linear_probe
from kcnn.transfer._regime import Regime, regime
from kcnn.transfer._stages import FineTuning, fine_tune, fit_head

__all__ = [
    "CachedFeatures", "FineTuning", "Regime", "cache_features", "fine_tune",
    "fit_head", "head_of", "linear_probe", "regime", "unfreeze",
]  # fmt: skip
