"""State dicts from elsewhere: loaded whole or not at all, and equal to what NumPy computes."""

import keras
import numpy as np
import pytest

import kcnn
from kcnn.models import load_weights, read_tensors


def resnet_dict(depths, *, bottleneck=False, classes=5, first=64, seed=0):
    """Random weights under torchvision's names, shaped from the paper's table alone."""
    rng = np.random.default_rng(seed)
    state = {}

    def conv(name, out, into, size):
        std = np.sqrt(2 / (into * size * size))
        state[f"{name}.weight"] = rng.normal(0, std, (out, into, size, size)).astype("float32")

    def norm(name, channels):
        state[f"{name}.weight"] = rng.uniform(0.5, 1, channels).astype("float32")
        state[f"{name}.bias"] = rng.normal(0, 0.1, channels).astype("float32")
        state[f"{name}.running_mean"] = rng.normal(0, 0.1, channels).astype("float32")
        state[f"{name}.running_var"] = rng.uniform(0.5, 1.5, channels).astype("float32")
        state[f"{name}.num_batches_tracked"] = np.array(3)

    conv("conv1", first, 3, 7)
    norm("bn1", first)
    into, grow = first, 4 if bottleneck else 1
    for i, depth in enumerate(depths, 1):
        width = first * 2 ** (i - 1)
        for j in range(depth):
            name = f"layer{i}.{j}"
            sizes = [(width, into, 1), (width, width, 3), (4 * width, width, 1)]
            for k, (out, inp, size) in enumerate(
                sizes if bottleneck else [(width, into, 3), (width, width, 3)], 1
            ):
                conv(f"{name}.conv{k}", out, inp, size)
                norm(f"{name}.bn{k}", out)
            if j == 0 and (i > 1 or grow > 1):
                conv(f"{name}.downsample.0", grow * width, into, 1)
                norm(f"{name}.downsample.1", grow * width)
            into = grow * width
    state["fc.weight"] = rng.normal(0, 0.1, (classes, into)).astype("float32")
    state["fc.bias"] = rng.normal(0, 0.1, classes).astype("float32")
    return state


def numpy_resnet18(state, x):
    """torchvision's resnet18 in float64 NumPy; x is (batch, channels, h, w)."""

    def conv(name, x, stride=1, pad=1):
        w = state[f"{name}.weight"].astype("float64")
        x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        views = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
        return np.einsum("bchwij,ocij->bohw", views[:, :, ::stride, ::stride], w, optimize=True)

    def norm(name, x):
        g, b, m, v = (
            state[f"{name}.{k}"].astype("float64")[:, None, None]
            for k in ("weight", "bias", "running_mean", "running_var")
        )
        return g * (x - m) / np.sqrt(v + 1e-5) + b

    x = np.maximum(norm("bn1", conv("conv1", x, 2, 3)), 0)
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    x = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3)).max((-1, -2))[..., ::2, ::2]
    for i in range(1, 5):
        for j in range(2):
            name, stride = f"layer{i}.{j}", 2 if i > 1 and j == 0 else 1
            y = np.maximum(norm(f"{name}.bn1", conv(f"{name}.conv1", x, stride)), 0)
            y = norm(f"{name}.bn2", conv(f"{name}.conv2", y))
            if stride > 1:
                x = norm(f"{name}.downsample.1", conv(f"{name}.downsample.0", x, stride, 0))
            x = np.maximum(x + y, 0)
    return x.mean((2, 3)) @ state["fc.weight"].T.astype("float64") + state["fc.bias"]


def images(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


@pytest.fixture(scope="module")
def small_state():
    return resnet_dict((2, 2, 2, 2), first=8)


@pytest.fixture
def small_model():
    return kcnn.create_model("resnet18", classes=5, width=1 / 8, input_shape=(None, None, 3))


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_a_torchvision_state_dict_gives_the_outputs_of_numpy(tmp_path, small_state, kind):
    path = tmp_path / f"weights.{kind}"
    if kind == "npz":
        np.savez(path, **small_state)
    else:
        pytest.importorskip("safetensors", reason="safetensors is not installed")
        import safetensors.numpy

        safetensors.numpy.save_file(small_state, path)
    model = kcnn.create_model("resnet18", classes=5, width=1 / 8, input_shape=(45, 64, 3))
    report = load_weights(model, path)
    x = images(2, 45, 64, 3)
    expected = numpy_resnet18(small_state, x.transpose(0, 3, 1, 2).astype("float64"))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(model(x), expected, atol=1e-4)
    counters = [name for name in small_state if name.endswith("num_batches_tracked")]
    assert len(report.matched) == len(model.weights) == len(small_state) - len(counters)
    assert sorted(report.ignored) == sorted(counters)
    assert f"{len(report.matched)} tensors loaded (torchvision names)" in str(report)


def test_half_precision_files_load(tmp_path, small_model, small_state):
    half = {name: value.astype("float16") for name, value in small_state.items()}
    np.savez(tmp_path / "half.npz", **half)
    load_weights(small_model, tmp_path / "half.npz")
    kernel = small_model.get_layer("logits").kernel
    np.testing.assert_array_equal(kernel, half["fc.weight"].T.astype("float32"))


def broken(state, **changes):
    state = {name: value for name, value in state.items() if changes.get(name, 1) is not None}
    return {**state, **{k.replace("__", "."): v for k, v in changes.items() if v is not None}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fc.bias": None}, r"1 missing \(fc.bias\)"),
        ({"surplus": np.zeros(3)}, r"1 extra \(surplus\)"),
        ({"fc.weight": np.zeros((5, 63))}, r"fc.weight is \(5, 63\) instead of \(5, 64\)"),
        ({"bn1.running_var": None, "layer2.0.bn1.bias": None}, "2 missing"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(small_model, small_state, changes, says):
    before = small_model.get_weights()
    with pytest.raises(ValueError, match=says):
        load_weights(small_model, broken(small_state, **changes))
    for old, new in zip(before, small_model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_weights_of_another_architecture_are_refused(small_state):
    model = kcnn.create_model("resnet34", classes=5, width=1 / 8, input_shape=(32, 32, 3))
    with pytest.raises(ValueError, match=r"missing \(layer1.2.conv1.weight.*Nothing was loaded"):
        load_weights(model, small_state)
    bottleneck = resnet_dict((1, 1), bottleneck=True, first=8)
    with pytest.raises(ValueError, match=r"missing.*extra.*of another shape"):
        load_weights(model, bottleneck)


def test_skip_leaves_the_head_as_it_is(small_model, small_state):
    other = {**small_state, "fc.weight": np.zeros((1000, 64)), "fc.bias": np.zeros(1000)}
    head = small_model.get_layer("logits").get_weights()
    report = load_weights(small_model, other, skip="fc.*")
    assert report.kept == ("fc.weight", "fc.bias")
    assert {"fc.weight", "fc.bias"} <= set(report.ignored)
    np.testing.assert_array_equal(small_model.get_layer("logits").get_weights()[0], head[0])
    kernel = small_model.get_layer("stem").conv.kernel
    np.testing.assert_array_equal(kernel, small_state["conv1.weight"].transpose(2, 3, 1, 0))


def test_features_load_without_the_head(small_state):
    model = kcnn.create_model(
        "resnet18", width=1 / 8, input_shape=(32, 32, 3), include_top=False, pooling="avg"
    )
    with pytest.raises(ValueError, match=r"2 extra \(fc.weight, fc.bias\)"):
        load_weights(model, small_state)
    assert len(load_weights(model, small_state, skip="fc.*").matched) == len(model.weights)


def test_group_norm_networks_load_under_the_same_names(small_state):
    model = kcnn.create_model(
        "resnet18", classes=5, width=1 / 8, norm="group", input_shape=(32, 32, 3)
    )
    state = {k: v for k, v in small_state.items() if "running" not in k}
    assert len(load_weights(model, state).matched) == len(model.weights)


@pytest.mark.parametrize("name", ["vgg11", "alexnet"])
def test_the_first_dense_layer_is_turned_from_pytorchs_flattening(name):
    """PyTorch flattens channels, height, width; the dense layer must see the same pixels."""
    norm = "batch" if name == "vgg11" else "none"
    model = kcnn.create_model(name, classes=3, width=1 / 64, norm=norm, input_shape=(64, 64, 3))
    grid = model.get_layer("grid").size
    channels = model.get_layer("grid").output.shape[-1]
    rng = np.random.default_rng(0)
    state = {}
    if name == "vgg11":
        at = [0, 4, 8, 11, 15, 18, 22, 25]  # torchvision's vgg11_bn: features.N
        convs = [3] * 8
    else:
        at, convs = [0, 3, 6, 8, 10], [11, 5, 3, 3, 3]
    into = 3
    layers = [layer for layer in model.layers if hasattr(layer, "conv")]
    for i, size, layer in zip(at, convs, layers, strict=True):
        state[f"features.{i}.weight"] = rng.normal(size=(layer.filters, into, size, size))
        state[f"features.{i}.bias"] = rng.normal(size=layer.filters)
        into = layer.filters
        if norm == "batch":
            for key in ("weight", "bias", "running_mean", "running_var"):
                state[f"features.{i + 1}.{key}"] = rng.uniform(size=into)
    first = 0 if name == "vgg11" else 1
    hidden = model.get_layer("dense_1").units
    matrix = rng.normal(size=(hidden, channels * grid * grid)).astype("float32")
    state[f"classifier.{first}.weight"] = matrix
    state[f"classifier.{first}.bias"] = np.zeros(hidden)
    state[f"classifier.{first + 3}.weight"] = rng.normal(size=(hidden, hidden))
    state[f"classifier.{first + 3}.bias"] = np.zeros(hidden)
    state["classifier.6.weight"] = rng.normal(size=(3, hidden))
    state["classifier.6.bias"] = np.zeros(3)
    load_weights(model, state)
    maps = rng.normal(size=(2, grid, grid, channels)).astype("float32")
    dense = model.get_layer("dense_1")
    got = maps.reshape(2, -1) @ np.asarray(dense.kernel)
    np.testing.assert_allclose(got, maps.transpose(0, 3, 1, 2).reshape(2, -1) @ matrix.T, atol=1e-4)


def test_preactivation_networks_have_no_torchvision_names():
    model = kcnn.create_model("resnet50v2", width=1 / 16, input_shape=(32, 32, 3))
    with pytest.raises(ValueError, match=r"no torchvision names.*named by keras"):
        load_weights(model, {}, naming="torchvision")


def test_models_from_elsewhere_are_told_so():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="elsewhere")])
    with pytest.raises(ValueError, match=r"must be one that kcnn.create_model made"):
        load_weights(model, {"w": np.zeros(2)})


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "pt", "pth"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04broken"])
def test_damaged_files_are_named(tmp_path, suffix, content):
    if suffix == "safetensors":
        pytest.importorskip("safetensors", reason="safetensors is not installed")
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad.*cannot be read"):
        read_tensors(path)


def test_unknown_kinds_and_absent_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"weights.h5 is of no known kind.*\.safetensors"):
        read_tensors(tmp_path / "weights.h5")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_tensors(tmp_path / "weights.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([object()]))
    with pytest.raises(ValueError, match="cannot be read"):
        read_tensors(tmp_path / "objects.npz")


def torch_resnet(torch, depths, bottleneck, classes=5):
    """torchvision's ResNet written anew, with its names, for PyTorch alone."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, into, width, stride):
            super().__init__()
            out = 4 * width if bottleneck else width
            if bottleneck:
                shapes = [(into, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
            else:
                shapes = [(into, width, 3, stride), (width, out, 3, 1)]
            self.steps = len(shapes)
            for k, (a, b, size, step) in enumerate(shapes, 1):
                setattr(self, f"conv{k}", nn.Conv2d(a, b, size, step, size // 2, bias=False))
                setattr(self, f"bn{k}", nn.BatchNorm2d(b))
            self.downsample = None
            if stride > 1 or into != out:
                self.downsample = nn.Sequential(
                    nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                )

        def forward(self, x):
            y = x
            for k in range(1, self.steps + 1):
                y = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(y))
                y = torch.relu(y) if k < self.steps else y
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(64)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            into = 64
            for i, depth in enumerate(depths):
                blocks = []
                for j in range(depth):
                    blocks.append(Block(into, 64 * 2**i, 2 if i and not j else 1))
                    into = 64 * 2**i * (4 if bottleneck else 1)
                setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
            self.fc = nn.Linear(into, classes)

        def forward(self, x):
            x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
            for i in range(len(depths)):
                x = getattr(self, f"layer{i + 1}")(x)
            return self.fc(x.mean((2, 3)))

    return Net()


@pytest.mark.parametrize(
    ("name", "depths", "bottleneck"),
    [
        ("resnet18", (2, 2, 2, 2), False),
        pytest.param("resnet34", (3, 4, 6, 3), False, marks=pytest.mark.slow),
        ("resnet50", (3, 4, 6, 3), True),
    ],
)
@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_outputs_equal_pytorchs(tmp_path, name, depths, bottleneck, kind):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = torch_resnet(torch, depths, bottleneck).eval()
    net.load_state_dict(
        {k: torch.from_numpy(v) for k, v in resnet_dict(depths, bottleneck=bottleneck).items()}
    )
    path = tmp_path / f"net.{kind}"
    if kind == "pth":
        torch.save(net.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(net.state_dict(), path)
    model = kcnn.create_model(name, classes=5, input_shape=(64, 75, 3))
    load_weights(model, path)
    x = images(2, 64, 75, 3)
    with torch.no_grad():
        expected = net(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(model(x), expected, atol=1e-4, rtol=1e-4)
