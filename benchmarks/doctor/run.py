"""Examine the programs with `kcnn.callbacks.examine` and report how often it is right.

Run: python -m benchmarks.doctor.run --half tune --seconds 280
     (again and again: what is done is kept in runs/doctor/; --fresh forgets it)

When a half is complete its result is written beside this file.
"""

import argparse
import fnmatch
import json
import logging
import os
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.doctor._data import has_fashion
from benchmarks.doctor._judge import Record, figures, table
from benchmarks.doctor._registry import HALVES, PARTS, Program, programs
from benchmarks.doctor.verify import holds

HERE = Path(__file__).parent


def examine_one(one: Program, variant: str) -> Record:
    """Build the variant afresh, examine it, and say what was named.

    The run inside `examine` is the user's own: its seconds are the plain fit's, and the
    weights it ends with tell whether the program is what its entry claims.
    """
    import keras

    from kcnn.callbacks import examine

    record: Record = {"program": one.name, "variant": variant, "half": one.half, "kind": one.kind}
    faulty = variant == "faulty"
    record.update(main=list(one.main) if faulty or variant == "mended" else [], also=list(one.also))
    keras.backend.clear_session()
    case = one.build(faulty)

    class Keep(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.history = {}

        def on_epoch_end(self, epoch, logs=None):
            for name, value in (logs or {}).items():
                self.history.setdefault(name, []).append(float(value))

        def on_train_end(self, logs=None):
            self.values = [keras.ops.convert_to_numpy(v) for v in self.model.variables]

    keep = Keep()
    fit = {**case.fit, "callbacks": [*case.fit.get("callbacks", ()), keep]}
    start = time.perf_counter()
    try:
        diagnosis = examine(case.model, case.x, case.y, verbose=0, **fit)
        record["examine_s"] = round(time.perf_counter() - start, 2)
        record["causes"] = list(diagnosis.causes)
        record["unseen"] = list(diagnosis.unseen)
        record["fit_s"] = round(diagnosis.numbers["run_seconds"], 2)
        record["findings"] = [
            {"check": f.check, "cause": f.cause, "severity": f.severity, "seen": str(f.seen)[:200]}
            for f in diagnosis.findings
            if not f.ok
        ]
        for variable, value in zip(case.model.variables, keep.values, strict=True):
            variable.assign(value)
        score = one.score(case.model, case, keep.history)
        record.update(score=round(float(score), 4), holds=holds(one, variant, score))
        record["numbers"] = {
            k: v for k, v in diagnosis.numbers.items() if k not in ("history", "run_seconds")
        }
    except Exception as error:
        record.update(causes=[], error=f"{type(error).__name__}: {error}"[:500])
        record["examine_s"] = round(time.perf_counter() - start, 2)
    return record


def _say(record: Record) -> str:
    faulty = record["variant"] == "faulty"
    causes = record["causes"]
    right = bool(causes) and causes[0] in record["main"] if faulty else not causes
    near = faulty and not right and set(causes) & set(record["main"])
    ratio = f"{record['examine_s'] / record['fit_s']:4.1f}x" if record.get("fit_s") else ""
    mark = "right" if right else "near " if near else "MISS " if faulty else "ALARM"
    expected = f" (is {', '.join(record['main'])})" if faulty and not right else ""
    expected += "" if record.get("holds", True) else f" [NOT AS CLAIMED: {record['score']:.2f}]"
    return (
        f"{mark} {record['program']:46} {record['variant']:7} {record['examine_s']:5.1f} s {ratio} "
        f"{', '.join(causes) or 'nothing'}{expected} {record.get('error', '')}"
        f"{' UNSEEN: ' + record['unseen'][0] if record.get('unseen') else ''}"
    )


def _chosen(options: argparse.Namespace) -> list[tuple[Program, str]]:
    found = []
    for one in programs(options.half):
        if one.needs == "fashion" and not has_fashion():
            print(f"skip {one.name}: set KCNN_MANUAL_DIR to the Fashion-MNIST files")
            continue
        words = (one.name, *one.main)
        if options.only and not any(fnmatch.fnmatch(w, f"*{options.only}*") for w in words):
            continue
        found += [(one, v) for v in one.variants if options.variant in (None, v)]
    if options.half not in HALVES:  # in no order, so that a part of it is a sample
        found.sort(key=lambda pair: zlib.crc32(pair[0].name.encode()))
    return found


def _read(path: Path) -> dict[tuple[str, str], Record]:
    if not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text().splitlines() if line]
    return {(r["program"], r["variant"]): r for r in records}


def _fan_out(options: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "benchmarks.doctor.run", *sys.argv[1:]]
    shares = [[*command, "--jobs", "1", "--share", f"{k}/{options.jobs}"]
              for k in range(options.jobs)]  # fmt: skip
    for process in [subprocess.Popen(share) for share in shares]:
        process.wait()


def main() -> int:
    """Examine what is not yet examined, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=(*PARTS, "all"), default="tune")
    parser.add_argument("--only", default="", help="pattern (fnmatch) in a name or label")
    parser.add_argument("--variant", choices=("faulty", "mended", "healthy"))
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--share", default="0/1", help="k/n: every n-th program from the k-th on")
    parser.add_argument("--seconds", type=float, default=1e9, help="start no further one after")
    parser.add_argument(
        "--log", type=Path, help="JSONL of results (default runs/doctor/HALF.jsonl)"
    )
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument(
        "--report", action="store_true", help="examine nothing, write what is known so far"
    )
    parser.add_argument("--code", default="", help="state of the code, for the result's title")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    log = options.log or Path("runs/doctor") / f"{options.half}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    if options.fresh and options.share == "0/1":
        log.unlink(missing_ok=True)
    chosen = _chosen(options)
    start = time.monotonic()
    if options.report:
        pass
    elif options.jobs > 1:
        sys.argv = [a for a in sys.argv if a != "--fresh"]
        _fan_out(options)
    else:
        k, n = map(int, options.share.split("/"))
        done = _read(log)
        for one, variant in [c for c in chosen if (c[0].name, c[1]) not in done][k::n]:
            if time.monotonic() - start > options.seconds:
                break
            record = examine_one(one, variant)
            with log.open("a") as file:
                file.write(json.dumps(record, default=str) + "\n")
            print(_say(record), flush=True)
        if n > 1:
            return 0
    done = _read(log)
    records = [done[one.name, v] for one, v in chosen if (one.name, v) in done]
    if not records:
        print("nothing examined")
        return 1
    print(f"{len(records)} of {len(chosen)} examined", figures(records))
    whole = len(records) == len(chosen)
    if (whole or options.report) and not (options.only or options.variant):
        path = HERE / f"result_{options.half.replace('-', '_')}.md"
        part = "" if whole else f", {len(records)} of {len(chosen)} variants so far"
        part += f" (code of {options.code})" if options.code else ""
        kind = "half" if options.half in HALVES else "part"
        path.write_text(table(records, f"The doctor on the {options.half} {kind}{part}"))
        print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
