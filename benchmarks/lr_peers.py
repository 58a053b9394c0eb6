"""Do our readings of the published methods say what the packages themselves say?

Each package runs its own range test, whole, on a model whose batch losses are those of the
range tests in lr_curves.json; its suggestion is compared with that of `_lr_methods`. Needs
PyTorch and one or more of fastai, pytorch-lightning and torch-lr-finder; those that are
missing are left out.

    python -m benchmarks.lr_peers  # prints, and writes lr_peers.md
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import json
import logging
import math
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
Curve = list[float]


def _data(count: int):
    import torch

    rows = torch.utils.data.TensorDataset(torch.arange(count, dtype=torch.float32)[:, None])
    return torch.utils.data.DataLoader(rows, batch_size=1)


def fastai(losses: Curve) -> dict[str, float | None]:
    """`Learner.lr_find` with all four of its suggestions."""
    import torch
    from fastai.callback.schedule import minimum, slide, steep, valley
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from fastai.learner import Learner

    said = iter([*losses, math.nan])

    def scripted(scores, _):
        return scores.sum() * 0 + next(said)

    rows = [(torch.ones(1), torch.ones(1))] * 200
    loaders = DataLoaders(DataLoader(rows, bs=1), DataLoader(rows[:1], bs=1), device="cpu")
    found = {}
    for function in (valley, slide, minimum, steep):
        said = iter([*losses, math.nan])
        with tempfile.TemporaryDirectory() as folder:
            learner = Learner(loaders, torch.nn.Linear(1, 1), loss_func=scripted, path=Path(folder))
            try:
                value = learner.lr_find(suggest_funcs=(function,), show_plot=False)[0]
            except (IndexError, ValueError, RuntimeError):
                value = None  # too few steps for it
        name = "minimum/10" if function is minimum else function.__name__
        found[f"fastai {name}"] = value
    return found


def pytorch_lightning(losses: Curve) -> dict[str, float | None]:
    """`Tuner.lr_find`."""
    import pytorch_lightning as pl
    import torch

    said = iter([*losses, math.nan])

    class Scripted(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.lr = 0.1
            self.part = torch.nn.Linear(1, 1)

        def training_step(self, batch, _):
            return self.part(batch[0]).sum() * 0 + next(said)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.lr)

    logging.getLogger("pytorch_lightning").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            default_root_dir=folder,
            accelerator="cpu",
            max_epochs=10,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        finder = pl.tuner.Tuner(trainer).lr_find(Scripted(), _data(200), update_attr=False)
    return {"Lightning": None if finder is None else finder.suggestion()}


def torch_lr_finder(losses: Curve) -> dict[str, float | None]:
    """`LRFinder.range_test` and the suggestion of its `plot`."""
    import torch
    from matplotlib.figure import Figure
    from torch_lr_finder import LRFinder

    said = iter([*losses, math.nan])
    model = torch.nn.Linear(1, 1)
    rows = torch.utils.data.TensorDataset(torch.ones(200, 1), torch.ones(200, 1))
    finder = LRFinder(
        model,
        torch.optim.SGD(model.parameters(), lr=1e-7),
        lambda scores, _: scores.sum() * 0 + next(said),
        device="cpu",
    )
    finder.range_test(torch.utils.data.DataLoader(rows), end_lr=10, num_iter=100)
    try:
        _, rate = finder.plot(ax=Figure().add_subplot(), suggest_lr=True)
    except RuntimeError:
        rate = None  # too few steps
    return {"torch-lr-finder": rate}


PACKAGES: dict[str, tuple[Callable[[Curve], dict[str, float | None]], str]] = {
    "fastai": (fastai, "1e-07 10"),
    "pytorch_lightning": (pytorch_lightning, "1e-08 1"),
    "torch_lr_finder": (torch_lr_finder, "1e-07 10"),
}


def same(ours: float | None, theirs: float | None) -> bool:
    """Equal up to one step of the range: two of them place their steps a hundredth lower."""
    if ours is None or theirs is None:
        return ours is theirs
    return abs(math.log(ours / theirs)) < math.log(1e8) / 99 * 1.01


def compare(package: str, seed: str = "100") -> dict[str, list[tuple[str, Any, Any]]]:
    """For each method of an installed package: (task, ours, theirs) on every curve."""
    from benchmarks.lr_suggestion import published

    run, span = PACKAGES[package]
    rows: dict[str, list[tuple[str, Any, Any]]] = {}
    for task, seeds in json.loads((HERE / "lr_curves.json").read_text()).items():
        losses = [math.nan if loss is None else loss for loss in seeds[seed][span]]
        ours = published(seeds[seed])
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):
                theirs = run(losses)
        for name, value in theirs.items():
            rows.setdefault(name, []).append((task, ours[name], value))
    return rows


def main() -> int:
    lines = [
        "# The published methods, ours against the packages",
        "",
        "Written by `python -m benchmarks.lr_peers`: suggestions on the same batch losses.",
        "",
        "| method | package | curves | same step | farthest apart |",
        "|---|---|---|---|---|",
    ]
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            print(f"{package} is not installed: left out")
            continue
        version = importlib.metadata.version(package.replace("_", "-"))
        for name, rows in compare(package).items():
            agree = [same(ours, theirs) for _, ours, theirs in rows]
            far = [max(o / t, t / o) for _, o, t in rows if o is not None and t is not None]
            lines.append(
                f"| {name} | {package} {version} | {len(rows)} | {sum(agree)} | "
                f"x{np.max(far, initial=1.0):.2f} |"
            )
            for (task, ours, theirs), fine in zip(rows, agree, strict=True):
                if not fine:
                    print(f"{name} on {task}: ours {ours}, theirs {theirs}")
    print("\n".join(lines))
    (HERE / "lr_peers.md").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    sys.exit(main())
