"""One self-contained HTML page of a recipe run, drawn from what the run wrote down."""

from kcnn.report.page import write_report

__all__ = ["write_report"]
