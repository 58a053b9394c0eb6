"""The findings of a script as one self-contained HTML page."""

from __future__ import annotations

import html
from collections.abc import Iterable

from kcnn.callbacks.doctor._script import Visit

__all__ = ["page"]

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#222;background:#fff}h2{margin-top:2rem}article{border-left:.3rem solid #888;
padding:.2rem 1rem;margin:1rem 0;background:#f6f6f6}article.failure{border-color:#c22}
article.warning{border-color:#d90}code{font-size:.9em}small{color:#666}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}article{background:#242424}
small{color:#999}}
"""


def page(script: str, visits: Iterable[Visit]) -> str:
    """HTML with every finding of every `fit`; no script, no network."""
    text = html.escape
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        f"<title>kcnn doctor: {text(script)}</title><style>{STYLE}</style>",
        f"<h1>kcnn doctor: {text(script)}</h1>",
    ]
    for visit in visits:
        causes = ", ".join(visit.diagnosis.causes) or "healthy"
        parts.append(f"<h2>fit at line {visit.line}: {text(causes)}</h2>")
        for finding, place in zip(visit.diagnosis.findings, visit.places, strict=True):
            name = text(finding.cause or finding.check)
            parts.append(
                f"<article class='{finding.severity}'><strong>{name}</strong>"
                f" <small>{finding.severity}, <code>{text(place)}</code></small>"
                f"<p>{text(finding.seen)}. Expected: {text(finding.expected)}.</p>"
                f"<p>{text(finding.advice)}</p></article>"
            )
    return "\n".join(parts) + "</html>\n"
