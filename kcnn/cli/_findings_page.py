"""The findings of a script in words, and as one self-contained HTML page."""

import html
from collections.abc import Iterable
from typing import Any

__all__ = ["headline", "page", "proof"]

STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;
color:#222;background:#fff}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
article{border-left:.3rem solid #888;padding:.6rem 1rem;margin:.8rem 0;background:#f5f5f5;
border-radius:.2rem}article.failure{border-color:#c22}article.warning{border-color:#d90}
article.note{border-color:#888}p{margin:.3rem 0}dl{display:grid;grid-template-columns:6rem 1fr;
gap:.2rem .8rem;margin:.4rem 0}dt{color:#666}dd{margin:0;overflow-wrap:anywhere}
code,pre{font-size:.9em}pre{overflow-x:auto}small{color:#666}.healthy{color:#186a2c}.failed{color:#b11}
summary{cursor:pointer;color:#666}table{border-collapse:collapse;font-size:.85rem}
td{padding:.1rem .8rem .1rem 0;vertical-align:top;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}article{background:#242424}
small,dt,summary{color:#a0a0a0}.healthy{color:#7fd18f}.failed{color:#ff8a80}}
"""


def page(script: str, visits: Iterable[Any]) -> str:
    """HTML with every finding of every `fit`; no script, no network."""
    from kcnn.callbacks.doctor._words import short

    text = html.escape
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>kcnn doctor: {text(script)}</title><style>{STYLE}</style></head><body>",
        f"<h1>kcnn doctor: <code>{text(script)}</code></h1>",
    ]
    found = list(visits)
    if not found:
        parts.append("<p>The script called no <code>fit</code>.</p>")
    for visit in found:
        words, healthy = headline(visit.diagnosis)
        parts.append(
            f"<h2>fit at <code>{text(short(visit.file))}:{visit.line}</code>: "
            f"<span class='{'healthy' if healthy else 'failed'}'>{text(words)}</span></h2>"
        )
        for finding, place in zip(visit.diagnosis.findings, visit.places, strict=True):
            parts += _article(finding, place)
        parts += [f"<p>Not examined: {text(why)}</p>" for why in visit.diagnosis.unseen]
    return "\n".join(parts) + "</body></html>\n"


def _article(finding: Any, place: str) -> list[str]:
    from kcnn.callbacks.causes import CAUSES

    text = html.escape
    rows = [("seen", finding.seen), ("expected", finding.expected), ("to do", finding.advice)]
    rows.append(("trial", proof(finding)))
    lines = [
        f"<article class='{finding.severity}'><strong>{text(finding.cause or finding.check)}"
        f"</strong> <small>{finding.severity}, <code>{text(place)}</code></small><dl>",
        *(f"<dt>{name}</dt><dd>{text(words)}</dd>" for name, words in rows if words),
        "</dl>",
    ]
    cause = CAUSES.get(finding.cause or "")
    if cause is not None:
        lines.append(
            f"<details><summary>what it means</summary><p>{text(cause.meaning)} {text(cause.why)}"
            f"</p><p>To make sure: {text(cause.confirm)}</p><pre>{text(cause.mend)}</pre></details>"
        )
    if finding.evidence:
        cells = (
            f"<tr><td>{text(name)}</td><td>{text(_number(value))}</td></tr>"
            for name, value in finding.evidence.items()
        )
        lines.append(
            f"<details><summary>numbers</summary><table>{''.join(cells)}</table></details>"
        )
    return [*lines, "</article>"]


def proof(finding: Any) -> str:
    """One sentence about the trial of a finding; empty where there was none."""
    told = finding.evidence
    if "before" in told and "after" in told:
        change = told.get("tried") or "this changed"
        length, run = told.get("trial_steps"), told.get("run_steps")
        for_steps = f" for {length} steps (the run: {run})" if length and run else ""
        # A shorter trial can't stand for the whole run.
        verb = "Likely" if length and run and length < run else "Confirmed"
        verb = verb if told.get("confirmed_by_trial") else "No cause"
        if told.get("by_loss"):
            words = f"the loss falls by {told['after']:.0%} of its start, by {told['before']:.0%}"
            return f"{verb}: with {change}{for_steps} {words} without."
        return (
            f"{verb}: on a copy with {change}{for_steps} the skill is {told['after']:.2f}, "
            f"{told['before']:.2f} without (0 is a constant answer, 1 is perfect)."
        )
    if told.get("confirmed_by_trial") is False:
        return "Not confirmed: no single change that was tried mends the run."
    return ""


def headline(diagnosis: Any) -> tuple[str, bool]:
    """What a diagnosis comes to in a few words, and whether that is good."""
    if diagnosis.causes:
        return ", ".join(diagnosis.causes), False
    if any(f.severity == "failure" for f in diagnosis.findings):
        return "fit fails", False
    if any(f.check == "fit" for f in diagnosis.findings):
        return "nothing found so far", False
    if any(f.check == "skill" for f in diagnosis.findings):
        return "nothing learned, no cause found", False
    if diagnosis.blind:
        return "unknown: a part of the examination did not run", False
    return "healthy" if diagnosis.complete else "healthy as far as it was examined", True


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
