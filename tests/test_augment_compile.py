"""What XLA compiles: few shapes, whatever the stream of batches brings; nothing in an export."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from kcnn import augment
from kcnn.augment import _compile

CHAIN = (
    augment.RandomFlip,
    augment.RandomResizedCrop,
    augment.ColorJitter,
    augment.RandomCutout,
)


def chain(**options):
    return augment.Pipeline([layer() for layer in CHAIN], seed=1, **options)


def noise(count, size=(32, 24)):
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3)).astype(np.uint8)


def test_batches_are_filled_up_by_a_quarter_at_most_to_one_of_few_sizes():
    sizes = [_compile._filled_up(batch) for batch in range(1025)]
    for batch, size in enumerate(sizes):
        assert batch <= size <= 1.25 * batch
        assert bin(size).rstrip("0").count("1") <= 3
        assert len(bin(size)[2:].rstrip("0")) <= 3
    assert len(set(sizes)) < 40
    graph = tf.function(_compile._filled_up, input_signature=[tf.TensorSpec((), tf.int32)])
    assert [int(graph(batch)) for batch in range(1025)] == sizes


@pytest.fixture
def compiled(monkeypatch):
    """The shapes of images that kernels were compiled for."""
    shapes = set()

    def fast(kernel, statics, signature):
        def run(*given):
            shapes.add(tuple(given[0].shape))
            return kernel(*given, **dict(statics))

        return run

    monkeypatch.setattr(_compile, "_fast", fast)
    monkeypatch.setattr(_compile, "_seen", set())
    return shapes


def test_every_batch_size_gives_what_the_plain_kernels_give(compiled, monkeypatch):
    for batch in (9, 11, 17):
        filled = np.asarray(chain()(noise(batch)))
        with monkeypatch.context() as patch:
            patch.setattr(_compile, "_WORTH_COMPILING", 10**9)
            plain = np.asarray(chain()(noise(batch)))
        np.testing.assert_allclose(filled, plain, atol=1e-2)
    assert {shape[0] for shape in compiled} == {10, 12, 20}


def test_only_so_many_image_sizes_are_compiled(compiled, monkeypatch):
    monkeypatch.setattr(_compile, "_SIZES", 3)
    for side in range(30, 40):
        chain()(noise(1, (side, side)))
    assert {shape[1] for shape in compiled} == {30, 31, 32}
    chain()(noise(2, (31, 31)))
    assert (2, 31, 31, 3) in compiled


def test_compiled_images_are_the_same_eagerly_in_tf_data_and_in_models():
    images = noise(9)
    want = np.asarray(chain()(images))
    rows = tf.data.Dataset.from_tensor_slices(images).batch(9)
    assert rows.element_spec.shape[0] is None
    in_data = next(iter(rows.map(chain(), num_parallel_calls=2)))
    np.testing.assert_allclose(in_data, want, atol=1e-2)
    for whole in (False, True):
        inputs = keras.Input((32, 24, 3))
        model = keras.Model(inputs, chain()(inputs))
        run = tf.function(lambda x, model=model: model(x, training=True), jit_compile=whole)
        np.testing.assert_allclose(run(images.astype(np.float32)), want, atol=1e-2)


def test_an_export_for_inference_holds_no_compiled_function_and_no_random_numbers(tmp_path):
    inputs = keras.Input((32, 24, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(chain()(inputs)))
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec((None, 32, 24, 3))]
    archive.add_endpoint("serve", lambda x: model(x, training=False), signature)
    archive.write_out(tmp_path / "saved", verbose=False)
    saved = saved_model_pb2.SavedModel.FromString(
        (tmp_path / "saved" / "saved_model.pb").read_bytes()
    )
    functions = [f for meta in saved.meta_graphs for f in meta.graph_def.library.function]
    assert functions
    assert not any(function.attr["_XlaMustCompile"].b for function in functions)
    assert not any("Random" in node.op for function in functions for node in function.node_def)
