"""Tables for the terminal."""

from rich.console import Console
from rich.table import Table

__all__ = ["print_models"]


def print_models(pattern: str) -> None:
    """Print the models that match a pattern with what they cost and where they come from."""
    from kcnn.models import list_models, model_info

    names = list_models(pattern)
    if not names:
        raise ValueError(f"No model matches {pattern!r}; `kcnn models` lists all of them.")
    table = Table(box=None, header_style="bold")
    for column in ("model", "parameters", "multiply-adds", "input", "weights, top-1"):
        table.add_column(column, justify="left" if column == "model" else "right")
    table.add_column("source", no_wrap=False)
    for name in names:
        info = model_info(name)
        table.add_row(
            name,
            f"{info.parameters:,}",
            f"{info.multiply_adds / 1e6:,.0f} M",
            "x".join(str(n) for n in info.input),
            ", ".join(f"{card.name} {card.top_1 or 0:.1%}" for card in info.pretrained),
            info.source,
        )
    Console(highlight=False).print(table)
