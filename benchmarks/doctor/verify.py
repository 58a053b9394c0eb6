"""Train every program and check that its fault is real and its mended twin healthy.

Run: python -m benchmarks.doctor.verify [--half tune] [--only PATTERN]

Each line: score on clean data, the bound it must keep, seconds of fit, first and
last training loss, last and lowest validation loss. Exit code 1 if one fails.
"""

import argparse
import logging
import os
import sys
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.doctor._data import has_fashion
from benchmarks.doctor._registry import PARTS, Program, programs


def train(one: Program, faulty: bool) -> tuple[float, float, dict[str, list[float]]]:
    """Score, seconds of fit and history of one variant."""
    import keras

    keras.backend.clear_session()
    case = one.build(faulty)
    start = time.perf_counter()
    history = case.model.fit(case.x, case.y, verbose=0, **case.fit).history
    seconds = time.perf_counter() - start
    return one.score(case.model, case, history), seconds, history


def holds(one: Program, variant: str, score: float) -> bool:
    """Whether the variant scores as the program's entry claims."""
    return score <= one.bad if variant == "faulty" else score >= one.good


def _losses(history: dict[str, list[float]]) -> str:
    text = f"loss {history['loss'][0]:9.3g} > {history['loss'][-1]:9.3g}"
    val = history.get("val_loss")
    return text + (f"  val {val[-1]:9.3g} (min {min(val):.3g})" if val else "")


def main() -> int:
    """Verify the chosen programs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=(*PARTS, "all"), default="all")
    parser.add_argument("--only", default="", help="part of a name or label")
    parser.add_argument("--variant", choices=("faulty", "mended", "healthy"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    wrong = total = 0
    for one in programs(options.half, options.only):
        if one.needs == "fashion" and not has_fashion():
            print(f"skip  {one.name}: set KCNN_MANUAL_DIR to the Fashion-MNIST files")
            continue
        for variant in one.variants:
            if options.variant not in (None, variant):
                continue
            score, seconds, history = train(one, variant == "faulty")
            good = holds(one, variant, score)
            bound = f"<= {one.bad:.2f}" if variant == "faulty" else f">= {one.good:.2f}"
            print(
                f"{'ok   ' if good else 'WRONG'} {one.name:46} {variant:8} {score:6.3f} {bound} "
                f"{seconds:5.1f} s  {_losses(history)}",
                flush=True,
            )
            wrong, total = wrong + (not good), total + 1
    print(f"{total} variants, {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
