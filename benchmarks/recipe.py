"""The recipe against what people do instead: the same data, the same time on one core.

    python benchmarks/recipe.py --images 10000 --minutes 4 --seeds 0
    python benchmarks/recipe.py --arms recipe,adam --seeds 0,1,2
    python benchmarks/recipe.py --per-class 20 --minutes 3     a pretrained backbone on few images
    python benchmarks/recipe.py --table                        what recipe.json holds

Fashion-MNIST (files in KCNN_MANUAL_DIR); a tenth of the images is held out to choose by, accuracy
is over the 10,000 test images, with --per-class over 2,000 of them (each goes through a network at
224 pixels). Each arm is a process of its own on one core (--core), one after
the other, with so many minutes from the end of its imports. `--clock cpu` counts the seconds of
that core that the process got, which is the fair clock where others use the machine, too; `wall`
is the clock on a quiet machine. Of the recipe all counts, its export and page included; of the
others the training alone. They keep the epoch with the best validation accuracy.

Arms: recipe (what `kcnn recipe --time` does by itself), and recipe_resnet20 with that network;
(a) adam: ResNet-20, Keras's default Adam and batch size; (b) mobilenet: keras.applications'
MobileNetV2 from scratch, likewise; (c) random, hyperband: KerasTuner (0.6 of the time) over the
convolutional network of its guide, then its best setting for the rest; (d) onecycle: ResNet-20
in PyTorch as fastai's fit_one_cycle trains (arm of the interpreter --torch-python); cnn: two
convolutions with Adam. With --per-class: recipe, (e) guide: the same backbone as Keras's transfer
guide has it, and scratch: the recipe's ResNet-20 without it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "recipe.json"
ARMS = ("recipe", "recipe_resnet20", "cnn", "adam", "mobilenet", "random", "hyperband", "onecycle")
FEW_ARMS = ("recipe", "guide", "scratch")
KEY = ("arm", "images", "per_class", "minutes", "clock", "seed")
TEST, TEST_FEW = 10_000, 2_000


def archive(images, per_class, seed, folder):
    """An .npz file that every arm reads: the images to train and choose by, and the test images."""
    import numpy as np

    from kcnn.data import load

    data = load("fashion_mnist", manual_dir=os.environ.get("KCNN_MANUAL_DIR"), val_fraction=0.1)
    x = np.concatenate([np.asarray(data.train.x), np.asarray(data.val.x)])
    y = np.concatenate([np.asarray(data.train.y), np.asarray(data.val.y)])
    rng = np.random.default_rng(seed)
    each = per_class or images // 10
    rows = [rng.permutation(np.flatnonzero(y == c))[:each] for c in range(10)]
    rows = rng.permutation(np.concatenate(rows))
    file = folder / "images.npz"
    np.savez(
        file,
        x=x[rows],
        y=y[rows],
        x_test=np.asarray(data.test.x)[: TEST_FEW if per_class else TEST],
        y_test=np.asarray(data.test.y)[: TEST_FEW if per_class else TEST],
    )
    return file


def measured(arm, options, seed, folder):
    """The line of one arm: run in a process of its own, pinned to a core."""
    file = folder / "images.npz"
    python = options.torch_python if arm == "onecycle" else sys.executable
    command = ["taskset", "-c", str(options.core), python, str(HERE / "_recipe_arms.py"), arm]
    command += [str(file), str(60 * options.minutes), options.clock, str(seed), str(folder)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{arm} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def kept():
    """The lines measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def keep(line):
    """Add a line, or put it in the place of that of the same setting."""
    lines = {tuple(k[key] for key in KEY): k for k in kept()}
    lines[tuple(line[key] for key in KEY)] = line
    ordered = sorted(lines, key=lambda key: (str(key[1:]), key[0]))
    RESULTS.write_text(json.dumps([lines[key] for key in ordered], indent=1) + "\n")


def table(lines):
    """Median and range over the seeds, by setting and arm."""
    settings = dict.fromkeys(tuple(k[key] for key in KEY[1:5]) for k in lines)
    for setting in settings:
        images, per_class, minutes, clock = setting
        size = f"{per_class} images a class" if per_class else f"{images} images"
        print(f"\n{size}, {minutes:g} minutes of one core ({clock} clock)")
        rows = [k for k in lines if tuple(k[key] for key in KEY[1:5]) == setting]
        by_arm = {
            arm: [k["accuracy"] for k in rows if k["arm"] == arm]
            for arm in dict.fromkeys(k["arm"] for k in rows)
        }
        for arm, found in sorted(by_arm.items(), key=lambda item: -statistics.median(item[1])):
            middle = statistics.median(found)
            said = "; ".join(dict.fromkeys(k["note"] for k in rows if k["arm"] == arm))
            print(
                f"  {arm:16s} {middle:.1%}  ({min(found):.1%} to {max(found):.1%}, "
                f"{len(found)} seed{'s' if len(found) > 1 else ''})  {said[:90]}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--per-class", type=int, help="a few images of each class instead")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--arms", help="some of them, by commas")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--again", action="store_true", help="also what is measured already")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        table(kept())
        return
    arms = options.arms.split(",") if options.arms else FEW_ARMS if options.per_class else ARMS
    for seed in map(int, options.seeds.split(",")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            archive(options.images, options.per_class, seed, folder)
            for arm in arms:
                line = {
                    "arm": arm,
                    "images": 0 if options.per_class else options.images,
                    "per_class": options.per_class or 0,
                    "minutes": options.minutes,
                    "clock": options.clock,
                    "seed": seed,
                }
                known = {tuple(k[key] for key in KEY) for k in kept()}
                if tuple(line.values()) in known and not options.again:
                    continue
                line |= measured(arm, options, seed, folder)
                print(f"{arm:16s} seed {seed}: {line['accuracy']:.1%}  {line['note']}", flush=True)
                keep(line)
    table(kept())


if __name__ == "__main__":
    main()
