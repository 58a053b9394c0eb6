"""From the records of examined programs to the figures of the benchmark; no Keras here."""

from collections.abc import Iterable
from typing import Any

Record = dict[str, Any]

# Share of programs, on 69 other held-out programs and their mended twins, as re-measured in
# Keras 3: detected, a right cause named, first named is a main cause, precision, alarms.
PUBLISHED = {
    "UMLAUT as published": (1.00, 0.59, 0.06, 0.30, 0.99),
    "AutoTrainer (8 checks)": (0.75, 0.38, 0.38, 0.62, 0.39),
    "DeepDiagnosis": (0.74, 0.30, 0.26, 0.43, 0.29),
    "DeepLocalize": (0.57, 0.19, 0.17, 0.44, 0.19),
    "static rules of an hour": (0.70, 0.67, 0.65, 0.99, 0.19),
    "always the same three causes": (1.00, 0.57, 0.32, 0.28, 1.00),
}
BAR = (0.97, 0.88, 0.80, 0.85, 0.05)


def _share(hits: Iterable[bool]) -> float:
    hits = list(hits)
    return sum(hits) / len(hits) if hits else float("nan")


def wilson(hits: float, total: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share of which `hits` of `total` were seen (Wilson 1927)."""
    if not total:
        return float("nan"), float("nan")
    share, reach = hits / total, z * z / total
    middle = share + reach / 2
    half = (share * (1 - share) * reach + reach**2 / 4) ** 0.5
    return (middle - half) / (1 + reach), (middle + half) / (1 + reach)


def _quantile(values: list[float], q: float) -> float:
    values = sorted(values)
    return values[round(q * (len(values) - 1))] if values else float("nan")


def figures(records: list[Record]) -> dict[str, float]:
    """The five figures of the published table, alarms on healthy programs, and cost."""
    faulty = [r for r in records if r["variant"] == "faulty"]
    mended = [r for r in records if r["variant"] == "mended"]
    sound = [r for r in records if r["variant"] == "healthy"]
    named = [(c, r) for r in faulty for c in r["causes"]]
    ratios = [r["examine_s"] / r["fit_s"] for r in records if r.get("fit_s")]
    return {
        "faulty": len(faulty),
        "names": len(named),
        "mended": len(mended),
        "healthy": len(sound),
        "detected": _share(bool(r["causes"]) for r in faulty),
        "named": _share(bool(set(r["causes"]) & set(r["main"])) for r in faulty),
        "first": _share(bool(r["causes"]) and r["causes"][0] in r["main"] for r in faulty),
        "precision": _share(c in (*r["main"], *r["also"]) for c, r in named),
        "alarms_mended": _share(bool(r["causes"]) for r in mended),
        "alarms_healthy": _share(bool(r["causes"]) for r in sound),
        "cost_median": _quantile(ratios, 0.5),
        "cost_p90": _quantile(ratios, 0.9),
        "cost_max": max(ratios, default=float("nan")),
        "cost_over_3": sum(ratio > 3 for ratio in ratios),
        "errors": sum(bool(r.get("error")) for r in records),
        "not_as_claimed": sum(not r.get("holds", True) for r in records),
    }


def _percent(x: float) -> str:
    return "–" if x != x else f"{100 * x:.0f} %"


def _interval(share: float, total: float) -> str:
    low, high = wilson(share * total, int(total))
    return "–" if low != low else f"{100 * low:.0f}–{100 * high:.0f} %"


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(c) for c in cells) + " |"


def table(records: list[Record], title: str) -> str:
    """The result as Markdown: next to the published figures, per label, and every miss."""
    f = figures(records)
    lines = [
        f"# {title}",
        "",
        f"{f['faulty']:.0f} faulty programs, their {f['mended']:.0f} mended twins and "
        f"{f['healthy']:.0f} healthy ones. Written by `python -m benchmarks.doctor.run`.",
        "",
        "The rows under kcnn were measured on other programs (69, of which 59 real bugs) and are "
        "here for scale only.",
        "",
        _row("tool", "detected", "a right cause named", "first named is a main cause",
             "precision of names", "alarms on mended", "alarms on healthy"),
        _row(*["---"] * 7),
        _row("**kcnn**", *(_percent(f[k]) for k in (
            "detected", "named", "first", "precision", "alarms_mended", "alarms_healthy"))),
        _row("95 % interval", *(_interval(f[k], f[n]) for k, n in (
            ("detected", "faulty"), ("named", "faulty"), ("first", "faulty"),
            ("precision", "names"), ("alarms_mended", "mended"), ("alarms_healthy", "healthy")))),
        _row("the bar", *(_percent(v) for v in BAR), "–"),
        *(_row(tool, *(_percent(v) for v in row), "–") for tool, row in PUBLISHED.items()),
        "",
        f"Cost, seconds of `examine` over seconds of the plain fit inside it: median "
        f"{f['cost_median']:.1f}, 90th percentile {f['cost_p90']:.1f}, largest "
        f"{f['cost_max']:.1f}; over 3 in {f['cost_over_3']:.0f} of {len(records)}. "
        f"Programs on which `examine` raised: {f['errors']:.0f}. Programs whose fault (or whose "
        f"soundness) did not show in the examined run: {f['not_as_claimed']:.0f}.",
        "",
        _row("label", "programs", "detected", "named", "first", "alarms on mended"),
        _row(*["---"] * 6),
    ]  # fmt: skip
    for label in sorted({r["main"][0] for r in records if r["main"]}):
        g = figures([r for r in records if r["main"] and r["main"][0] == label])
        lines.append(_row(label, f"{g['faulty']:.0f}", *(_percent(g[k]) for k in (
            "detected", "named", "first", "alarms_mended"))))  # fmt: skip
    lines += ["", _row("program", "variant", "expected", "named"), _row(*["---"] * 4)]
    for r in sorted(records, key=lambda r: (r["variant"], r["program"])):
        right = r["causes"][:1] and r["causes"][0] in r["main"] if r["variant"] == "faulty" else (
            not r["causes"])  # fmt: skip
        if not right or r.get("error"):
            said = ", ".join(r["causes"]) or "nothing"
            if r.get("error"):
                said += f" ({r['error'].splitlines()[0][:80]})"
            expected = ", ".join(r["main"]) if r["variant"] == "faulty" else "nothing"
            lines.append(_row(r["program"], r["variant"], expected, said))
    return "\n".join(lines) + "\n"
