"""GAMO2Pix: images from convex combinations of features."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from gamo_sampler import GAMO2Pix, GAMOClassifier
from gamo_sampler._gamo2pix import _batches, _draw
from gamo_sampler._losses import divergence, reconstruction_loss
from gamo_sampler._torch import run_generator
from gamo_sampler.metrics import nearest_real_distance

GAME = GAMOClassifier(feature_extractor="conv", max_iter=2, random_state=0)


@pytest.fixture(scope="module")
def images(digits):
    X, y = digits
    keep = y < 4
    return np.rint(X[keep] * 15).astype(np.uint8).reshape(-1, 8, 8), y[keep]


@pytest.fixture(scope="module")
def fitted_game(images):
    return clone(GAME).fit(*images)


def sampler(classifier=GAME, **parameters):
    return GAMO2Pix(classifier, **{"max_rounds": 150, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def fitted(images, fitted_game):
    return sampler(fitted_game, prefit=True).fit(*images)


# Losses and draws -----------------------------------------------------------


def test_divergence_is_that_of_torch():
    rng = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 5, 3, generator=rng)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)


def test_reconstruction_loss_sums_over_the_values_of_an_image():
    x = torch.tensor([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]])
    errors = reconstruction_loss(torch.ones(2, 3), x)
    assert errors.tolist() == [2.0, 0.0]


def test_z_has_the_posterior_s_mean_and_spread():
    mean = torch.tensor([[1.0, -2.0]]).expand(40_000, 2)
    log_variance = torch.tensor([[1.0, 9.0]]).log().expand(40_000, 2)
    z = _draw(mean, log_variance, run_generator(np.random.RandomState(0)))
    torch.testing.assert_close(z.mean(0), mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(z.std(0), torch.tensor([1.0, 3.0]), atol=0.05, rtol=0)


def test_batches_hold_all_classes_alike():
    members = [torch.arange(300), torch.arange(300, 303)]
    rng = run_generator(np.random.RandomState(0))
    batches = _batches(members, 10, 1000, rng)
    assert batches.shape == (1000, 10)
    assert (batches >= 300).float().mean() == pytest.approx(0.5, abs=0.02)
    counts = batches.ravel().bincount(minlength=303)
    assert counts.min() > 0
    assert counts[300:].float().std() < 150


# Images ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decoder", "n_rounds"), [("shared", 400), ("per_class", 1600)]
)
def test_learns_to_reconstruct(images, fitted_game, decoder, n_rounds):
    X, y = images
    model = sampler(fitted_game, prefit=True, decoder=decoder, learning_rate=1e-2)
    model.set_params(max_rounds=n_rounds).fit(X, y)
    assert len(model.decoders_) == (1 if decoder == "shared" else 4)
    images_ = model.reconstruct(X)
    assert images_.shape == X.shape
    assert images_.dtype == X.dtype
    # A decoder is told the class that the game predicts.
    right = fitted_game.predict(X) == y
    X, y, images_ = X[right], y[right], images_[right].astype(float)
    error = ((images_ - X) ** 2).mean()
    of_means = np.mean([((X[y == i] - X[y == i].mean(0)) ** 2).mean() for i in set(y)])
    assert error < of_means
    errors = [r["reconstruction"] for r in model.history_]
    assert errors[-1] < errors[0]


def test_sample_gives_the_input_s_shape_type_and_range(images, fitted):
    X, _ = images
    generated, labels = fitted.sample({1: 5, 3: 40})
    assert generated.shape == (45, 8, 8)
    assert generated.dtype == np.uint8
    assert generated.max() <= X.max()
    np.testing.assert_array_equal(labels, np.repeat([1, 3], [5, 40]))
    generated, labels = fitted.sample(30)
    assert len(generated) == len(labels) == 30
    assert set(labels) <= {1, 2, 3}


def test_decoded_images_are_those_of_their_class(images, fitted_game):
    X, y = images
    model = sampler(fitted_game, prefit=True, detail=0.0, learning_rate=1e-2)
    generated, labels = (
        model.set_params(max_rounds=600)
        .fit(X, y)
        .sample({1: 30, 2: 30, 3: 30}, random_state=0)
    )
    judge = LogisticRegression(max_iter=2000).fit(X.reshape(len(X), -1), y)
    assert judge.score(generated.reshape(90, -1), labels) > 0.8


def test_images_with_detail_are_no_copies(images, fitted):
    X, _ = images
    generated, _, weights = fitted.sample({3: 50}, random_state=0, return_weights=True)
    sources = X[weights.argmax(1)].astype(float)
    differences = np.abs(generated - sources).reshape(50, -1)
    assert (differences.max(1) > 10).all()


def test_one_image(images, fitted):
    image, label, weights = fitted.sample({2: 1}, return_weights=True)
    assert image.shape == (1, 8, 8)
    assert label.tolist() == [2]
    assert weights.shape == (1, len(images[0]))
    with pytest.raises(ValueError, match="asks for no rows"):
        fitted.sample({})


@pytest.mark.parametrize("neighborhood", ["class", 4, None])
def test_weights_give_the_features_that_were_decoded(images, neighborhood):
    X, y = images
    game = clone(GAME).set_params(neighborhood=neighborhood).fit(X, y)
    model = sampler(game, prefit=True, max_rounds=5).fit(X, y)
    _, labels, weights = model.sample({1: 9, 3: 7}, return_weights=True)
    assert weights.shape == (16, len(X))
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(1), 1)
    for row, label in zip(weights, labels, strict=True):
        assert set(y[row.indices]) == {label}
    # The game draws the same weights from the same seed.
    features, _ = game.sample({1: 9, 3: 7}, random_state=3)
    *_, weights = model.sample({1: 9, 3: 7}, random_state=3, return_weights=True)
    mixed = weights @ game.extract_features(X)
    np.testing.assert_allclose(mixed, features, atol=1e-5)


def test_detail_is_the_source_s_own(images, fitted_game):
    X, y = images
    X = X.astype(np.float32)
    game = clone(GAME).fit(X, y)
    model = sampler(game, prefit=True, detail=0.0).fit(X, y)
    kwargs = {"random_state": 0, "return_weights": True}
    plain, _, weights = model.sample({2: 6}, **kwargs)
    model.detail = 1.0
    detailed, *_ = model.sample({2: 6}, **kwargs)
    source = X[weights.argmax(1)]
    # Of the same class, so that the decoder is told what it was told in sampling.
    right = game.predict(source) == 2
    lost = source - model.reconstruct(source)
    expected = (plain + lost).clip(X.min(), X.max())
    inside = (plain > X.min()) & (plain < X.max()) & right[:, None, None]
    assert inside.sum() > 100
    np.testing.assert_allclose(detailed[inside], expected[inside], atol=1e-3)
    near = nearest_real_distance(source.reshape(6, -1), detailed.reshape(6, -1))
    far = nearest_real_distance(source.reshape(6, -1), plain.reshape(6, -1))
    assert near.mean() < far.mean()


def test_seeds(images, fitted_game, fitted):
    again = sampler(fitted_game, prefit=True).fit(*images)
    first, _ = again.sample({3: 4}, random_state=5)
    np.testing.assert_array_equal(first, fitted.sample({3: 4}, random_state=5)[0])
    assert (first != fitted.sample({3: 4}, random_state=6)[0]).any()
    assert (again.sample({3: 4})[0] != again.sample({3: 4})[0]).any()


# As an over-sampler -----------------------------------------------------------


def test_fit_resample_appends_and_keeps_the_weights(images):
    X, y = images
    before = GAME.get_params()
    model = sampler()
    X_resampled, y_resampled = model.fit_resample(X, y)
    np.testing.assert_array_equal(X_resampled[: len(X)], X)
    np.testing.assert_array_equal(y_resampled[: len(X)], y)
    np.testing.assert_array_equal(np.bincount(y_resampled), [120] * 4)
    assert model.provenance_.shape == (len(X_resampled) - len(X), len(X))
    np.testing.assert_allclose(model.provenance_.sum(1), 1)
    assert before == GAME.get_params()
    assert not hasattr(GAME, "classifier_")


def test_layouts_and_labels(images):
    X, y = images
    names = np.array(["boot", "dress", "hat", "shoe"])[y]
    color = np.stack([X, 240 - X, X // 2], axis=1)  # (n, 3, 8, 8)
    results = [
        sampler(max_rounds=20).fit_resample(given, names)
        for given in (color, np.moveaxis(color, 1, -1))
    ]
    flat, _ = sampler(max_rounds=20, image_shape=(3, 8, 8)).fit_resample(
        color.reshape(len(X), -1), names
    )
    (planes, labels), (last, _) = results
    assert planes.shape == (480, 3, 8, 8)
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), planes)
    np.testing.assert_array_equal(flat, planes.reshape(480, -1))
    classes, counts = np.unique(labels, return_counts=True)
    assert classes.tolist() == ["boot", "dress", "hat", "shoe"]
    assert counts.tolist() == [120] * 4


def test_frames_of_pixels(images):
    X, y = images
    frame = pd.DataFrame(X.reshape(len(X), -1)).add_prefix("pixel")
    model = sampler(max_rounds=20, image_shape=(1, 8, 8))
    X_resampled, y_resampled = model.fit_resample(frame, pd.Series(y, name="digit"))
    assert list(X_resampled) == list(frame)
    assert y_resampled.name == "digit"
    more, _ = model.sample({3: 2})
    assert list(more) == list(frame)
    assert (more.dtypes == np.uint8).all()


def test_in_a_pipeline_before_an_image_classifier(images):
    X, y = images

    class Spy(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.X_, self.y_, self.classes_ = X, y, np.unique(y)
            return self

        def predict(self, X):
            return self.y_[: len(X)]

    model = Pipeline([("gamo2pix", sampler(max_rounds=20)), ("clf", Spy())]).fit(X, y)
    assert model[-1].X_.shape == (480, 8, 8)
    np.testing.assert_array_equal(np.bincount(model[-1].y_), [120] * 4)
    assert len(model.predict(X)) == len(X)


def test_the_game_generates_what_the_sampler_is_asked_for(images):
    X, y = images
    model = sampler(sampling_strategy={3: 100}, max_rounds=20)
    _, y_resampled = model.fit_resample(X, y)
    np.testing.assert_array_equal(np.bincount(y_resampled), [120, 100, 80, 100])
    assert model.classifier_._generated_classes().tolist() == [3]


def test_balanced_images_are_left_alone(images):
    X, y = images
    X, y = np.concatenate([X[y == i][:60] for i in range(4)]), np.repeat(range(4), 60)
    model = sampler()
    with pytest.warns(UserWarning, match="nothing is generated"):
        X_resampled, _ = model.fit_resample(X, y)
    np.testing.assert_array_equal(X_resampled, X)
    assert model.provenance_.shape == (0, 240)
    with pytest.raises(NotFittedError):
        model.sample({1: 3})
    model.fit(X, y)
    assert model.reconstruct(X[:2]).shape == (2, 8, 8)
    with pytest.raises(ValueError, match="Nothing to sample"):
        model.sample(3)


def test_pickles(images, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        again.sample({1: 3}, random_state=0)[0],
        fitted.sample({1: 3}, random_state=0)[0],
    )


# What is refused ------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda X, y: (255 - X, y), "their features differ"),
        (lambda X, y: (X[::-1], y), "their features differ"),
        (lambda X, y: (X[5:], y[5:]), "355 of them, not 360"),
        (lambda X, y: (X, np.roll(y, 1)), "the labels differ"),
    ],
)
@pytest.mark.parametrize("frozen", [True, False])
def test_a_fitted_game_comes_with_its_rows(images, fitted_game, change, why, frozen):
    X, y = change(*images)
    game = FrozenEstimator(fitted_game) if frozen else fitted_game
    with pytest.raises(ValueError, match=rf"was fitted to \({why}\)"):
        sampler(game, prefit=not frozen).fit(X, y)


def test_a_fitted_game_of_tables_comes_with_its_columns(table):
    X, y = table
    game = clone(GAME).fit(X, y)
    with pytest.raises(ValueError, match=r"\(4 values each, not 5\)"):
        sampler(game, prefit=True).fit(X[:, :4], y)
    model = sampler(game, prefit=True, max_rounds=20).fit(X, y)
    rows, _ = model.sample({1: 30})
    assert (rows >= X.min(0)).all()
    assert (rows <= X.max(0)).all()


def test_a_fitted_game_comes_with_its_classes(images, fitted_game):
    X, y = images
    with pytest.raises(ValueError, match=r"labels \[0, 1, 2\], but the fitted"):
        sampler(fitted_game, prefit=True).fit(X[y < 3], y[y < 3])


def test_a_fitted_game_is_copied(images, fitted_game):
    X, y = images
    game = clone(GAME).fit(X, y)
    model = sampler(game, prefit=True, max_rounds=20).fit(X, y)
    before, _ = model.sample({3: 2}, random_state=0)
    game.fit(X[::-1], y[::-1])
    np.testing.assert_array_equal(model.sample({3: 2}, random_state=0)[0], before)


def test_a_fitted_game_generates_only_its_classes(images):
    X, y = images
    game = clone(GAME).set_params(sampling_strategy={3: 100}).fit(X, y)
    with pytest.raises(ValueError, match=r"'auto' asks for images of \[1, 2\], but"):
        sampler(game, prefit=True, max_rounds=5).fit_resample(X, y)
    with pytest.raises(ValueError, match=r"'auto' asks for images of \[1, 2\], but"):
        sampler(game, prefit=True, max_rounds=5).fit(X, y)
    model = sampler(game, prefit=True, max_rounds=5, sampling_strategy={3: 90})
    with pytest.raises(ValueError, match=r"rows of \[1\], but the generated"):
        model.fit(X, y).sample({1: 3})


@pytest.mark.parametrize("generator", ["unconstrained", None])
def test_only_convex_games_are_trained(images, generator):
    game = clone(GAME).set_params(generator=generator, max_iter=10**9, max_rounds=None)
    with pytest.raises(ValueError, match=rf"'convex' in its fit, got {generator!r}"):
        sampler(game).fit(*images)


def test_a_game_without_features_is_refused(images):
    with pytest.raises(ValueError, match="there is no F"):
        sampler(GAMOClassifier()).fit(*images)


def test_an_early_stopped_game_knows_its_rows(images):
    X, y = images
    game = clone(GAME).set_params(early_stopping=True).fit(X, y)
    model = sampler(game, prefit=True, max_rounds=5).fit(X, y)
    *_, weights = model.sample({1: 50, 3: 50}, random_state=0, return_weights=True)
    features, _ = game.sample({1: 50, 3: 50}, random_state=0)
    np.testing.assert_allclose(weights @ game.extract_features(X), features, atol=1e-5)


def test_only_games_are_taken(images):
    X, y = images
    other = LogisticRegression(max_iter=2000).fit(X.reshape(len(X), -1), y)
    with pytest.raises(TypeError, match=r"must be a GAMOClassifier.* LogisticReg"):
        sampler(FrozenEstimator(other)).fit(X, y)
    with pytest.raises(ValueError, match="needs a fitted classifier, got None"):
        sampler(None, prefit=True).fit(X, y)
    with pytest.raises(NotFittedError):
        sampler(GAME, prefit=True).fit(X, y)


def test_a_class_of_one_image(images):
    X, y = images
    keep = np.flatnonzero((y < 2) | (np.cumsum(y == 2) == 1) & (y == 2))
    model = sampler(max_rounds=20)
    with pytest.warns(UserWarning, match="Class 2 has one row to learn from"):
        _, y_resampled = model.fit_resample(X[keep], y[keep])
    np.testing.assert_array_equal(np.bincount(y_resampled), [120] * 3)


def test_names_of_columns_are_checked(images):
    X, y = images
    frame = pd.DataFrame(X.reshape(len(X), -1)).add_prefix("pixel")
    model = sampler(max_rounds=20, image_shape=(1, 8, 8)).fit(frame, y)
    assert list(model.reconstruct(frame)) == list(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        model.reconstruct(frame[frame.columns[::-1]])


def test_the_classifier_s_shape_and_our_device(images):
    X, y = images
    game = clone(GAME).set_params(image_shape=(2, 8, 8))
    both = np.stack([X, X], axis=1)
    model = sampler(game, max_rounds=5).fit(both, y)
    assert model.reconstruct(both).shape == both.shape
    small = np.flatnonzero(y > 1)[::4]
    model = sampler(None, device="cpu", max_rounds=5).fit(X[small], y[small])
    assert model.classifier_.device == "cpu"


def test_a_game_that_was_fitted_without_convexity(images):
    X, y = images
    game = clone(GAME).set_params(generator="unconstrained").fit(X, y)
    game.set_params(generator="convex")
    with pytest.raises(ValueError, match="decodes convex combinations"):
        sampler(game, prefit=True).fit(X, y)


def test_a_fit_that_fails_leaves_no_weights(images, fitted_game):
    X, y = images
    model = sampler(fitted_game, prefit=True, max_rounds=5)
    model.fit_resample(X, y)
    with pytest.raises(ValueError, match="decoder became non-finite"):
        model.set_params(learning_rate=1e38).fit_resample(X, y)
    for use in (model.affected_by, model.sample):
        with pytest.raises(NotFittedError):
            use([3])
