"""The baselines: conditional GAN, augmentation, and deep over-sampling."""

import doctest
import importlib
import pickle
import pkgutil
import re
from collections import Counter
from functools import partial
from inspect import getdoc, signature
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.datasets import make_imbalance
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
)
from imblearn.utils.estimator_checks import (
    parametrize_with_checks as parametrize_with_imblearn_checks,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import (
    parametrize_with_checks as parametrize_with_sklearn_checks,
)

from gamo_sampler import GAMO2Pix, GAMOClassifier, baselines
from gamo_sampler._game import Player
from gamo_sampler._losses import cross_entropy, least_squares
from gamo_sampler.baselines import AugmentationSampler, CGANSampler, DOSClassifier
from gamo_sampler.baselines._augment import _moved
from gamo_sampler.baselines._cgan import play
from gamo_sampler.baselines._dcgan import (
    LabelPlanes,
    conv_discriminator,
    conv_generator,
)
from gamo_sampler.baselines._targets import Targets, micro_cluster_loss
from gamo_sampler.baselines._training import epochs

SAMPLERS = [
    CGANSampler(max_iter=2, random_state=0),
    AugmentationSampler(random_state=0),
    AugmentationSampler(RandomOverSampler(), random_state=0),
]
ESTIMATORS = [
    *SAMPLERS,
    DOSClassifier(max_iter=10, random_state=0),
    DOSClassifier(max_iter=12, feature_extractor="conv", random_state=0),
]
CLASSES = [CGANSampler, AugmentationSampler, DOSClassifier]
EXPECTED_FAILED_CHECKS = {
    "check_samplers_pandas_sparse": "sparse X is refused with a TypeError"
}
IMAGE = (1, 8, 8)


class TestLibraries:
    @pytest.fixture(autouse=True)
    def torch_and_numpy_untouched(self):
        """In place of the one for all tests: the checks draw from numpy's own RNG."""

    @parametrize_with_sklearn_checks(ESTIMATORS)
    def test_sklearn_checks(self, estimator, check):
        check(estimator)

    @parametrize_with_imblearn_checks(
        SAMPLERS, expected_failed_checks=lambda estimator: EXPECTED_FAILED_CHECKS
    )
    def test_imblearn_checks(self, estimator, check):
        check(estimator)

    @pytest.mark.parametrize("estimator", ESTIMATORS)
    @pytest.mark.parametrize(
        "check", [check_param_validation, check_dataframe_column_names_consistency]
    )
    def test_imblearn_checks_that_are_not_in_its_list(self, check, estimator):
        check(type(estimator).__name__, estimator)

    @pytest.mark.parametrize("cls", CLASSES)
    def test_constraints_name_every_parameter(self, cls):
        assert set(cls._parameter_constraints) == set(cls().get_params())


MODULES = pkgutil.iter_modules(baselines.__path__, "gamo_sampler.baselines.")


@pytest.mark.parametrize("name", [module.name for module in MODULES])
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("cls", CLASSES)
def test_every_parameter_is_documented_in_order_with_its_default(cls):
    section = getdoc(cls).split("\nAttributes\n")[0]
    documented = re.findall(r"^(\w+) : .*default=(.*)$", section, re.MULTILINE)
    parameters = signature(cls).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert [name for name, _ in documented] == list(defaults)
    for name, default in documented:
        value = defaults[name]
        if isinstance(value, float):
            assert float(default) == value
        else:
            assert default == (f'"{value}"' if isinstance(value, str) else str(value))


def test_the_optimiser_is_the_package_s():
    own = GAMOClassifier().get_params()
    del own["loss"]  # the GAN was published with cross-entropy
    own["max_rounds"] = GAMOClassifier()._round_limit()  # where it is "auto"
    for cls in (CGANSampler, DOSClassifier):
        shared = {k: v for k, v in cls().get_params().items() if k in own}
        assert shared == {k: own[k] for k in shared}


# Batches


def test_batches_are_shuffled_passes_of_full_batches_up_to_max_rounds():
    params = CGANSampler(batch_size=4, max_iter=5, max_rounds=8)
    passes = list(epochs(10, params, torch.Generator().manual_seed(0)))
    assert [len(batches) for batches in passes] == [3, 3, 2]
    assert {len(batch) for batches in passes for batch in batches} == {4}
    first, second = (torch.cat(batches)[:10].tolist() for batches in passes[:2])
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_batches_of_few_rows_and_without_a_limit():
    params = CGANSampler(batch_size=32, max_iter=3, max_rounds=None)
    passes = list(epochs(5, params, torch.Generator().manual_seed(0)))
    assert [[len(b) for b in batches] for batches in passes] == [[5], [5], [5]]


# Samplers


def sampler(cls, **parameters):
    few = {"max_iter": 2} if cls is CGANSampler else {}
    return cls(**few | {"random_state": 0} | parameters)


@pytest.mark.parametrize("cls", [CGANSampler, AugmentationSampler])
def test_originals_first_then_the_new_rows_by_class(table, cls):
    X, y = table
    X_out, y_out = sampler(cls, sampling_strategy={1: 20, 2: 10}).fit_resample(X, y)
    assert_array_equal(X_out[:59], X)
    assert_array_equal(y_out[:59], y)
    assert_array_equal(y_out[59:], [1] * 8 + [2] * 3)


@pytest.mark.parametrize("cls", [CGANSampler, AugmentationSampler])
def test_the_seed_decides(table, cls):
    draws = [sampler(cls, random_state=s).fit_resample(*table)[0] for s in (0, 0, 1)]
    assert_array_equal(draws[0], draws[1])
    assert (draws[0][59:] != draws[2][59:]).any()


@pytest.mark.parametrize("cls", [CGANSampler, AugmentationSampler])
def test_without_a_seed_runs_differ(table, cls):
    first, second = (
        sampler(cls, random_state=None).fit_resample(*table)[0] for _ in range(2)
    )
    assert (first[59:] != second[59:]).any()


@pytest.mark.parametrize("cls", [CGANSampler, AugmentationSampler])
def test_balanced_data_comes_back_as_a_copy(table, cls):
    X, y = table
    X, y = X[:40], np.arange(40) % 2
    X_out, y_out = sampler(cls).fit_resample(X, y)
    assert_array_equal(X_out, X)
    assert_array_equal(y_out, y)
    assert X_out is not X


@pytest.mark.parametrize("cls", [CGANSampler, AugmentationSampler])
def test_pixels_stay_in_their_range_and_type(digits, cls):
    X, y = digits
    X_out, _ = sampler(cls, image_shape=IMAGE).fit_resample(X.astype(np.uint8), y)
    assert X_out.dtype == np.uint8
    assert X_out.max() <= 16  # 0 - 1 would be 255


@pytest.mark.parametrize("cls", [CGANSampler, AugmentationSampler])
def test_frames_keep_their_types_and_integers_are_rounded(table, cls):
    X, y = table
    X = pd.DataFrame(
        {
            "x": X[:, 0],
            "small": X[:, 2].astype(np.float32),
            "count": np.where(y > 0, 99, -99) + np.arange(59) % 2,
            "flag": y > 0,
        }
    )
    X_out, y_out = sampler(cls).fit_resample(X, pd.Series(y, name="label"))
    assert_array_equal(X_out.dtypes, X.dtypes)
    pd.testing.assert_frame_equal(X_out[:59], X)
    assert Counter(y_out) == {0: 40, 1: 40, 2: 40}
    assert X_out["count"].between(-99, 100).all()


def test_integers_of_frames_become_the_nearest_not_the_lower_one():
    class Halves(CGANSampler):
        def _new_rows(self, X, y, labels):
            return np.full((len(labels), 2), 1.75)

    X = pd.DataFrame({"a": [0, 1, 2, 3], "b": [0.0, 1.0, 2.0, 3.0]})
    X_out, _ = Halves().fit_resample(X, [0, 0, 0, 1])
    assert X_out["a"].tolist() == [0, 1, 2, 3, 2, 2]
    assert X_out["b"].tolist() == [0, 1, 2, 3, 1.75, 1.75]


@pytest.mark.parametrize("cls", [CGANSampler, AugmentationSampler])
def test_columns_that_are_no_numbers_are_refused(table, cls):
    X, y = table
    frame = pd.DataFrame({"amount": X[:, 0], "grade": ["a"] * 59})
    with pytest.raises(TypeError, match=r"these columns have other types: .'grade': "):
        sampler(cls).fit_resample(frame, y)


@pytest.mark.parametrize("cls", [CGANSampler, AugmentationSampler, DOSClassifier])
def test_an_image_shape_that_does_not_fit(digits, cls):
    model = cls(image_shape=(1, 7, 9))
    fit = model.fit if cls is DOSClassifier else model.fit_resample
    with pytest.raises(ValueError, match="has 63 values, but X has 64 features"):
        fit(*digits)


# Conditional GAN


def test_generated_rows_belong_to_their_class():
    """Three classes far from each other: a linear classifier knows them apart."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [80, 40, 20])
    X = rng.normal(size=(140, 2)) + np.array([[0, 0], [9, 0], [0, 9]])[y]
    model = CGANSampler(max_rounds=400, random_state=0)
    X_out, y_out = model.fit_resample(X, y)
    assert model.n_iter_ == 80
    judge = LogisticRegression().fit(X, y)
    assert judge.score(X_out[140:], y_out[140:]) > 0.9
    assert X_out[140:].std(0).min() > 1


def test_rows_of_tables_stay_within_the_range_of_their_column(table):
    X, y = table
    X_out, _ = sampler(CGANSampler, max_iter=1).fit_resample(X, y)
    assert (X_out >= X.min(0)).all()
    assert (X_out <= X.max(0)).all()


@pytest.mark.parametrize("architecture", ["dense", "convolutional"])
def test_images_of_sizes_that_are_no_multiple_of_four(architecture):
    X = np.random.default_rng(0).uniform(3, 5, size=(30, 3 * 7 * 5))
    model = sampler(CGANSampler, architecture=architecture, image_shape=(3, 7, 5))
    X_out, _ = model.fit_resample(X, np.repeat([0, 1], [25, 5]))
    assert X_out.shape == (50, 105)
    assert X_out[30:].min() >= X.min()
    assert X_out[30:].max() <= X.max()
    z = torch.randn(40, 102, generator=torch.Generator().manual_seed(0))
    assert model.generator_(50 * z).abs().max() <= 1  # the tanh


def test_convolutional_needs_an_image_shape(table):
    X, y = table
    model = sampler(CGANSampler, architecture="convolutional")
    for n in (len(y), 2):  # balanced or not
        with pytest.raises(ValueError, match=r"'convolutional' needs .*image_shape="):
            model.fit_resample(X[:n], np.arange(2) if n == 2 else y)


def test_nothing_is_left_of_other_rows_where_there_is_nothing_to_do(table):
    model = sampler(CGANSampler)
    model.fit_resample(*table)
    assert model.n_iter_ == 2
    X = np.arange(8.0).reshape(4, 2)
    model.fit_resample(X, [0, 0, 1, 1])
    assert not any(hasattr(model, a) for a in ("n_iter_", "generator_", "device_"))


def test_networks_rest_on_the_cpu_and_pickle(table):
    model = sampler(CGANSampler)
    model.fit_resample(*table)
    for network in (model.generator_, pickle.loads(pickle.dumps(model)).generator_):
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
        assert {p.device.type for p in network.parameters()} == {"cpu"}


def test_training_that_diverges_says_so(table):
    with pytest.raises(ValueError, match=r"weights of the .* non-finite in epoch 1"):
        sampler(CGANSampler, learning_rate=1e38).fit_resample(*table)


def test_label_planes_follow_the_image():
    rows = torch.tensor([[1.0, 2, 3, 4, 5, 6, 0, 1]])
    planes = LabelPlanes((1, 2, 3))(rows)
    assert planes.tolist() == [
        [[[1, 2, 3], [4, 5, 6]], [[0, 0, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]]]
    ]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 5), (2, 1, 6), (1, 1, 1)])
@pytest.mark.parametrize("m", [1, 4])
def test_convolutional_networks_take_any_shape_and_one_row(shape, m):
    rng = torch.Generator().manual_seed(0)
    g = conv_generator(3, 2, shape, rng)
    d = conv_discriminator(2, shape, rng)
    n_features = int(np.prod(shape))
    rows = g(torch.zeros(m, 5))
    assert rows.shape == (m, n_features)
    assert d(torch.zeros(m, n_features + 2)).shape == (m, 1)


@pytest.mark.parametrize("criterion", [least_squares, cross_entropy])
def test_a_round_is_a_step_of_d_and_a_step_of_g_against_the_new_d(criterion):
    """Against the formulas, for G and D of one weight per input, by plain SGD."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    g, d = draw(3, requires_grad=True), draw(3, requires_grad=True)
    z, x = draw(4, 1), draw(4, 1)
    code = torch.eye(2)[[0, 1, 1, 0]]

    def layer(weights):
        linear = torch.nn.utils.skip_init(torch.nn.Linear, 3, 1, bias=False)
        linear.weight.data = weights.detach().clone()[None]
        return Player(linear, partial(torch.optim.SGD, lr=0.5))

    def loss(o, target):
        if criterion is least_squares:
            return ((o - target) ** 2).mean()
        return -(o if target else 1 - o).log().mean()

    def judged(rows, weights):
        return (torch.cat([rows, code], 1) @ weights).sigmoid()

    G, D = layer(g), layer(d)
    inputs = torch.cat([z, code], 1)
    play(G, D, criterion, x, inputs, 1)
    made = (inputs @ g)[:, None]
    both = (loss(judged(x, d), 1) + loss(judged(made.detach(), d), 0)) / 2
    d_new = (d - 0.5 * torch.autograd.grad(both, d)[0]).detach()
    g_new = g - 0.5 * torch.autograd.grad(loss(judged(made, d_new), 1), g)[0]
    torch.testing.assert_close(D.network.weight[0], d_new)
    torch.testing.assert_close(G.network.weight[0], g_new)


# Augmentation


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, size=(2, 5, 5)).astype(float)


def test_moved_by_whole_pixels_with_the_edge_repeated(image):
    moved = _moved(image, (1, -2), 0.0, False)
    padded = np.pad(image, ((0, 0), (1, 0), (0, 2)), mode="edge")
    assert_array_equal(moved, padded[:, :5, 2:])


def test_turned_about_the_middle_and_mirrored(image):
    turned = np.rot90(image, -1, (1, 2))
    assert_allclose(_moved(image, (0, 0), np.pi / 2, False), turned)
    assert_allclose(_moved(image, (0, 0), 0.0, True), image[:, :, ::-1])
    both = np.rot90(image[:, :, ::-1], -1, (1, 2))
    assert_allclose(_moved(image, (0, 0), np.pi / 2, True), both)


def test_without_movement_images_are_copies_from_their_own_class(digits):
    X, y = digits
    model = sampler(AugmentationSampler, max_shift=0, max_angle=0, image_shape=IMAGE)
    X_out, y_out = model.fit_resample(X, y)
    for row, label in zip(X_out[len(X) :], y_out[len(y) :], strict=True):
        assert (X[y == label] == row).all(1).any()
    copies = X_out[len(X) :][y_out[len(y) :] == 9]
    assert len(np.unique(copies, axis=0)) == 8  # each of the rows is drawn


def test_shifts_are_all_whole_numbers_up_to_the_limit():
    X = np.zeros((300, 7, 7))
    X[:, 3, 3] = 1
    model = sampler(AugmentationSampler, max_angle=0)
    X_out, _ = model.fit_resample(X, np.arange(300) > 10)
    places = np.argwhere(X_out[300:])[:, 1:]
    assert len(places) == 278
    assert {tuple(p) for p in places.tolist()} == {
        (i, j) for i in range(1, 6) for j in range(1, 6)
    }


def test_angles_reach_their_limit_and_values_stay_within_the_image(digits):
    X, y = digits
    model = sampler(AugmentationSampler, max_shift=0, image_shape=IMAGE)
    X_out, _ = model.fit_resample(X, y)
    new = X_out[len(X) :]
    assert new.min() >= 0
    assert new.max() <= 16
    bars = np.zeros((200, 9, 9))
    bars[:, 4, :] = 1
    X_out, _ = model.set_params(image_shape=None, max_angle=90).fit_resample(
        bars, np.arange(200) > 10
    )
    # Of a bar through the middle, as many stand as lie.
    upright = X_out[200:].max(2).sum(1) > X_out[200:].max(1).sum(1)
    assert 0.35 < upright.mean() < 0.65


def test_half_of_the_images_are_mirrored():
    X = np.tile([1.0, 2, 3], (210, 1))
    parameters = {"max_shift": 0, "max_angle": 0, "image_shape": (1, 1, 3)}
    y = np.arange(210) > 9
    flipped, _ = sampler(
        AugmentationSampler, horizontal_flip=True, **parameters
    ).fit_resample(X, y)
    assert 70 < (flipped[210:] == [3, 2, 1]).all(1).sum() < 130
    plain, _ = sampler(AugmentationSampler, **parameters).fit_resample(X, y)
    assert (plain == [1, 2, 3]).all()


def maker(name):
    return {
        "smote": SMOTE(k_neighbors=3, sampling_strategy="not minority"),
        "copies": RandomOverSampler(),
        "pictures": GAMO2Pix(max_rounds=2, classifier=short_game()),
    }[name]


def short_game():
    return GAMOClassifier(feature_extractor="conv", max_iter=1, device="cpu")


@pytest.mark.parametrize("name", ["smote", "copies", "pictures"])
def test_images_that_another_sampler_makes_are_moved(digits, name):
    """Unmoved, they are its own, in number as asked for here; moved, of those."""
    X, y = digits
    X = X.astype(np.uint8)
    model = AugmentationSampler(
        maker(name),
        sampling_strategy={9: 30, 3: 100},
        image_shape=IMAGE,
        max_angle=0,
        random_state=0,
    )
    moved, _ = model.fit_resample(X, y)
    still, y_out = model.set_params(max_shift=0).fit_resample(X, y)
    own = model.sampler_.fit_resample(X.astype(np.float32), y)
    assert_array_equal(y_out, [*y, *own[1][len(y) :]])
    assert Counter(y_out[len(y) :]) == {9: 22, 3: 40}
    assert_array_equal(still[len(y) :], np.rint(own[0][len(y) :]))
    assert_array_equal(still[: len(y)], X)
    assert still.dtype == np.uint8
    for row, image in zip(moved[len(y) :], still[len(y) :].astype(float), strict=True):
        shifts = product(range(-2, 3), repeat=2)
        places = [_moved(image.reshape(IMAGE), s, 0.0, False).ravel() for s in shifts]
        assert (row == places).all(1).any()
    assert (moved[len(y) :] != still[len(y) :]).any(1).mean() > 0.5


def test_the_seed_decides_what_another_sampler_makes(digits):
    def resampled(seed):
        inner = SMOTE(k_neighbors=3, random_state=7)
        model = AugmentationSampler(inner, max_shift=0, max_angle=0, random_state=seed)
        return model.fit_resample(*digits)[0]

    assert_array_equal(resampled(0), resampled(0))
    assert (resampled(0) != resampled(1)).any()


def test_another_sampler_sees_the_labels(digits):
    """A fitted game knows them, and a dict of class weights is keyed by them."""
    X, y = digits
    names = np.array([f"class {i}" for i in range(10)])[y]
    weights = {name: 1 + i for i, name in enumerate(np.unique(names))}
    game = short_game().set_params(image_shape=IMAGE, class_weight=weights)
    frozen = FrozenEstimator(game.fit(X, names))
    for classifier in (game, frozen):
        inner = GAMO2Pix(classifier, max_rounds=2)
        model = AugmentationSampler(inner, image_shape=IMAGE, random_state=0)
        _, y_out = model.fit_resample(X, names)
        assert_array_equal(model.sampler_.classes_, np.unique(names))
        assert set(Counter(y_out).values()) == {max(Counter(names).values())}


@pytest.mark.parametrize("where", ["sampler", "classifier", "fitted classifier"])
def test_a_sampler_s_image_shape_is_taken(digits, where):
    game, inner = short_game(), GAMO2Pix(max_rounds=2)
    (inner if where == "sampler" else game).set_params(image_shape=IMAGE)
    fitted = "fitted" in where
    inner.set_params(classifier=FrozenEstimator(game.fit(*digits)) if fitted else game)
    taken = AugmentationSampler(inner, random_state=0)
    given = clone(taken).set_params(image_shape=IMAGE)
    assert_array_equal(taken.fit_resample(*digits)[0], given.fit_resample(*digits)[0])


class Disordered(SMOTE):
    """New rows by descending class, `n_lost` too few, the first row changed."""

    def __init__(
        self,
        change=0,
        n_lost=0,
        k_neighbors=3,
        sampling_strategy="auto",
        random_state=None,
    ):
        super().__init__(
            k_neighbors=k_neighbors,
            sampling_strategy=sampling_strategy,
            random_state=random_state,
        )
        self.change = change
        self.n_lost = n_lost

    def fit_resample(self, X, y):
        rows, labels = super().fit_resample(X, y)
        rows[0] += self.change
        end = -self.n_lost or None
        parts = [(part[: len(X)], part[: len(X) - 1 : -1]) for part in (rows, labels)]
        rows, labels = (np.concatenate(part)[:end] for part in parts)
        return rows, labels.tolist()


def test_images_come_by_class_whatever_the_order_of_the_sampler_s(digits):
    still = {"max_shift": 0, "max_angle": 0, "random_state": 0}
    X, y = AugmentationSampler(SMOTE(k_neighbors=3), **still).fit_resample(*digits)
    X_out, y_out = AugmentationSampler(Disordered(), **still).fit_resample(*digits)
    assert_array_equal(y_out, y)
    assert_array_equal(np.sort(X_out, axis=0), np.sort(X, axis=0))


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (Disordered(change=1), "must keep the rows that it is given"),
        (Disordered(n_lost=1), r"append the rows that .* asks for, \{1: 20, 2: 40, "),
    ],
)
def test_a_sampler_that_does_not_append_what_is_asked_for_is_refused(
    digits, inner, message
):
    model = AugmentationSampler(SMOTE(k_neighbors=3)).fit(*digits)
    model.fit_resample(*digits)
    with pytest.raises(ValueError, match=message):
        model.set_params(sampler=inner).fit_resample(*digits)
    assert not hasattr(model, "sampler_")


def test_a_game_that_a_clone_has_unfitted_is_named(digits):
    game = short_game().set_params(image_shape=IMAGE).fit(*digits)
    model = AugmentationSampler(GAMO2Pix(game, prefit=True), image_shape=IMAGE)
    with pytest.raises(NotFittedError, match="GAMOClassifier instance is not fitted"):
        model.fit_resample(*digits)


@pytest.mark.parametrize(
    ("cls", "parameters"),
    [
        (AugmentationSampler, {}),
        (CGANSampler, {}),
        (CGANSampler, {"architecture": "convolutional"}),
    ],
)
@pytest.mark.parametrize("layout", ["first", "last", "none"])
def test_images_come_back_in_their_layout(layout, cls, parameters):
    n_channels = 1 if layout == "none" else 3
    X = np.random.default_rng(0).integers(0, 256, (20, n_channels, 6, 5), np.uint8)
    y = np.repeat([0, 1], [15, 5])
    rows = X.reshape(20, -1)
    model = sampler(cls, **parameters, image_shape=(n_channels, 6, 5))
    expected = model.fit_resample(rows, y)[0].reshape(-1, n_channels, 6, 5)
    if layout == "last":
        X, expected = X.transpose(0, 2, 3, 1), expected.transpose(0, 2, 3, 1)
    if layout == "none":
        X, expected = X[:, 0], expected[:, 0]
    X_out, _ = sampler(cls, **parameters).fit_resample(X, y)
    assert_array_equal(X_out, expected)
    assert X_out.dtype == np.uint8


# Deep over-sampling


def targets_of(counts, n_targets="auto", n_neighbors=3, seed=0):
    """Targets over the rows of a table, whose features are the rows themselves."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    x = torch.randn(len(y), 2, generator=rng) + 100 * y[:, None]
    targets = Targets(y, n_targets, n_neighbors, torch.device("cpu"))
    targets.look(torch.nn.Identity(), x, 1)
    return targets, x, y


def test_neighbors_are_the_nearest_rows_of_the_class():
    targets, x, y = targets_of([12, 6, 3, 1])
    for i in range(12, 22):
        own = (y == y[i]).nonzero()[:, 0]
        nearest = own[(x[own] - x[i]).norm(dim=1).argsort()][:4].tolist()
        assert targets.near[i].tolist() == nearest + [i] * (4 - len(nearest))
    assert (targets.near[:12] == torch.arange(12)[:, None]).all()


@pytest.mark.parametrize(
    ("n_targets", "expected"), [("auto", [1, 2, 4, 12]), (3, [1, 3, 3, 3])]
)
def test_numbers_of_targets(n_targets, expected):
    targets, x, y = targets_of([12, 6, 3, 1], n_targets)
    rng = torch.Generator().manual_seed(0)
    index = torch.tensor([0, 13, 19, 21])
    v, labels, of = targets.draw(index, x[index], rng)
    assert of.bincount().tolist() == expected
    assert_array_equal(labels, y[index][of])
    assert len(v) == sum(expected)


def test_classes_tied_with_the_largest_are_their_own_targets():
    targets, x, _ = targets_of([5, 5, 2], n_targets=4)
    index = torch.arange(10)
    v, _, of = targets.draw(index, x[index], torch.Generator().manual_seed(0))
    assert_array_equal(of, index)
    torch.testing.assert_close(v, x[index])


def test_targets_are_convex_combinations_over_the_whole_simplex():
    """Three rows of a class as neighbours, in a class of three: a triangle."""
    targets, x, _ = targets_of([40, 3], n_targets=2000, n_neighbors=2)
    index = torch.tensor([41])
    v, *_ = targets.draw(index, x[index], torch.Generator().manual_seed(0))
    corners = torch.cat([x[40:], torch.ones(3, 1)], 1).double()
    weights = torch.cat([v, torch.ones(2000, 1)], 1).double() @ corners.inverse()
    assert weights.min() > -1e-3
    # Uniform on the simplex: mean 1/3, and variance 1/18 of each weight.
    assert_allclose(weights.mean(0), 1 / 3, atol=0.02)
    assert_allclose(weights.var(0), 1 / 18, atol=0.005)


def test_a_class_without_enough_neighbours_keeps_the_law():
    """Two rows: each has one neighbour, whatever the sizes of other classes."""
    targets, x, _ = targets_of([40, 20, 2], n_targets=4000, n_neighbors=5)
    index = torch.tensor([60])
    v, *_ = targets.draw(index, x[index], torch.Generator().manual_seed(0))
    along = x[60] - x[61]
    share = (v - x[61]) @ along / (along @ along)
    assert_allclose(v, x[61] + share[:, None] * along, atol=1e-4)
    assert kstest(share, "uniform").pvalue > 0.01


def test_features_are_cached_but_for_the_row_s_own_share():
    targets, x, _ = targets_of([12, 6, 3, 1])
    index = torch.tensor([0, 14, 21])
    live = (x[index] + 1).requires_grad_()
    seed = torch.Generator().manual_seed
    v, _, of = targets.draw(index, live, seed(0))
    cached, *_ = targets.draw(index, x[index], seed(0))
    share = (v - cached)[:, 0]  # the features moved by 1
    assert_allclose(share[of != 1].detach(), 1, rtol=1e-3)
    assert ((share[of == 1] > 0) & (share[of == 1] < 1)).all()
    [gradient] = torch.autograd.grad(v[:, 0].sum(), live)
    assert_allclose(gradient[:, 0], [1, share[of == 1].sum().item(), 12], rtol=1e-3)


def test_micro_cluster_loss_is_its_formula():
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    f, v, of = draw(3, 4), draw(6, 4), torch.tensor([0, 0, 0, 1, 2, 2])
    expected = []
    for i in range(3):
        distances = [float((f[i] - w).norm()) for w in v[of == i]]
        closeness = np.exp(-np.array(distances))
        rho = closeness / closeness.sum()
        expected.append(float((rho * np.square(distances)).sum()))
    assert_allclose(micro_cluster_loss(f, v, of), expected, rtol=1e-5)


def test_micro_cluster_loss_pulls_and_is_at_peace_on_its_targets():
    f = torch.tensor([[0.0, 0], [900, 0]], requires_grad=True)
    v, of = torch.tensor([[0.0, 0], [1, 0], [1, 0]]), torch.tensor([0, 1, 1])
    loss = micro_cluster_loss(f, v, of)
    [gradient] = torch.autograd.grad(loss.sum(), f)
    assert_allclose(loss.detach(), [0, 899**2])
    assert_allclose(gradient, [[0, 0], [2 * 899, 0]])


def test_the_loss_is_m_s_on_all_targets_and_the_pull_on_f_alone():
    """Value and gradients, with the targets as constants where they draw f."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    network = torch.nn.Sequential(
        torch.nn.utils.skip_init(torch.nn.Linear, 2, 3),
        torch.nn.utils.skip_init(torch.nn.Linear, 3, 2),
    )
    for p in network.parameters():
        p.data = draw(p.shape)
    x, index = draw(9, 2), torch.tensor([0, 7, 8, 4])
    targets = Targets(torch.arange(9) // 6, 3, 2, torch.device("cpu"))
    targets.look(network[0], x, 1)
    seed = torch.Generator().manual_seed
    loss = DOSClassifier()._loss(network, x, index, targets, seed(0))
    f = network[0](x[index])
    v, y, of = targets.draw(index, f, seed(0))
    expected = 0
    for target, label, i in zip(v, y, of, strict=True):
        p = network[1](target).softmax(0)
        expected += ((p - torch.eye(2)[label]) ** 2).mean() / 4
        others = (f[i] - v[of == i]).detach().norm(dim=1)
        rho = (-(f[i] - target).norm()).exp().detach() / (-others).exp().sum()
        expected += rho * ((f[i] - target.detach()) ** 2).sum() / 4
    torch.testing.assert_close(loss, expected)
    parameters = list(network.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(loss, parameters, retain_graph=True),
        torch.autograd.grad(expected, parameters),
    )


@pytest.mark.parametrize(
    ("pretraining", "max_rounds", "n_looks"),
    [(0, None, 4), (0.5, None, 2), (0.7, None, 2), (1, None, 0), (0.5, 4, 1)],
)
def test_pretraining_is_the_share_of_rounds_without_targets(
    table, monkeypatch, pretraining, max_rounds, n_looks
):
    """Of four epochs of two rounds each; an epoch with targets looks once."""
    calls = []

    def counting(name, method):
        def counted(*given):
            calls.append(name)
            return method(*given)

        return counted

    for owner, name in (
        (Targets, "look"),
        (DOSClassifier, "_plain_loss"),
        (DOSClassifier, "_loss"),
    ):
        monkeypatch.setattr(owner, name, counting(name, getattr(owner, name)))
    DOSClassifier(
        pretraining=pretraining, max_iter=4, max_rounds=max_rounds, random_state=0
    ).fit(*table)
    n_rounds = max_rounds or 8
    n_plain = int(pretraining * n_rounds)
    assert [c for c in calls if c != "look"] == (
        ["_plain_loss"] * n_plain + ["_loss"] * (n_rounds - n_plain)
    )
    assert calls.count("look") == n_looks


def test_the_plain_loss_is_m_s_on_the_rows():
    network = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity())
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    targets = Targets(torch.arange(9) // 6, 3, 2, torch.device("cpu"))
    index = torch.tensor([0, 7, 8])
    model = DOSClassifier()
    model.device_ = torch.device("cpu")
    expected = (x[index].softmax(1) - torch.eye(2)[[0, 1, 1]]).square().mean(1).mean()
    loss = model._plain_loss(network, x, index, targets)
    torch.testing.assert_close(loss, expected)


def test_dos_finds_more_of_the_rare_classes_than_the_plain_network():
    """Recall on held-out digits of the classes with 18, 12 and 8 training rows."""
    X, y = load_digits(return_X_y=True)
    counts = dict(enumerate([120, 100, 80, 60, 45, 35, 25, 18, 12, 8]))

    def recall(seed, model):
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.3, stratify=y, random_state=seed
        )
        X_train, y_train = make_imbalance(
            X_train, y_train, sampling_strategy=counts, random_state=seed
        )
        found = model.fit(X_train, y_train).predict(X_test)
        return recall_score(y_test, found, labels=[7, 8, 9], average="macro")

    same = {"image_shape": IMAGE, "max_rounds": 300, "random_state": 0}
    plain = GAMOClassifier(generator=None, **same)
    dos = DOSClassifier(**same)
    gains = [recall(seed, dos) - recall(seed, plain) for seed in range(3)]
    assert np.mean(gains) > 0.01


@pytest.mark.parametrize("feature_extractor", [None, "conv"])
def test_the_networks_are_those_of_the_plain_classifier(digits, feature_extractor):
    same = {"image_shape": IMAGE, "feature_extractor": feature_extractor, "max_iter": 1}
    dos = DOSClassifier(**same).fit(*digits)
    plain = GAMOClassifier(generator=None, **same).fit(*digits)
    networks = [plain.feature_extractor_, plain.classifier_]
    expected = [p.shape for n in networks if n is not None for p in n.parameters()]
    networks = [dos.feature_extractor_, dos.classifier_]
    assert [p.shape for n in networks for p in n.parameters()] == expected


def test_both_networks_learn(table):
    def weights(max_rounds):
        model = DOSClassifier(max_rounds=max_rounds, learning_rate=0.01, random_state=0)
        model.fit(*table)
        return model.feature_extractor_[0].weight, model.classifier_[0].weight

    for before, after in zip(weights(1), weights(3), strict=True):
        assert (before != after).any()


@pytest.mark.parametrize("counts", [[20], [10, 10], [20, 1], [20, 3, 1]])
@pytest.mark.parametrize("loss", ["least_squares", "cross_entropy"])
def test_dos_takes_one_class_ties_and_classes_of_one_row(counts, loss):
    y = np.repeat(np.arange(len(counts)), counts)
    X = np.random.default_rng(0).normal(size=(len(y), 3)) + 9 * np.eye(3)[y]
    model = DOSClassifier(loss=loss, max_iter=60, random_state=0).fit(X, y)
    assert model.n_iter_ == 60
    assert_array_equal(model.predict(X), y)
    assert_allclose(model.predict_proba(X).sum(1), 1)


def test_dos_takes_images_and_labels_of_any_kind(digits):
    X, y = digits
    names = np.array([f"class {i}" for i in range(10)])[y]
    model = DOSClassifier(feature_extractor="conv", max_iter=10, random_state=0)
    model.fit(X.reshape(-1, 8, 8), names)
    assert model.score(X.reshape(-1, 8, 8), names) > 0.7
    assert model.n_features_in_ == 64


def test_dos_takes_a_builder_and_seeds_it(digits):
    def builder(n_in, n_out):
        return torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(int(np.prod(n_in)), 9),
            torch.nn.BatchNorm1d(9),
            torch.nn.Dropout(0.2),
        )

    def fitted(seed):
        return DOSClassifier(
            feature_extractor=builder,
            image_shape=IMAGE,
            max_iter=2,
            batch_size=len(digits[1]) - 1,  # one row is left over
            random_state=seed,
        ).fit(*digits)

    X = digits[0]
    assert_array_equal(fitted(0).predict_proba(X), fitted(0).predict_proba(X))
    assert (fitted(0).predict_proba(X) != fitted(1).predict_proba(X)).any()
    with pytest.raises(TypeError, match="feature_extractor must be a builder"):
        DOSClassifier(feature_extractor=torch.nn.Identity()).fit(*digits)


@pytest.mark.parametrize(
    ("pretraining", "message"),
    [
        (0, "weights of the network became non-finite in epoch 1"),
        (0.5, "outputs of the feature extractor became non-finite in epoch 1"),
    ],
)
def test_a_failed_fit_leaves_dos_unfitted(table, pretraining, message):
    X, y = table
    model = DOSClassifier(max_iter=1, pretraining=pretraining).fit(X, y)
    with pytest.raises(ValueError, match=message):
        model.set_params(learning_rate=1e38).fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize("cls", [CGANSampler, DOSClassifier])
def test_baselines_have_no_automatic_length(cls, table):
    model = cls(max_rounds="auto")
    with pytest.raises(InvalidParameterError, match="'max_rounds' parameter of"):
        getattr(model, "fit_resample", model.fit)(*table)
