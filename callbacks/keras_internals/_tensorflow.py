"""What TensorFlow does not offer in public: data sets rebuilt, the eager random state."""

from typing import Any

import keras
import numpy as np

__all__ = [
    "dataset_sources", "dataset_twin", "eager_random_state", "put_eager_random_state",
    "thinned_dataset",
]  # fmt: skip


def eager_random_state() -> Any:
    """State of the seeds that TensorFlow gives its unseeded operations; None where unknown."""
    if keras.config.backend() != "tensorflow":
        return None
    try:
        from tensorflow.python.eager import context

        return context.context()._rng.getstate()
    except (ImportError, AttributeError):  # no seed set yet, or another TensorFlow
        return None


def put_eager_random_state(state: Any) -> None:
    """Put back what `eager_random_state` gave."""
    if state is not None:
        from tensorflow.python.eager import context

        context.context()._rng.setstate(state)


def dataset_sources(dataset: Any) -> list[tuple[int, int]] | None:
    """(rows, bytes) of the arrays that a `tf.data.Dataset` holds in memory; None if unknown."""
    try:
        found, todo = [], [dataset]
        while todo:
            node = todo.pop()
            todo += node._inputs()
            tensors = getattr(node, "_tensors", None) or ()
            if tensors:
                sizes = [int(np.prod(t.shape)) * max(t.dtype.size, 1) for t in tensors]
                found.append((int(tensors[0].shape[0] if len(tensors[0].shape) else 1), sum(sizes)))
        return found
    except Exception:  # a TensorFlow without these attributes
        return None


# Operations with a state that is shared by all who read the data set, and how many inputs their
# older form takes, which has a state of its own.
_OWN_STATE = {"ShuffleDatasetV3": ("ShuffleDataset", 4), "RandomDatasetV2": ("RandomDataset", 2)}
_CACHES = ("CacheDatasetV2", "CacheDataset")


def dataset_twin(dataset: Any, *, random_maps: bool = True) -> Any:
    """A `tf.data.Dataset` of the same elements with shuffles of its own and no cache, or None.

    Its first pass gives what the next first pass of `dataset` will give. Without `random_maps`
    those that draw random numbers, and change no shape, are left out; None where there are none.
    """
    try:
        import tensorflow as tf

        graph = tf.compat.v1.GraphDef()
        made = tf.raw_ops.DatasetToGraphV2(
            input_dataset=dataset._variant_tensor, external_state_policy=1
        )
        graph.ParseFromString(made.numpy())
        cached = {}
        maps = [] if random_maps else _random_maps(graph)
        if not (random_maps or maps):
            return None
        for node in graph.node:
            if node.op in _OWN_STATE:
                node.op, inputs = _OWN_STATE[node.op]
                del node.input[inputs:]
                if node.op == "RandomDataset":
                    node.attr.pop("rerandomize_each_iteration", None)
            elif node.op in _CACHES or node.name in maps:
                cached[node.name] = node.input[0]
        for node in graph.node:
            for at, name in enumerate(node.input):
                while name.split(":")[0] in cached:
                    name = cached[name.split(":")[0]]
                node.input[at] = name
        end = next(node for node in graph.node if node.op == "_Retval").input[0]
        kept = [node for node in graph.node if node.op != "_Retval" and node.name not in cached]
        own = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
        own.node.extend(kept)

        def build():
            name = end if ":" in end else f"{end}:0"
            return tf.graph_util.import_graph_def(own, return_elements=[name], name="")[0]

        variant = tf.compat.v1.wrap_function(build, [])()
        return tf.data.experimental.from_variant(variant, dataset.element_spec)
    except Exception:  # an operation that cannot be written down, or another TensorFlow
        return None


def _random_maps(graph: Any) -> list[str]:
    """Names of the maps of a data set's graph that draw random numbers and change no shape."""
    functions = {one.signature.name: one for one in graph.library.function}
    nodes = {node.name: node for node in graph.node}

    def draws(name: str) -> bool:
        found = functions[name].node_def if name in functions else ()
        inner = [v.func.name for node in found for v in node.attr.values() if v.HasField("func")]
        return any("Random" in node.op for node in found) or any(draws(one) for one in inner)

    def alike(node: Any) -> bool:
        before = nodes[node.input[0].split(":")[0]].attr
        types = before["Toutput_types" if "Toutput_types" in before else "output_types"]
        shapes = before["output_shapes"] == node.attr["output_shapes"]
        return bool(shapes and types == node.attr["output_types"])

    maps = [node for node in graph.node if "MapDataset" in node.op and "Flat" not in node.op]
    return [node.name for node in maps if draws(node.attr["f"].func.name) and alike(node)]


def thinned_dataset(dataset: Any, rows: int, seed: int = 0) -> Any:
    """The data set over an even draw of `rows` rows of the arrays it holds, or None.

    Built from its parts: maps, filters, batches; shuffles, caches and repeats are left out.
    """
    try:
        import tensorflow as tf

        chain = [dataset]
        while inputs := chain[-1]._inputs():
            (node,) = inputs
            chain.append(node)
        source = chain.pop()
        count = int(source._tensors[0].shape[0])
        picked = np.sort(np.random.default_rng(seed).permutation(count)[:rows])
        tensors = [tf.gather(tensor, picked) for tensor in source._tensors]
        built = tf.data.Dataset.from_tensor_slices(
            tf.nest.pack_sequence_as(source.element_spec, tensors)
        )
        for node in reversed(chain):
            kind = type(node).__name__.lower()
            if any(word in kind for word in ("shuffle", "cache", "prefetch", "repeat", "options")):
                continue
            if "map" in kind and "flat" not in kind:
                built = built.map(_traced(node._map_func, node.element_spec))
            elif "filter" in kind:
                built = built.filter(_traced(node._predicate, None))
            elif "batch" in kind and hasattr(node, "_batch_size") and "padded" not in kind:
                built = built.batch(node._batch_size)
            else:
                return None
        return built
    except Exception:  # a source of another kind, or another TensorFlow
        return None


def _traced(wrapped: Any, spec: Any) -> Any:
    """The function of a map as TensorFlow has traced it: calling it prints and draws nothing."""
    import tensorflow as tf

    def call(*parts):
        out = tf.nest.flatten(wrapped.function(*tf.nest.flatten(parts)))
        return out[0] if spec is None else tf.nest.pack_sequence_as(spec, out)

    return call
