"""The model card: what the folder holds, what it was made from, how good it is, its limits."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kcnn.serving._servable import Servable

__all__ = ["make_card", "write_assets", "write_card"]

SCHEMA = 1  # of card.json; a change that readers must know about raises it


def make_card(
    servable: Servable, *, name: str, facts: Mapping[str, Any], named: bool
) -> dict[str, Any]:
    """Everything known before the formats are written; `facts` come from whoever trained.

    Of `facts`, "data", "metrics" and "command" have their places in the card; "limits" are added
    to those that follow from the model; anything else stands under "more".
    """
    placed = ("data", "metrics", "command", "limits")
    return {
        "schema": SCHEMA,
        "name": name,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "model": {
            "name": servable.model.name,
            "parameters": int(servable.model.count_params()),
            "multi_label": servable.output.multi_label,
        },
        "class_names": list(servable.class_names),
        "image_shape": list(servable.image_shape),
        "preprocessing": servable.preprocessing.get_config(),
        "preprocessing_fingerprint": servable.preprocessing.fingerprint,
        "data": facts.get("data"),
        "metrics": facts.get("metrics"),
        "formats": {},
        "versions": _versions(),
        "command": facts.get("command"),
        "limits": [*_limits(servable, named=named, facts=facts), *facts.get("limits", ())],
        "more": {key: value for key, value in facts.items() if key not in placed},
    }


def write_assets(assets: Path, card: Mapping[str, Any]) -> None:
    """class_names.txt and the card; the folder is made."""
    assets.mkdir(parents=True, exist_ok=True)
    names = "".join(f"{name}\n" for name in card["class_names"])
    (assets / "class_names.txt").write_text(names, encoding="utf-8")
    write_card(assets, card)


def write_card(assets: Path, card: Mapping[str, Any]) -> None:
    """card.json for programs, card.md for people."""
    text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    (assets / "card.json").write_text(text + "\n", encoding="utf-8")
    (assets / "card.md").write_text("\n".join(_lines(json.loads(text))) + "\n", encoding="utf-8")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("kcnn", "keras", "tensorflow", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout, or built under another name
            found[package] = "unknown"
    return found


def _limits(servable: Servable, *, named: bool, facts: Mapping[str, Any]) -> list[str]:
    """What follows from the model itself."""
    height, width, channels = servable.image_shape
    limits = [
        "It answers every picture with one of its classes; it does not say that a picture shows "
        "none of them."
        if not servable.output.multi_label
        else "Every class has a probability of its own; which ones count as shown is left to a "
        "threshold of yours."
    ]
    if height is not None:
        limits.append(
            f"It sees {height} x {width} pixels in {channels} channel{'s'[: channels != 1]}; finer "
            "detail is lost."
        )
    if channels not in (1, 3):
        limits.append(f"No serving_bytes: encoded pictures do not have {channels} channels.")
    if not named:
        limits.append("Class names were not given; numbers stand in their place.")
    if not facts.get("metrics"):
        limits.append("No metrics were given; how often it is right is not known here.")
    if not facts.get("data"):
        limits.append("The data it was trained on are not recorded here.")
    return limits


def _plain(value: Any) -> Any:
    """NumPy numbers and arrays as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"export: {value!r} in the model card's facts is not JSON.")


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
