"""The way out: a trained model as files that run where kcnn is not installed."""

from kcnn.serving._export import export
from kcnn.serving._output import read_output
from kcnn.serving._source import Source, load_keras_file, read_source
from kcnn.serving.formats import FORMATS

__all__ = ["FORMATS", "Source", "export", "load_keras_file", "read_output", "read_source"]
