"""Pictures of images: where pixels stand, maps that find what decides, PNG files, the deletion test on chest X-rays."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from tests.explain.conftest import module_predictor, trained
from torch import Tensor, nn

from superpose import QuantumLayer
from superpose.datasets import Table
from superpose.datasets.readers import table_from_frame
from superpose.errors import ExplanationError
from superpose.explain import Explain, Picture, draw_pictures, explain_rows, pixel_maps
from superpose.explain.pictures import KINDS, image_grid, pixel_deletion_areas
from superpose.explain.pictures.maps import PixelMaps
from superpose.explain.shot_noise import shot_noise
from superpose.learning import Predictor, read_model
from superpose.learning.calibration.maps import Isotonic
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.model_file import encode_model
from superpose.learning.modules import model as model_module
from superpose.learning.modules.model import ModuleModel
from superpose.learning.modules.network import ModuleNetwork

X_RAYS = Path(__file__).resolve().parents[3] / "shared" / "data" / "health" / "pneumoniamnist" / "pneumoniamnist.npz"
needs_x_rays = pytest.mark.skipif(not X_RAYS.is_file(), reason="the shared pneumonia images are not on this machine")
SIDE = 12


class Convolutional(nn.Module):
    """Two convolutions, a circuit, and a linear layer."""

    def __init__(self, side: int = SIDE, n_classes: int = 2) -> None:
        super().__init__()
        self.side = side
        self.first, self.second = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.pool, self.entry = nn.MaxPool2d(2), nn.Linear(8 * (side // 2) ** 2, 3)
        self.circuit, self.exit = QuantumLayer(3, layers=1, seed=1), nn.Linear(3, n_classes)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, side * side) -> (batch, n_classes)."""
        image = rows.reshape(-1, 1, self.side, self.side)
        seen = torch.relu_(self.second(self.pool(torch.relu_(self.first(image)))))
        return self.exit(self.circuit(torch.tanh(self.entry(seen.flatten(1)))))


def frame_of(images: NDArray[Any], labels: NDArray[Any], names: str) -> pd.DataFrame:
    side = images.shape[1]
    columns = [f"grey_{r:02d}_{c:02d}" if names == "image" else f"x_{r * side + c}" for r, c in np.ndindex(side, side)]
    return pd.DataFrame(images.reshape(len(images), -1), columns=columns).assign(kind=labels)


def fitted(module: nn.Module, rows: Any, labels: Any, *, epochs: int) -> nn.Module:
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    inputs, targets = torch.tensor(np.asarray(rows), dtype=torch.float32), torch.tensor(np.asarray(labels))
    for _ in range(epochs):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), targets).backward()
        optimizer.step()
    return module


@pytest.fixture(scope="module")
def squares() -> tuple[Table, NDArray[Any], NDArray[Any]]:
    """Noise with a bright square somewhere in the upper half (class up) or the lower one; its corner is known."""
    rng = np.random.default_rng(2)
    images = 0.15 * rng.random((160, SIDE, SIDE))
    labels = np.arange(160) % 2
    corners = np.column_stack([rng.integers(0, 3, 160) + (SIDE // 2) * labels, rng.integers(0, SIDE - 3, 160)])
    for image, (row, column) in zip(images, corners, strict=True):
        image[row : row + 3, column : column + 3] = 1.0
    frame = frame_of(images, np.where(labels == 0, "up", "down"), "image")
    return table_from_frame(frame, name="squares", target="kind"), labels, corners


@pytest.fixture(scope="module")
def seeing(squares: tuple[Table, NDArray[Any], NDArray[Any]]) -> Predictor:
    table, labels, _ = squares
    torch.manual_seed(0)
    order = list(table.class_counts)
    targets = np.array([order.index("up" if label == 0 else "down") for label in labels])
    module = fitted(Convolutional(), table.features.to_numpy(), targets, epochs=60)
    predictor = module_predictor(module, table, scaling="none")
    found = predictor.predict_proba(table.features).argmax(axis=1)
    assert (found == targets).mean() > 0.95
    return predictor


@pytest.mark.parametrize("kind", KINDS)
def test_maps_find_the_square_that_decides(
    kind: str, seeing: Predictor, squares: tuple[Table, NDArray[Any], NDArray[Any]]
) -> None:
    """The square of 3 x 3 is a sixteenth of the image; the strongest pixel is in it or near it on most images."""
    table, _, corners = squares
    found = pixel_maps(seeing, table.features.iloc[:40], kind=kind)
    assert (found.layer is None) == (kind != "class_activation")
    assert found.maps.shape == (40, SIDE, SIDE)
    strongest = np.column_stack(np.unravel_index(found.maps.reshape(40, -1).argmax(axis=1), (SIDE, SIDE)))
    away = np.maximum(corners[:40] - strongest, strongest - corners[:40] - 2).max(axis=1)
    assert (away <= 2).mean() > 0.8
    assert stats.binomtest(int((away <= 2).sum()), 40, 49 / 144, alternative="greater").pvalue < 1e-6


def test_occlusion_sees_through_the_plateaus_of_isotonic_calibration(
    seeing: Predictor, squares: tuple[Table, NDArray[Any], NDArray[Any]]
) -> None:
    """Of 40 digits 39 had blank maps: where the curve is level nothing falls."""
    rows = squares[0].features.iloc[:12]
    steps = Isotonic(((np.array([0.1, 0.4, 0.6, 0.9]), np.array([0.01, 0.01, 0.99, 0.99])),))
    answering = Predictor(read_model(encode_model(seeing.model, None, Safeguards(calibration=steps))[0]))
    found, plain = (pixel_maps(one, rows, kind="occlusion") for one in (answering, seeing))
    np.testing.assert_allclose(found.maps, plain.maps, atol=1e-12)
    assert found.probabilities.max() == 0.99 != plain.probabilities.max()  # it answers with those
    orders = [np.argsort(-one.maps.reshape(len(rows), -1), axis=1) for one in (found, plain)]
    areas = [pixel_deletion_areas(one, rows, found, orders) for one in (answering, seeing)]
    np.testing.assert_allclose(areas[0], areas[1], atol=1e-9)


def test_what_is_taken_by_default_depends_on_the_model(seeing: Predictor, predictor: Predictor) -> None:
    row = np.zeros((1, SIDE * SIDE))
    assert pixel_maps(seeing, row).kind == "class_activation"
    linear = module_predictor(nn.Linear(SIDE * SIDE, 2), _blank("x"))
    assert pixel_maps(linear, row).kind == "attribution"
    with pytest.raises(ExplanationError, match="no convolution over a plane"):
        pixel_maps(linear, row, kind="class_activation")
    with pytest.raises(ExplanationError, match="No kind of picture 'heat'"):
        pixel_maps(seeing, row, kind="heat")
    with pytest.raises(ExplanationError, match="its classes are"):
        pixel_maps(seeing, row, of_class="left")
    with pytest.raises(ExplanationError, match=r"30 columns are no square image.*leave the picture out \(--png"):
        pixel_maps(predictor, np.zeros((1, 30)))


def _blank(names: str) -> Table:
    rng = np.random.default_rng(0)
    images = rng.random((20, SIDE, SIDE))
    return table_from_frame(frame_of(images, np.array(["a", "b"] * 10), names), name="blank", target="kind")


def test_class_activations_are_those_of_the_formula(
    seeing: Predictor, squares: tuple[Table, NDArray[Any], NDArray[Any]]
) -> None:
    """By hand, from the module's arrays: ReLU of the channels weighed by mean gradients of the class's logit lead."""
    table = squares[0]
    rows = table.features.iloc[:4]
    module: Any = seeing.model
    twin = Convolutional()
    twin.load_state_dict({n: torch.tensor(module.module.arrays[n]) for n in twin.state_dict()})
    inputs = torch.tensor(rows.to_numpy(), dtype=torch.float32).reshape(-1, 1, SIDE, SIDE)
    active = twin.second(twin.pool(torch.relu(twin.first(inputs))))
    scores = twin.exit(twin.circuit(torch.tanh(twin.entry(torch.relu(active).flatten(1)))))
    lead = scores.max(dim=1).values - scores.min(dim=1).values
    (slopes,) = torch.autograd.grad(lead.sum(), active)
    weighed = torch.relu((slopes.mean(dim=(2, 3), keepdim=True) * active).sum(dim=1, keepdim=True))
    expected = nn.functional.interpolate(weighed, (SIDE, SIDE), mode="bilinear")[:, 0].detach().numpy()
    found = pixel_maps(seeing, rows)
    assert expected.max() > 0.0
    np.testing.assert_allclose(found.maps, expected, atol=1e-5 * expected.max())


class Looking(nn.Module):
    """Steps over a picture, whose cells are summed: class 1 is where there is much of them."""

    def __init__(self, side: int, view: tuple[int, ...], *steps: nn.Module) -> None:
        super().__init__()
        self.side, self.view, self.steps = side, view, nn.Sequential(*steps)
        for step in steps:
            if isinstance(step, nn.Conv2d):  # each cell takes over the middle of what it sees
                nn.init.constant_(step.weight, 0.01)
                nn.init.zeros_(cast(Tensor, step.bias))
                with torch.no_grad():
                    step.weight[:, :, step.kernel_size[0] // 2, step.kernel_size[1] // 2] = 1.0

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, side * side) -> (batch, 2)."""
        seen = self.steps(rows.reshape(-1, *self.view)).flatten(1).sum(dim=1, keepdim=True)
        return torch.cat([-seen, seen], dim=1)


class Turned(nn.Module):
    def forward(self, picture: Tensor) -> Tensor:
        return picture.transpose(2, 3)


@pytest.mark.parametrize(
    ("steps", "spots"),
    [
        ((nn.Conv2d(1, 1, 3), nn.ReLU(), nn.Conv2d(1, 1, 3)), [(2, 9), (9, 2), (5, 5), (2, 2), (9, 9)]),
        ((nn.Conv2d(1, 1, 3, stride=2),), [(1, 9), (9, 1), (5, 3), (9, 9)]),
        ((nn.ZeroPad2d((2, 0, 0, 2)), nn.Conv2d(1, 1, 3)), [(2, 9), (9, 2), (5, 5)]),
        ((nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Conv2d(1, 1, 3, padding=1)), [(0, 11), (11, 0), (5, 6)]),
    ],
    ids=["without padding", "stride", "padding on one side", "padding"],
)
def test_class_activations_stand_where_their_cells_look(steps: tuple[nn.Module, ...], spots: list[Any]) -> None:
    """A plane without padding is smaller than the picture by its edges; drawn over all of it, a spot moved outwards."""
    seeing = module_predictor(Looking(SIDE, (1, SIDE, SIDE), *steps), _blank("image"), scaling="none")
    images = np.zeros((len(spots), SIDE, SIDE))
    images[np.arange(len(spots)), *np.transpose(spots)] = 1.0
    found = pixel_maps(seeing, images.reshape(len(spots), -1), of_class="b")
    assert found.kind == "class_activation"
    strongest = found.maps.max(axis=(1, 2))
    np.testing.assert_allclose(found.maps[np.arange(len(spots)), *np.transpose(spots)], strongest)
    assert (found.maps.mean(axis=(1, 2)) < 0.2 * strongest).all()  # beyond the middles at the edges maps are level


@pytest.mark.parametrize(
    ("view", "steps"),
    [
        ((4, SIDE // 2, SIDE // 2), (nn.Conv2d(4, 1, 1),)),
        ((1, SIDE // 2, 2 * SIDE), (nn.Conv2d(1, 1, 1),)),
        ((1, SIDE, SIDE), (Turned(), nn.Conv2d(1, 1, 3, padding=1))),
    ],
    ids=["folded", "other shape", "turned"],
)
def test_planes_that_do_not_lie_on_the_picture_are_not_drawn_on_it(
    view: tuple[int, ...], steps: tuple[nn.Module, ...]
) -> None:
    seeing = module_predictor(Looking(SIDE, view, *steps), _blank("image"), scaling="none")
    row = np.random.default_rng(0).random((1, SIDE * SIDE))
    assert pixel_maps(seeing, row).kind == "attribution"
    with pytest.raises(ExplanationError, match="over a plane that lies on the picture"):
        pixel_maps(seeing, row, kind="class_activation")


class Averaged(nn.Module):
    """Two networks that see one half of the picture each."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList([Looking(SIDE, (1, SIDE, SIDE), nn.Conv2d(1, 1, 3, padding=1)) for _ in range(2)])
        self.register_buffer("left", (torch.arange(SIDE * SIDE) % SIDE < SIDE // 2).float())

    def forward(self, rows: Tensor) -> Tensor:
        left = cast(Tensor, self.left)
        return (self.members[0](rows * left) + self.members[1](rows * (1.0 - left))) / 2


def test_class_activations_of_an_averaged_network_are_of_all_its_members() -> None:
    """Of the last convolution in the graph alone, what the other members saw was missing."""
    seeing = module_predictor(Averaged(), _blank("image"), scaling="none")
    image = np.zeros((SIDE, SIDE))
    image[3, 2] = image[8, 9] = 1.0
    found = pixel_maps(seeing, image.reshape(1, -1), of_class="b")
    assert found.layer == "conv2d, conv2d_1"
    (one,) = found.maps
    assert one.max() > 0.0
    assert (one[3, 2], one[8, 9]) == pytest.approx((one.max(), one.max()))


def test_large_networks_take_few_pictures_at_once_to_the_same_numbers(
    seeing: Predictor, squares: tuple[Table, NDArray[Any], NDArray[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is kept for gradients no more than allowed is there at once, and work whose client goes ends between."""
    rows, model = squares[0].features.iloc[:11], cast(ModuleModel, seeing.model)
    activations, noise = pixel_maps(seeing, rows).maps, shot_noise(seeing, rows, 100)
    of_a_row = ModuleNetwork(model.module, model.loss).eval().bytes_of_a_row()
    monkeypatch.setattr(model_module, "_GRAPH_BYTES", 4 * of_a_row)
    again = Predictor.load(encode_model(model)[0])
    sizes: list[int] = []
    tapped = ModuleModel.tapped

    def telling(self: ModuleModel, encoded: Any, names: Any) -> Any:
        sizes.append(len(encoded))
        return tapped(self, encoded, names)

    monkeypatch.setattr(ModuleModel, "tapped", telling)
    np.testing.assert_allclose(pixel_maps(again, rows).maps, activations, atol=1e-5 * activations.max())
    assert sizes[-3:] == [4, 4, 3]
    few = shot_noise(again, rows, 100)
    assert sizes[-3:] == [4, 4, 3]
    flips = [[row.flip_probability for row in told.rows] for told in (few, noise)]
    np.testing.assert_allclose(flips[0], flips[1], rtol=1e-3, atol=1e-9)

    class Gone(Exception):
        """The client's."""

    looks = iter([None, Gone()])

    def look() -> None:
        if (said := next(looks)) is not None:
            raise said

    sizes.clear()
    with pytest.raises(Gone):
        shot_noise(again, rows, 100, look)
    assert sizes == [4]


def test_pixels_stand_where_their_names_or_their_order_say() -> None:
    table = _blank("image")
    shuffled = table_from_frame(
        pd.concat([table.features.iloc[:, ::-1], pd.Series(["a", "b"] * 10, name="kind")], axis=1),
        name="blank",
        target="kind",
    )
    for one, given in ((table, None), (_blank("x"), None), (_blank("x"), (SIDE, SIDE)), (shuffled, None)):
        model = module_predictor(nn.Linear(SIDE * SIDE, 2), one)
        grid = image_grid(model.model.preprocessor, given)
        pixels = grid.pixels(model.encode(one.features))
        np.testing.assert_allclose(pixels[:, 0].reshape(20, -1), table.features.to_numpy(), atol=1e-12)
    with pytest.raises(ExplanationError, match="12 x 12 pixels, not 9 x 16"):
        image_grid(module_predictor(nn.Linear(144, 2), table).model.preprocessor, (9, 16))
    assert image_grid(module_predictor(nn.Linear(144, 2), _blank("x")).model.preprocessor, (9, 16)).shape == (9, 16)
    cut = table_from_frame(table.features.iloc[:, 1:].assign(kind=["a", "b"] * 10), name="cut", target="kind")
    with pytest.raises(ExplanationError, match="some were left out"):
        image_grid(module_predictor(nn.Linear(143, 2), cut).model.preprocessor)


@pytest.mark.parametrize("names", [("grey_0_0", "grey_0_99999999999999"), ("grey_0_0", "grey_00_00")])
def test_names_of_pixels_far_apart_or_twice_take_no_memory(names: tuple[str, str]) -> None:
    frame = pd.DataFrame(np.zeros((20, 2)), columns=list(names)).assign(kind=["a", "b"] * 10)
    table = table_from_frame(frame, name="far", target="kind")
    with pytest.raises(ExplanationError, match="not all of an image, or some twice"):
        image_grid(module_predictor(nn.Linear(2, 2), table).model.preprocessor)


def test_a_label_without_letters_in_the_font_is_drawn_without_a_warning() -> None:
    pytest.importorskip("matplotlib", reason="draws them")
    maps = PixelMaps("attribution", ("肺炎",), np.array([0.9]), np.full((1, 2, 2), 0.1), np.zeros((1, 1, 2, 2)))
    assert len(draw_pictures(maps)) == 1  # warnings are errors here


def test_png_files_are_small_whole_and_the_same_again(
    seeing: Predictor, squares: tuple[Table, NDArray[Any], NDArray[Any]]
) -> None:
    image = pytest.importorskip("PIL.Image", reason="reads the pictures again")
    pytest.importorskip("matplotlib", reason="draws them")
    rows = squares[0].features.iloc[:2]
    found = pixel_maps(seeing, rows)
    first = draw_pictures(found)
    assert first == draw_pictures(found)
    assert first[0] != first[1]
    for content in first:
        assert len(content) < 200_000
        with image.open(io.BytesIO(content)) as picture:
            assert picture.format == "PNG"
            assert picture.size == (680, 330)
            assert np.asarray(picture.convert("RGB")).std() > 10  # something is drawn
    told = explain_rows(seeing, rows, Explain(method="occlusion", picture=Picture("occlusion")))
    assert {row["picture"]["kind"] for row in told["rows"]} == {"occlusion"}
    with pytest.raises(ExplanationError, match="made for 20 rows"):
        explain_rows(seeing, squares[0].features.iloc[:21], Explain(method="occlusion", picture=Picture()))


def test_images_are_drawn_equally_bright_in_whatever_units_their_pixels_are() -> None:
    pytest.importorskip("matplotlib", reason="draws them")
    shares = np.random.default_rng(5).integers(0, 17, (1, 1, 8, 8)) / 16
    shares[0, 0, 3, 3] = 1.0
    drawn = {
        white: draw_pictures(
            PixelMaps("attribution", ("three",), np.array([0.9]), np.full((1, 8, 8), 0.1), white * shares)
        )
        for white in (1.0, 16.0, 255.0)  # 16 is white in scikit-learn's digits
    }
    assert drawn[16.0] == drawn[1.0] == drawn[255.0]


@pytest.mark.slow
@needs_x_rays
def test_deleting_what_maps_show_beats_deleting_at_random_on_chest_x_rays(tmp_path: Path) -> None:
    """One-sided sign tests over 40 test images, against the mean of three random orders each."""
    arrays = np.load(X_RAYS)
    labels = arrays["train_labels"].reshape(-1)
    chosen = np.concatenate([np.flatnonzero(labels == label)[:150] for label in (0, 1)])
    images = arrays["train_images"][chosen].reshape(300, 14, 2, 14, 2).mean(axis=(2, 4)) / 255.0
    names = np.array(["normal", "pneumonia"])
    table = table_from_frame(frame_of(images, names[labels[chosen]], "image"), name="x-rays", target="kind")
    rows = (arrays["test_images"][:40].reshape(40, 14, 2, 14, 2).mean(axis=(2, 4)) / 255.0).reshape(40, -1)
    predictor = trained(table, tmp_path)
    rng = np.random.default_rng(4)
    by_chance = [rng.permuted(np.tile(np.arange(196), (40, 1)), axis=1) for _ in range(3)]
    for kind, level in (("attribution", 0.001), ("occlusion", 0.05)):
        found = pixel_maps(predictor, rows, kind=kind)
        by_map = np.argsort(-found.maps.reshape(40, -1), axis=1, kind="stable")
        areas = pixel_deletion_areas(predictor, rows, found, [by_map, *by_chance])
        wins = int(np.sum(areas[0] < areas[1:].mean(axis=0)))
        assert stats.binomtest(wins, 40, 0.5, alternative="greater").pvalue < level, (kind, wins)
