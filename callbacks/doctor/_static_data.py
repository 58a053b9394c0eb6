"""What the numbers in the data say: NaN, scale, order, balance."""

# ruff: noqa: SIM102 - a condition inside another reads as the argument it makes
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._rows import Case
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor.program.graph import bends, flat_layers, is_norm, kernel_of, known_graph
from kcnn.callbacks.doctor.program.task import TaskFacts
from kcnn.callbacks.sanity import FILL_THEM, first_nonfinite, weights_of

__all__ = ["first_inputs", "input_scale", "judge_finite", "judge_order", "judge_scale"]


def judge_finite(model: keras.Model, case: Case) -> Iterator[Suspect]:
    """NaN or infinity among inputs, targets, sample weights, model weights."""
    places: list[tuple[str, Any]] = [("x", case.train.x), ("y", case.train.y)]
    places.append(("sample_weight", case.train.weight))
    if case.val is not None:
        places += [("validation x", case.val.x), ("validation y", case.val.y)]
    found = first_nonfinite(places) or first_nonfinite(weights_of(model))
    if found is not None:
        place, bad, size = found
        yield Suspect(
            "nan_inputs",
            1.0,
            f"{bad} of {size} values in {place} are NaN or infinite",
            "finite numbers",
            FILL_THEM,
            where=place,
            firm=True,
            check="finite",
        )


def first_inputs(model: keras.Model, x: Any) -> np.ndarray | None:
    """What the first layer with a kernel receives; None when it is scale-free or unknown."""
    if not isinstance(x, np.ndarray):
        return None
    if not known_graph(model):
        first = next((v for v in flat_layers(model) if kernel_of(v) is not None), None)
        tamed = [v for v in flat_layers(model) if is_norm(v) or "Rescaling" in type(v).__name__]
        embeds = any(isinstance(v, keras.layers.Embedding) for v in flat_layers(model))
        return None if first is None or tamed or embeds else x
    for layer in model.layers:
        if is_norm(layer):
            return None
        nested = isinstance(layer, keras.Model) and any(
            kernel_of(inner) is not None for inner in flat_layers(layer)
        )
        if not nested and kernel_of(layer) is None and not isinstance(layer, keras.layers.RNN):
            if isinstance(layer, keras.layers.Embedding):
                return None
            continue
        tensor = layer.input
        if isinstance(tensor, (list, tuple)):
            return None
        if layer is model.layers[0] and isinstance(model, keras.Sequential):
            inside = x
        else:
            probe = keras.Model(_inputs(model), tensor)
            inside = keras.ops.convert_to_numpy(probe(x, training=False))
        if nested:
            return first_inputs(layer, inside)
        after = [op for node in layer._outbound_nodes for op in [node.operation]]
        if after and all(is_norm(op) for op in after) and not bends(layer):
            return None
        return np.asarray(inside)
    return None


def _inputs(model: keras.Model) -> Any:
    return model.inputs[0] if len(model.inputs) == 1 else model.inputs


def input_scale(x: np.ndarray) -> dict[str, float]:
    """Size of the inputs: overall, per column, offset and unevenness (all unitless)."""
    flat = np.asarray(x, "float64").reshape(-1, x.shape[-1])
    if len(flat) > 50000:
        flat = flat[:: len(flat) // 50000 + 1]
    flat = np.where(np.isfinite(flat), flat, 0.0)
    mean, std = flat.mean(0), flat.std(0)
    rms = np.sqrt((flat**2).mean(0))
    alive = std > 1e-12
    spread = std[alive] if alive.any() else np.array([1.0])
    return {
        "rms": float(np.sqrt((flat**2).mean())),
        "largest": float(np.abs(flat).max(initial=0)),
        "largest_column": float(rms.max(initial=0)),
        "unevenness": float(spread.max() / max(np.median(spread), 1e-12)),
        "spread_ratio": float(spread.max() / max(spread.min(), 1e-12)),
        "offset": float((np.abs(mean[alive]) / spread).max()) if alive.any() else 0.0,
    }


def judge_scale(inside: np.ndarray | None, task: TaskFacts, y: Any) -> Iterator[Suspect]:
    """Inputs or targets of a size that training does not stand well."""
    if inside is not None and inside.dtype.kind in "fiu" and inside.size:
        scale = input_scale(inside)
        weight, words = 0.0, ""
        image = inside.ndim >= 4
        if scale["rms"] > 8 or scale["largest_column"] > 30:
            size = max(scale["rms"] / 8, scale["largest_column"] / 30)
            weight = float(np.clip(0.6 + 0.1 * image + 0.12 * np.log10(size), 0, 0.88))
            words = f"inputs of size {scale['rms']:.3g} (up to {scale['largest']:.3g})"
        elif not image and scale["spread_ratio"] > 30 and scale["largest_column"] > 3:
            weight, words = 0.5, f"columns differ {scale['spread_ratio']:.3g} times in spread"
        elif not image and scale["offset"] > 10 and scale["rms"] > 3:
            weight, words = 0.45, f"a column lies {scale['offset']:.3g} spreads away from zero"
        elif 0 < scale["rms"] < 0.03:
            weight, words = 0.5, f"inputs of size {scale['rms']:.2g}"
        if weight:
            how = "x / 255.0" if image else "a keras.layers.Normalization layer adapted to x"
            yield Suspect(
                "unnormalized_inputs",
                weight,
                words,
                "mean about 0 and spread about 1",
                f"Scale the inputs of training and validation alike, with {how}.",
                where="x",
                check="data",
                evidence=scale,
            )
    if task.kind == "regression" and isinstance(y, np.ndarray):
        values = np.asarray(y, "float64")[np.isfinite(y)]
        spread, mean = float(values.std()), float(np.abs(values.mean()))
        size = max(spread, mean)
        if size > 8 or (0 < size < 0.005):
            yield Suspect(
                "unnormalized_targets",
                float(np.clip(0.45 + 0.12 * abs(np.log10(size / 8)), 0, 0.88)),
                f"targets of mean {values.mean():.3g} and spread {spread:.3g}",
                "mean about 0 and spread about 1",
                "Train on (y - y.mean()) / y.std() and undo it after predict.",
                where="y",
                check="data",
                evidence={"mean": float(values.mean()), "std": spread},
            )


def judge_order(case: Case, task: TaskFacts) -> Iterator[Suspect]:
    """Rows ordered by class or target where order matters."""
    n = case.train.n
    labels = task.labels
    if labels is not None and n >= 24:
        places = max(task.classes, int(labels.max()) + 1)  # class numbers may have gaps
        shares = np.bincount(labels[:n], minlength=places) / n
        expected = (n - 1) * (1 - float((shares**2).sum()))
        changes = float((labels[1:n] != labels[: n - 1]).sum())
        ordered = changes / max(expected, 1e-9)
        tail = labels[n:]
        if case.val_kind == "split" and len(tail) >= 5:
            other = np.bincount(tail, minlength=places) / len(tail)
            distance = 0.5 * float(np.abs(shares - other).sum())
            noise = float(np.sqrt(task.classes / len(tail)))
            if distance > max(0.35, noise) and ordered < 0.7:
                yield _order(
                    f"rows are ordered by class, so validation_split takes other classes than "
                    f"training sees (distance {distance:.2f})",
                    "Shuffle x and y together before fit: validation_split takes the last rows.",
                    0.97,
                    {"class_distance": distance, "order": ordered},
                )
                return
        if not case.shuffled and expected >= 8 and ordered < 0.4:
            firm = ordered < 0.2 and n > case.batch_size
            yield _order(
                f"classes come in blocks ({changes:.0f} changes, {expected:.0f} in random order) "
                "and are not shuffled",
                "Set shuffle=True, or shuffle the rows (dataset.shuffle(len(x))).",
                0.95 if firm else 0.6,
                {"changes": changes, "expected_changes": expected},
            )
        return
    y = case.train.y
    if task.kind == "regression" and isinstance(y, np.ndarray) and n >= 24:
        column = y.reshape(n, -1)[:, 0].astype("float64")
        rank = np.argsort(np.argsort(column))
        correlation = abs(float(np.corrcoef(rank, np.arange(n))[0, 1])) if np.ptp(column) else 0.0
        steps = np.abs(np.diff(column)).mean() / max(float(np.ptp(column)), 1e-12)
        if correlation > 0.9 and steps * n < 8:
            if case.val_kind == "split" or not case.shuffled:
                yield _order(
                    f"targets are sorted (rank correlation {correlation:.2f})",
                    "Shuffle x and y together before fit.",
                    0.75 if case.val_kind == "split" else 0.6,
                    {"rank_correlation": correlation},
                )


def _order(seen: str, advice: str, weight: float, evidence: dict[str, float]) -> Suspect:
    return Suspect(
        "missing_shuffle",
        weight,
        seen,
        "rows in random order",
        advice,
        where="fit(shuffle=...)",
        firm=weight >= 0.9,
        check="order",
        evidence=evidence,
    )
