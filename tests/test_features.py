"""GAMOFeatures: F in a pipeline, in front of a sampler."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import Pipeline
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_validate
from sklearn.svm import SVC
from torch import nn

from gamo_sampler import GAMOClassifier, GAMOFeatures, GAMOSampler
from gamo_sampler._torch import Rows


@pytest.fixture
def images(digits):
    X, y = digits
    return X.reshape(-1, 8, 8), y


@pytest.fixture
def game():
    return GAMOClassifier(feature_extractor="conv", max_iter=2, random_state=0)


def test_transform_is_the_fitted_game_s_f(images, game):
    X, y = images
    features = GAMOFeatures(game).fit(X, y)
    F_X = features.transform(X)
    expected = clone(game).fit(X, y).extract_features(X)
    np.testing.assert_array_equal(F_X, expected)
    assert F_X.dtype == np.float32
    assert features.n_features_in_ == 64
    assert not hasattr(game, "classifier_")
    np.testing.assert_array_equal(features.fit_transform(X, y), F_X)


def test_default_game_takes_image_shape_and_seed(images):
    X, y = images
    X, y = X[::8], y[::8]  # the default game plays 100 epochs
    flat = GAMOFeatures(image_shape=(1, 8, 8), random_state=3).fit(X.reshape(-1, 64), y)
    assert flat.classifier_.random_state == 3
    convolutions = [
        m for m in flat.classifier_.feature_extractor_.modules() if type(m) is nn.Conv2d
    ]
    assert len(convolutions) == 2
    as_images = GAMOFeatures(random_state=3).fit(X, y)
    np.testing.assert_array_equal(
        flat.transform(X.reshape(-1, 64)), as_images.transform(X)
    )


@pytest.mark.parametrize("channels", [1, -1])
def test_pipeline_resamples_features_and_predicts_on_images(images, game, channels):
    X, y = images
    X = np.stack([X] * 3, axis=channels)
    model = Pipeline(
        [
            ("features", GAMOFeatures(game.set_params(max_iter=30))),
            ("gamo", GAMOSampler(max_iter=2, random_state=0)),
            ("clf", SVC(random_state=0)),
        ]
    )
    model.fit(X, y)
    assert model["clf"].n_features_in_ == model["features"].transform(X[:1]).shape[1]
    assert model["clf"].shape_fit_[0] == 120 * 10
    assert balanced_accuracy_score(y, model.predict(X)) > 0.9


def test_prefit_trains_nothing(images, game):
    X, y = images
    fitted = clone(game).fit(X, y)
    state = copy.deepcopy(fitted.feature_extractor_.state_dict())
    features = GAMOFeatures(fitted, prefit=True).fit(X, y)
    assert features.classifier_ is fitted
    for name, value in fitted.feature_extractor_.state_dict().items():
        assert torch.equal(value, state[name])
    with pytest.raises(NotFittedError):
        GAMOFeatures(game, prefit=True).fit(X, y)


def test_frozen_game_survives_cross_validation(images, game):
    X, y = images
    fitted = clone(game).fit(X, y)
    model = Pipeline(
        [
            ("features", GAMOFeatures(FrozenEstimator(fitted))),
            ("clf", LogisticRegression(max_iter=1000)),
        ]
    )
    folds = cross_validate(
        model, X, y, cv=2, scoring="balanced_accuracy", return_estimator=True
    )
    assert folds["test_score"].min() > 0.5
    for fold in folds["estimator"]:
        assert fold["features"].classifier_ is fitted


def test_names_and_set_output(images, game):
    X, y = images
    features = GAMOFeatures(game).set_output(transform="pandas").fit(X, y)
    frame = features.transform(X[:5])
    assert isinstance(frame, pd.DataFrame)
    names = [f"gamofeatures{i}" for i in range(64)]
    assert frame.columns.tolist() == names
    assert features.get_feature_names_out().tolist() == names


def test_names_of_a_frame_s_columns(images, game):
    X, y = images
    frame = pd.DataFrame(X.reshape(-1, 64)).add_prefix("pixel")
    features = GAMOFeatures(game).fit(frame, y)
    assert features.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names should match"):
        features.transform(frame.add_suffix("_"))


def test_pickle(images, game):
    X, y = images
    features = GAMOFeatures(game).fit(X, y)
    copied = pickle.loads(pickle.dumps(features))
    np.testing.assert_array_equal(copied.transform(X), features.transform(X))


def test_own_parameters_go_to_a_clone_of_the_game(images, game):
    X, y = images
    features = GAMOFeatures(game, image_shape=(1, 8, 8), random_state=7)
    features.fit(X.reshape(-1, 64), y)
    assert features.classifier_.random_state == 7
    assert features.classifier_.max_iter == 2
    assert (game.image_shape, game.random_state) == (None, 0)


def test_prefit_rows_are_those_of_the_game(images, game):
    X, y = images
    fitted = game.fit(X, y)
    for classifier in (
        GAMOFeatures(fitted, prefit=True),
        GAMOFeatures(FrozenEstimator(fitted)),
    ):
        with pytest.raises(ValueError, match="X has 32 features"):
            classifier.fit(X[:, :4].reshape(-1, 32), y)


def test_only_the_classifier_of_the_game_is_taken(images):
    with pytest.raises(ValueError, match=r"must be an instance of .*GAMOClassifier"):
        GAMOFeatures(GAMOSampler(feature_extractor="conv")).fit(*images)


def test_a_game_without_features_is_refused(images):
    with pytest.raises(ValueError, match="there is no F"):
        GAMOFeatures(GAMOClassifier()).fit(*images)


def test_prefit_takes_a_fitted_game_and_no_seed(images, game):
    with pytest.raises(ValueError, match="needs a fitted classifier, got None"):
        GAMOFeatures(prefit=True).fit(*images)
    fitted = game.fit(*images)
    for features in (
        GAMOFeatures(fitted, prefit=True, random_state=1),
        GAMOFeatures(FrozenEstimator(fitted), random_state=1),
    ):
        with pytest.raises(ValueError, match="nothing is drawn; got random_state=1"):
            features.fit(*images)


def test_prefit_takes_images_of_the_game_s_shape(images, game):
    X, y = images
    fitted = game.fit(X, y)
    flat = X.reshape(len(X), -1)
    features = GAMOFeatures(fitted, prefit=True, image_shape=(1, 8, 8)).fit(flat, y)
    np.testing.assert_array_equal(features.transform(flat), features.transform(X))
    with pytest.raises(ValueError, match=r"images of shape \(1, 8, 8\)"):
        GAMOFeatures(fitted, prefit=True, image_shape=(1, 4, 16)).fit(flat, y)


def test_a_frozen_estimator_holds_a_game(images):
    X, y = images
    frozen = FrozenEstimator(SVC(random_state=0).fit(X.reshape(len(X), -1), y))
    with pytest.raises(TypeError, match=r"must be a GAMOClassifier.* got a SVC"):
        GAMOFeatures(frozen).fit(X, y)


def test_other_extractors_take_f_s_place(images):
    X, y = images
    rows = X.reshape(-1, 64)
    model = Pipeline(
        [
            ("features", PCA(16, random_state=0)),
            ("gamo", GAMOSampler(max_iter=2, random_state=0)),
            ("clf", SVC(random_state=0)),
        ]
    )
    assert balanced_accuracy_score(y, model.fit(rows, y).predict(rows)) > 0.9


def frozen_backbone(image_shape, n_out):
    """A network that came trained, here a made-up one: only its head learns."""
    backbone = nn.Sequential(nn.Conv2d(image_shape[0], 4, 3), nn.ReLU(), nn.Flatten())
    return nn.Sequential(backbone.requires_grad_(False), nn.LazyLinear(n_out))


def fully_frozen_backbone(image_shape, n_out):
    return nn.Sequential(nn.Flatten(), nn.ReLU())


@pytest.mark.parametrize("builder", [frozen_backbone, fully_frozen_backbone])
def test_a_backbone_by_a_builder(images, builder):
    X, y = images
    game = GAMOClassifier(feature_extractor=builder, max_iter=2, random_state=0)
    features = GAMOFeatures(game).fit(X, y)
    assert features.transform(X).shape[0] == len(X)
    assert np.isfinite(features.transform(X)).all()


@pytest.mark.parametrize("size", [64, 224])
def test_larger_images(size):
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [8, 4])
    X = rng.randint(256, size=(12, size, size, 3), dtype=np.uint8)
    game = GAMOClassifier(
        feature_extractor="conv", max_iter=1, batch_size=4, random_state=0
    )
    features = GAMOFeatures(game).fit(X, y).transform(X)
    assert features.shape == (12, 512)
    assert np.isfinite(features).all()


def test_images_in_a_file_are_read_by_minibatch(images, game, tmp_path, monkeypatch):
    X, y = images
    X = X.astype(np.uint8)
    in_file = np.memmap(tmp_path / "X", np.uint8, "w+", shape=X.shape)
    in_file[:] = X
    expected = GAMOFeatures(game).fit(X, y).transform(X)
    monkeypatch.setattr("gamo_sampler._torch.MAX_RESIDENT_VALUES", 64)
    monkeypatch.setattr("gamo_sampler._torch.BLOCK_VALUES", 64 * 50)
    seen = []
    monkeypatch.setattr(
        "gamo_sampler._base.Rows", lambda *args: seen.append(Rows(*args)) or seen[-1]
    )
    features = GAMOFeatures(game).fit(in_file, y)
    [rows] = seen
    assert rows.resident is None
    assert rows.X.rows.source is in_file
    np.testing.assert_allclose(features.transform(in_file), expected, atol=1e-6)
