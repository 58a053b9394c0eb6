"""A pretrained backbone in the recipe: features once, a new head, the whole model at the end."""

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

import kcnn.recipe.transfer
from kcnn.data import load
from kcnn.preprocessing import Preprocessing
from kcnn.recipe import Display, RecipeError, Settings
from kcnn.recipe.checkpoint import Checkpoint
from kcnn.recipe.context import Context
from kcnn.recipe.fine_tuning import best_regime, fine_tune, fine_tuned_model
from kcnn.recipe.long_run import LongRun, run_folder, train_long
from kcnn.recipe.training import Length
from kcnn.recipe.training_data import ImageData, looked_at_once
from kcnn.recipe.transfer import FeatureData, Transfer

cli = pytest.importorskip("kcnn_cli", reason="the command needs `pip install -e .`")


def backbone_for(side=8, channels=1, filters=24, flat=False):
    keras.utils.set_random_seed(5)
    inputs = keras.Input((side, side, channels))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(inputs)
    x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
    x = keras.layers.Conv2D(2 * filters, 3, strides=2, activation="relu")(x)
    x = keras.layers.Flatten()(x) if flat else x
    return keras.Model(inputs, x, name="body")


@pytest.fixture(scope="module")
def digits():
    return load("digits", seed=0, max_images=300)


def features_of(digits, folder, augment="none", **options):
    settings = Settings(budget="quick", augment=augment)
    transfer = Transfer(backbone_for(), digits)
    images = ImageData(digits, augment=augment)
    return FeatureData(transfer, images, settings, folder, **options), transfer


def test_features_are_the_backbones_and_computed_once(digits, tmp_path, monkeypatch):
    data, transfer = features_of(digits, tmp_path)
    x, y = next(iter(data.val()))
    pooled = transfer.backbone.predict(digits.val.x.astype("float32"), verbose=0).mean(axis=(1, 2))
    np.testing.assert_allclose(x[: len(pooled)], pooled, atol=1e-5)
    np.testing.assert_array_equal(y, digits.val.y)

    def never(*args, **kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr(kcnn.recipe.transfer, "cache_features", never)
    again, _ = features_of(digits, tmp_path)  # a resumed run
    first = [np.asarray(b[0]) for d in (data, again) for b in d.train(16, purpose="p").take(2)]
    np.testing.assert_array_equal(first[:2], first[2:])


def test_a_training_goes_on_with_the_batches_it_would_have_had(digits, tmp_path):
    data, _ = features_of(digits, tmp_path)
    whole = [np.asarray(y) for _, y in data.train(32, purpose="refine 0").take(12)]
    rest = [np.asarray(y) for _, y in data.train(32, purpose="refine 0", skip=5).take(7)]
    np.testing.assert_array_equal(whole[5:], rest)


def test_augmented_images_are_seen_in_several_views(digits, tmp_path):
    data, transfer = features_of(digits, tmp_path, augment="crop")
    images = len(digits.train)
    kept = data._kept()
    assert len(kept["train_x"]) == 4 * images
    whole = transfer.backbone.predict(digits.train.x.astype("float32"), verbose=0)
    np.testing.assert_allclose(kept["train_x"][:images], whole.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_array_equal(kept["train_y"][:images], kept["train_y"][images : 2 * images])
    assert not np.allclose(kept["train_x"][:images], kept["train_x"][images : 2 * images])


def test_a_short_time_has_fewer_views(digits, tmp_path):
    data, _ = features_of(digits, tmp_path, augment="crop", left=lambda: 0.0)
    assert len(data._kept()["train_x"]) == len(digits.train)


def test_mixed_views_come_after_the_images_and_labels_as_they_are(digits, tmp_path):
    data, _ = features_of(digits, tmp_path, augment="mixup")
    labels, images = data._kept()["train_y"], len(digits.train)
    np.testing.assert_array_equal(labels[:images], np.eye(10)[digits.train.y])
    assert ((labels[images:] > 0).sum(axis=1) > 1).any()


def test_the_sample_is_spread_over_the_classes(digits, tmp_path):
    data, _ = features_of(digits, tmp_path)
    _, labels = data.sample(20, seed=1)
    assert np.bincount(labels).tolist() == [2] * 10


def test_the_whole_model_answers_as_the_head_does_on_features(digits):
    transfer = Transfer(backbone_for(), digits)
    head = transfer.head({"dropout": 0.2})
    head.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in head.get_weights()])
    images = digits.test.x[:7].astype("float32")
    pooled = transfer.backbone.predict(images, verbose=0).mean(axis=(1, 2))
    whole = transfer.with_head(head)
    np.testing.assert_allclose(
        whole.predict(images, verbose=0), head.predict(pooled, verbose=0), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("shape", [(16, 1), (8, 3)])
def test_a_backbone_for_other_images_is_refused(digits, shape):
    with pytest.raises(RecipeError, match=r"takes images of .*; the data have \(8, 8, 1\)"):
        Transfer(backbone_for(*shape), digits)


def test_gray_arrays_are_shown_to_a_backbone_for_colours(digits):
    data = load((digits.train.x, digits.train.y), preprocessing=Preprocessing(16))
    assert data.image_shape == (16, 16, 3)
    assert digits.train.x.max() >= data.train.x.max() > 200
    for channel in (1, 2):
        np.testing.assert_array_equal(data.train.x[..., channel], data.train.x[..., 0])


def test_large_images_are_looked_at_in_small_batches():
    assert looked_at_once((8, 8, 1)) == 256
    assert looked_at_once((224, 224, 3)) == 8


def test_a_backbone_in_a_file_goes_through_all_steps(tmp_path):
    backbone_for(flat=True).save(tmp_path / "body.keras")
    out = tmp_path / "run"
    result = CliRunner().invoke(
        cli.main,
        ["recipe", "--pretrained", str(tmp_path / "body.keras"), "--budget", "quick"]
        + ["--max-images", "600", "--out", str(out)],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    record = json.loads((out / "result.json").read_text())
    assert record["model"]["source"].endswith("with a new head")
    assert any("are computed once" in words for words in record["chosen"])
    assert record["test"]["accuracy"] > 0.7  # random features of few images
    model = keras.models.load_model(out / "model.keras")
    assert model.input_shape == (None, 8, 8, 1)
    digits = load("digits", seed=0, max_images=600)
    predicted = model.predict(digits.test.x.astype("float32"), verbose=0).argmax(axis=1)
    assert (predicted == digits.test.y).mean() == pytest.approx(record["test"]["accuracy"])
    refined = record["steps"][4]["result"]
    assert [run["regime"] for run in refined["runs"]] == ["frozen", "fine-tuned"]
    before, after = backbone_for(flat=True).get_weights(), model.get_weights()
    kept = [any(np.array_equal(weight, other) for other in after) for weight in before]
    frozen = refined["runs"][refined["best"]]["regime"] == "frozen"
    assert all(kept) if frozen else not any(kept)
    page = (out / "report.html").read_text("utf-8")
    assert "Frozen or fine-tuned" in page
    assert refined["regimes"]["reason"] in page


def context_of(digits, folder, **settings):
    settings = {"budget": "quick", "augment": "none", **settings}
    quiet = Display(Console(quiet=True))
    asked = Settings(**settings)
    return Context(None, digits, asked, folder, display=quiet, backbone=backbone_for())


def frozen_run(context):
    """A head that was hardly trained, as the refinement leaves it."""
    hp = {"learning_rate": 0.01, "batch_size": 16, "dropout": 0.2, "weight_decay": 0.0}
    model, options = context.models.fresh(hp), {"data": context.data, "title": "t"}
    return train_long(context, 0, model, hp, Length(1, 5), regime="frozen", **options)


def test_fine_tuning_moves_the_whole_network_and_leaves_the_backbone(digits, tmp_path):
    context = context_of(digits, tmp_path)
    frozen = frozen_run(context)
    before = context.data.transfer.backbone.get_weights()
    tuned, note = fine_tune(context, context.data, [frozen])
    assert note == ""
    assert tuned.regime == "fine-tuned"
    assert tuned.val_loss < frozen.val_loss
    for a, b in zip(before, context.data.transfer.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not context.data.transfer.backbone.trainable
    weights = Checkpoint.best_weights(run_folder(tmp_path, 1), tuned.best_epoch)
    model = fine_tuned_model(context.data, tuned.hp, weights)
    x, y = digits.val.x.astype("float32"), digits.val.y
    assert model.evaluate(x, y, verbose=0)[1] == pytest.approx(tuned.val_accuracy)
    again, _ = fine_tune(context, context.data, [frozen])  # a resumed run trains nothing
    assert again == tuned


def test_fine_tuning_ends_with_the_time(digits, tmp_path):
    context = context_of(digits, tmp_path, time=8)
    context.data._kept()["seconds_per_image"] = np.array(1e-9)  # as many epochs as one likes
    tuned, _ = fine_tune(context, context.data, [frozen_run(context)])
    assert tuned.epochs < 10_000
    assert tuned.history["learning_rate"][-1] == pytest.approx(0, abs=1e-5)


def test_fine_tuning_that_does_not_fit_the_time_is_said(digits, tmp_path):
    context = context_of(digits, tmp_path, time=0.05)
    context.data._kept()["seconds_per_image"] = np.array(1.0)
    tuned, note = fine_tune(context, context.data, [frozen_run(context)])
    assert tuned is None
    assert "3 epochs of it would take about" in note


BAD_BACKBONES = [
    ("efficientnet-lite9", "efficientnet_lite"),
    ("keras.applications.MobilNet", "MobileNet"),
    ("weights/none.h5", "--model"),
    ("none.keras", "none.keras"),
]


@pytest.mark.parametrize(("pretrained", "said"), BAD_BACKBONES)
def test_backbones_that_can_not_be_had_are_a_line(pretrained, said, tmp_path):
    result = CliRunner().invoke(
        cli.main, ["recipe", "--pretrained", pretrained, "--out", str(tmp_path / "run")]
    )
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 3
    assert not (tmp_path / "run").exists()


def test_weights_that_can_not_be_downloaded_are_a_line(monkeypatch, tmp_path):
    def offline(**options):
        raise Exception("URL fetch failure on https://there: None -- no route")

    monkeypatch.setattr(keras.applications, "MobileNetV3Small", offline)
    out = tmp_path / "run"
    result = CliRunner().invoke(
        cli.main,
        ["recipe", "--pretrained", "keras.applications.MobileNetV3Small", "--out", str(out)],
    )
    assert result.exit_code == 2
    assert "can't be had: URL fetch failure" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not out.exists()


def test_a_fine_tuned_network_gives_way_to_what_is_better_by_more_than_chance():
    def scored(regime, accuracy, loss=0.5):
        return LongRun({}, 10, 100, {}, 10, accuracy, loss, regime)

    frozen, tuned = scored("frozen", 0.75), scored("fine-tuned", 0.6)
    assert best_regime(frozen, tuned, 20) is tuned  # three images of twenty are chance
    assert best_regime(frozen, tuned, 2000) is frozen
    assert best_regime(frozen, None, 20) is frozen
    assert best_regime(frozen, scored("fine-tuned", None, None), 20) is frozen
