"""The model card as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["card_text"]


def card_text(card: Mapping[str, Any]) -> str:
    """The card for people; nothing is computed here."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: Mapping[str, Any]) -> Iterator[str]:
    model = card["model"]
    yield f"# {card['name']}"
    yield ""
    yield (
        f"{model['name']}, {model['parameters']:,} parameters, {len(card['class_names'])} classes"
        f"{', several at once' if model['multi_label'] else ''}. Exported {card['created']}."
    )
    if card["command"]:
        yield from ("", f"    {card['command']}")
    yield from ("", "## Limits", "")
    yield from (f"- {limit}" for limit in card["limits"])
    yield from ("", "## Pictures", "")
    yield from _pairs(card["preprocessing"])
    for title in ("data", "metrics"):
        if card[title]:
            yield from ("", f"## {title.capitalize()}", "")
            yield from _pairs({k: v for k, v in card[title].items() if k != "per_class"})
    per_class = (card["metrics"] or {}).get("per_class")
    if per_class:
        yield from ("", *_table(per_class))
    if card["formats"]:
        yield from ("", "## Files", "")
        for name, entry in card["formats"].items():
            yield f"- **{name}**: " + "; ".join(f"{k} {_words(v)}" for k, v in entry.items())
    yield from ("", "## Made with", "")
    yield from _pairs(card["versions"])
    yield from ("", "## Classes", "")
    yield ", ".join(card["class_names"])


def _pairs(mapping: Mapping[str, Any]) -> Iterator[str]:
    for key, value in mapping.items():
        if value not in (None, [], {}):
            yield f"- {key}: {_words(value)}"


def _table(per_class: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    columns = list(next(iter(per_class.values())))
    yield "| class | " + " | ".join(columns) + " |"
    yield "| --- |" + " ---: |" * len(columns)
    for name, row in per_class.items():
        cells = " | ".join(_words(row[column]) for column in columns)
        yield f"| {name.replace('|', chr(92) + '|')} | {cells} |"


def _words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(inner) for inner in value)
    return str(value)
