"""Where findings go: terminal, JSON lines, TensorBoard, MLflow, Weights & Biases.

A sink is anything that can be called with a `Finding`; give one to `sink=` of any instrument.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kcnn.callbacks._finding import SEVERITIES, Finding

__all__ = [
    "JsonLinesSink", "MLflowSink", "TensorBoardSink", "WandbSink", "all_sinks", "print_sink",
]  # fmt: skip

STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "failure": "bold red"}


def print_sink(finding: Finding) -> None:
    """Print a finding on the terminal, severity in color.

    >>> print_sink(kcnn.callbacks.judge_initial_loss(2.3, classes=10))
    ok initial_loss: loss 2.300 (expected: 2.303)
    """
    from rich.console import Console
    from rich.text import Text

    line = Text()
    line.append(finding.severity, style=STYLES[finding.severity])
    line.append(str(finding)[len(finding.severity) :])
    Console().print(line)


def tell(findings: Iterable[Finding], sink: Callable[[Finding], Any] | None) -> None:
    """Hand findings to a sink, if there is one."""
    if sink is not None:
        for finding in findings:
            sink(finding)


def all_sinks(*sinks: Callable[[Finding], Any]) -> Callable[[Finding], None]:
    """One sink that hands each finding to several.

    >>> heard: list = []
    >>> all_sinks(heard.append, heard.append)("one finding")
    >>> heard
    ['one finding', 'one finding']
    """

    def tell(finding: Finding) -> None:
        for sink in sinks:
            sink(finding)

    return tell


class JsonLinesSink:
    """Append each finding to a file, one JSON object a line, at once.

    Read back with `Finding.from_dict(json.loads(line))`.

    >>> sink = JsonLinesSink("findings.jsonl")
    >>> sink(kcnn.callbacks.judge_initial_loss(9.0, classes=10))
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, finding: Finding) -> None:
        line = json.dumps(finding.now().to_dict(), allow_nan=False, default=str)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


class TensorBoardSink:
    """Write each finding to the text page of TensorBoard, at its step.

    Args:
        folder: The log folder, as for `keras.callbacks.TensorBoard(log_dir=...)`.

    Raises:
        ImportError: without TensorFlow, which writes the files.

    >>> sink = TensorBoardSink("logs")
    >>> sink(kcnn.callbacks.judge_initial_loss(9.0, classes=10))
    """

    def __init__(self, folder: str | Path):
        import tensorflow as tf

        self._writer = tf.summary.create_file_writer(str(folder), filename_suffix=".kcnn")

    def __call__(self, finding: Finding) -> None:
        import tensorflow as tf

        meta = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="text")
        )
        with self._writer.as_default():
            tag, step = f"findings/{finding.id}", finding.step or finding.epoch or 0
            tf.summary.write(tag, tf.constant([str(finding)]), step=step, metadata=meta)
        self._writer.flush()


class MLflowSink:
    """Log findings to the active MLflow run: a tag with the severity, all of them as an artifact.

    Args:
        run_id: The run; the active one (or a new one) if None.

    Raises:
        ImportError: without mlflow.

    >>> doctor = kcnn.callbacks.Doctor(x, y, sink=MLflowSink())  # doctest: +SKIP
    """

    def __init__(self, run_id: str | None = None):
        import mlflow

        self._mlflow, self.run_id = mlflow, run_id
        self._told: list[dict[str, Any]] = []

    def __call__(self, finding: Finding) -> None:
        client = self._mlflow.MlflowClient()
        run = self.run_id
        if run is None:
            active = self._mlflow.active_run() or self._mlflow.start_run()
            run = active.info.run_id
        self._told.append(finding.now().to_dict())
        client.set_tag(run, f"kcnn.{finding.id}", finding.severity)
        client.log_dict(run, {"findings": self._told}, "kcnn/findings.json")


class WandbSink:
    """Log findings to a Weights & Biases run: severity over steps, words in its summary.

    Args:
        run: What `wandb.init` gave; the active run if None.

    Raises:
        ImportError: without wandb, where no run is given.
        ValueError: where no run is active.

    >>> doctor = kcnn.callbacks.Doctor(x, y, sink=WandbSink())  # doctest: +SKIP
    """

    def __init__(self, run: Any = None):
        if run is None:
            import wandb

            run = wandb.run
        if run is None:
            raise ValueError("WandbSink: no run is active; call wandb.init() or give run=.")
        self.run = run

    def __call__(self, finding: Finding) -> None:
        key = f"kcnn/{finding.id}"
        # Without `step`: the run counts its own, and refuses to go back.
        self.run.log({key: SEVERITIES.index(finding.severity)}, commit=False)
        self.run.summary[f"{key}/says"] = str(finding)
