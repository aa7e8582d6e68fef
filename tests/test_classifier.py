"""GAMOClassifier: fitting, predicting, sampling, and what it refuses."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from imblearn.datasets import make_imbalance
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import recall_score
from sklearn.model_selection import GridSearchCV, train_test_split

from gamo_sampler import GAMOClassifier, published
from gamo_sampler._game import Player


def fitted(table, **parameters):
    return GAMOClassifier(**{"max_iter": 3, "random_state": 0} | parameters).fit(*table)


def dense(n_in, n_out):
    return torch.nn.Sequential(
        torch.nn.Linear(n_in, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, n_out)
    )


def features(n_in, n_out):
    if isinstance(n_in, tuple):
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(int(np.prod(n_in)), 7)
        )
    return torch.nn.Linear(n_in, 7)


# What it does


def test_finds_more_of_the_rare_classes_than_the_plain_network():
    """Recall on held-out digits of the classes with 18, 12 and 8 training rows."""
    X, y = load_digits(return_X_y=True)
    counts = dict(enumerate([120, 100, 80, 60, 45, 35, 25, 18, 12, 8]))

    def recall(seed, generator):
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.3, stratify=y, random_state=seed
        )
        X_train, y_train = make_imbalance(
            X_train, y_train, sampling_strategy=counts, random_state=seed
        )
        model = GAMOClassifier(
            generator=generator, image_shape=(1, 8, 8), max_rounds=600, random_state=0
        )
        found = model.fit(X_train, y_train).predict(X_test)
        return recall_score(y_test, found, labels=[7, 8, 9], average="macro")

    plain, game = ([recall(seed, g) for seed in range(3)] for g in (None, "convex"))
    assert np.mean(game) > np.mean(plain) + 0.01


def test_fitted_attributes(table):
    model = fitted(table)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.n_features_in_ == 5
    assert model.n_iter_ == 3
    assert model.device_ == torch.device("cpu")
    assert [record["epoch"] for record in model.history_] == [1, 2, 3]
    names = ["epoch", "m_real", "m_generated", "d_real", "d_generated", "g_m", "g_d"]
    assert all(list(record)[:7] == names for record in model.history_)
    assert model.feature_extractor_ is None
    for network in (model.classifier_, model.discriminator_, model.generator_):
        assert isinstance(network, torch.nn.Module)
        assert not network.training
        assert all(not p.requires_grad for p in network.parameters())
    assert model.classifier_(torch.zeros(2, 5)).shape == (2, 3)
    assert model.discriminator_(torch.zeros(2, 5 + 3)).shape == (2, 1)


def test_predict_is_the_argmax_of_predict_proba(table):
    X, _ = table
    model = fitted(table)
    p = model.predict_proba(X)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(1), 1)
    assert_array_equal(model.predict(X), model.classes_[p.argmax(1)])


@pytest.mark.parametrize(
    "parameters",
    [
        {"discriminator": None},
        {"generator": "unconstrained"},
        {"generator": dense},
        {"classifier": dense, "discriminator": dense},
        {"feature_extractor": "conv"},
        {"feature_extractor": features},
        {"neighborhood": None},
        {"schedule": "algorithm"},
        {"schedule": "per_class"},
        {"loss": "cross_entropy"},
        {"generated_weight": 0.5},
        {"sampling_strategy": 0.5},
        {"sampling_strategy": "all"},
        {"sampling_strategy": {1: 30}},
        {"hidden_layer_sizes": (8,)},
        {"hidden_layer_sizes": [8, 6, 4]},
        {"batch_size": 1},
        {"batch_size": 10_000},
        {"latent_dim": 1},
        {"max_rounds": None},
    ],
)
def test_every_kind_of_game_runs(table, parameters):
    X, _ = table
    model = fitted(table, **parameters)
    assert np.isfinite(model.predict_proba(X)).all()
    rows, labels = model.sample(4)
    assert len(rows) == len(labels) == 4
    assert np.isfinite(rows).all()


def test_without_a_generator_it_is_the_plain_network(table):
    model = fitted(table, generator=None)
    assert list(model.history_[0]) == ["epoch", "m_real", "m_grad_norm", "recall"]
    assert model.generator_ is model.discriminator_ is None
    with pytest.raises(ValueError, match="no class was generated"):
        model.sample(3)


def test_plain_network_and_game_start_alike(table):
    """The same seed gives both the same first M."""
    tiny = {"max_iter": 1, "max_rounds": 1, "learning_rate": 1e-30}
    X, _ = table
    plain = fitted(table, generator=None, **tiny)
    game = fitted(table, **tiny)
    assert_array_equal(plain.predict_proba(X), game.predict_proba(X))


def test_balanced_data_is_a_plain_network():
    X = np.random.default_rng(0).normal(size=(30, 2))
    model = fitted((X, np.repeat([0, 1, 2], 10)))
    assert model.generator_ is None


def test_classes_tied_with_the_largest_are_not_generated():
    X = np.random.default_rng(0).normal(size=(25, 2))
    y = np.repeat([0, 1, 2], [10, 10, 5])
    model = fitted((X, y))
    assert set(model.sample(20)[1]) == {2}


@pytest.mark.parametrize(
    ("strategy", "generated"),
    [("minority", {2}), ("not minority", {1}), ({0: 50, 1: 12}, {0}), (0.25, {2})],
)
@pytest.mark.filterwarnings("ignore:After over-sampling:UserWarning")
def test_sampling_strategy_decides_which_classes_are_generated(
    table, strategy, generated
):
    model = fitted(table, sampling_strategy=strategy)
    assert set(model.sample(50)[1]) == generated


def test_max_rounds_caps_the_whole_fit(table):
    """An epoch of 59 rows in batches of 8 is 8 rounds."""
    model = fitted(table, batch_size=8, max_iter=10, max_rounds=20)
    assert model.n_iter_ == 3
    assert fitted(table, batch_size=8, max_iter=2, max_rounds=20).n_iter_ == 2


def test_string_labels_and_frames(table):
    import pandas as pd

    X, y = table
    labels = np.array(["no", "yes", "maybe"])[y]
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = GAMOClassifier(max_iter=2, random_state=0).fit(frame, pd.Series(labels))
    assert model.classes_.tolist() == ["maybe", "no", "yes"]
    assert model.feature_names_in_.tolist() == list("abcde")
    assert set(model.predict(frame)) <= {"maybe", "no", "yes"}
    categorical = pd.Series(labels, dtype="category")
    again = GAMOClassifier(max_iter=2, random_state=0).fit(frame, categorical)
    assert_array_equal(again.predict(frame), model.predict(frame))


def test_one_feature_one_class_and_classes_of_one_row():
    X = np.arange(12.0)[:, None]
    assert set(fitted((X, np.zeros(12))).predict(X)) == {0}
    y = np.array([0] * 8 + [1, 2, 3, 3])
    assert fitted((X, y)).predict(X).shape == (12,)
    assert fitted((X, y), neighborhood=None).predict(X).shape == (12,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, bool])
def test_dtypes(dtype):
    X = (np.random.default_rng(0).normal(size=(30, 4)) > 0).astype(dtype)
    y = np.repeat([0, 1], [22, 8])
    assert np.isfinite(fitted((X, y)).predict_proba(X)).all()


@pytest.mark.parametrize("feature_extractor", [None, "conv", features])
def test_images_in_every_layout_give_the_same(digits, feature_extractor):
    X, y = digits
    images = X.reshape(-1, 8, 8)
    parameters = {
        "feature_extractor": feature_extractor,
        "max_iter": 1,
        "max_rounds": 3,
        "random_state": 0,
    }
    flat = GAMOClassifier(image_shape=(1, 8, 8), **parameters).fit(X, y)
    expected = flat.predict_proba(X[:20])
    for given in (images, images[:, None], images[..., None]):
        model = GAMOClassifier(**parameters).fit(given, y)
        assert_array_equal(model.predict_proba(given[:20]), expected)
        assert_array_equal(model.predict_proba(X[:20]), expected)
        assert model.n_features_in_ == 64


def test_extract_features(digits):
    X, y = digits
    parameters = {"image_shape": (1, 8, 8), "max_rounds": 2, "random_state": 0}
    plain = GAMOClassifier(**parameters).fit(X, y)
    assert_array_equal(plain.extract_features(X[:5]), X[:5])
    conv = GAMOClassifier(feature_extractor="conv", **parameters).fit(X, y)
    F_x = conv.extract_features(X[:5])
    assert F_x.shape == (5, 64)
    assert np.abs(F_x).max() <= 1
    own = GAMOClassifier(feature_extractor=features, **parameters).fit(X, y)
    assert own.extract_features(X[:5]).shape == (5, 7)
    assert own.sample(3)[0].shape == (3, 7)


# Sampling


def test_sample_counts_and_labels(table):
    model = fitted(table)
    rows, labels = model.sample({2: 3, 1: 2})
    assert labels.tolist() == [1, 1, 2, 2, 2]
    assert rows.shape == (5, 5)
    _, labels = model.sample(2000, random_state=0)
    # In proportion to the deficits, 28 and 33.
    np.testing.assert_allclose(np.mean(labels == 1), 28 / 61, atol=0.04)


def test_sample_gives_new_rows_unless_the_random_state_is_fixed(table):
    model = fitted(table)
    first, second = model.sample(5)[0], model.sample(5)[0]
    assert not np.array_equal(first, second)
    again = fitted(table)
    assert_array_equal(again.sample(5)[0], first)
    assert_array_equal(again.sample(5)[0], second)
    fixed = [model.sample(5, random_state=7)[0] for _ in range(2)]
    assert_array_equal(*fixed)


def test_sample_in_chunks(table, monkeypatch):
    model = fitted(table)
    monkeypatch.setattr("gamo_sampler._generation.CHUNK_VALUES", 100)
    rows, labels = model.sample({1: 70, 2: 1})
    assert len(rows) == len(labels) == 71


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (0, "n must be a positive integer"),
        (-3, "n must be a positive integer"),
        (1.5, "n must be a positive integer"),
        ({1: 0}, "n must be a positive integer"),
        ({0: 5}, r"rows of \[0\], but the generated classes are \[1, 2\]"),
        ({"x": 5}, r"rows of \['x'\], but the generated classes are \[1, 2\]"),
    ],
)
def test_sample_refuses(table, n, message):
    with pytest.raises(ValueError, match=message):
        fitted(table).sample(n)


# The same again


@pytest.mark.parametrize("own", [{}, {"classifier": dense, "discriminator": dense}])
def test_same_seed_same_bits(table, own):
    X, _ = table
    one, two = fitted(table, **own), fitted(table, **own)
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert one.history_ == two.history_
    other = fitted(table, random_state=1, **own)
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("own", [{}, {"classifier": dense}])
def test_fits_in_threads_give_the_same_bits(table, own):
    X, _ = table
    expected = fitted(table, **own).predict_proba(X)
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(lambda _: fitted(table, **own), range(4)))
    for model in models:
        assert_array_equal(model.predict_proba(X), expected)


def test_grid_search_in_processes_gives_the_same_bits(table):
    grid = {"neighborhood": [None, 10], "discriminator": ["auto", None]}
    model = GAMOClassifier(max_iter=2, random_state=0)
    # Bits depend on torch's number of threads, which joblib sets in its workers.
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        parallel = GridSearchCV(
            model, grid, n_jobs=2, cv=2, scoring="neg_log_loss", refit=False
        ).fit(*table)
    serial = GridSearchCV(model, grid, cv=2, scoring="neg_log_loss", refit=False).fit(
        *table
    )
    scores = serial.cv_results_["mean_test_score"]
    assert_array_equal(parallel.cv_results_["mean_test_score"], scores)
    assert len(set(scores)) == 4


def test_caller_s_torch_settings_make_no_difference_and_stay(table):
    X, _ = table
    expected = fitted(table).predict_proba(X)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            model = fitted(table)
            assert torch.is_inference_mode_enabled()
        with torch.no_grad(), torch.device("meta"):
            again = fitted(table)
        own = fitted(table, classifier=dense)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_array_equal(model.predict_proba(X), expected)
    assert_array_equal(again.predict_proba(X), expected)
    assert next(own.classifier_.parameters()).dtype == torch.float32


def test_pickle_and_clone(table):
    X, _ = table
    model = fitted(table)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert_array_equal(loaded.sample(4)[0], model.sample(4)[0])
    assert clone(model).get_params() == model.get_params()


def test_measuring_the_memory_changes_nothing(table):
    class AlwaysDropout(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.dropout(x, 0.5, training=True)

    def classifier(n_in, n_out):
        return torch.nn.Sequential(torch.nn.Linear(n_in, n_out), AlwaysDropout())

    silent, loud = (fitted(table, classifier=classifier, verbose=v) for v in (0, 2))
    assert silent.history_ == loud.history_


# How M learns


@pytest.mark.parametrize("generator", ["convex", None])
@pytest.mark.parametrize(
    "additions",
    [
        {"class_weight": "balanced"},
        {"logit_adjustment": 1.0},
        {"mixup": 0.4},
        {"weight_averaging": 0.9},
    ],
)
def test_what_is_asked_of_m_reaches_its_predictions(table, additions, generator):
    X, _ = table
    plain = fitted(table, generator=generator).predict_proba(X)
    got = fitted(table, generator=generator, **additions).predict_proba(X)
    assert np.abs(got - plain).max() > 1e-4


def with_batch_norm(n_in, n_out=3):
    norm = torch.nn.BatchNorm1d(n_in)
    return torch.nn.Sequential(norm, torch.nn.Linear(n_in, n_out))


@pytest.mark.parametrize("extractor", [None, with_batch_norm])
def test_predictions_are_those_of_the_averaged_weights(table, monkeypatch, extractor):
    """Buffers of batch normalisation are averaged too."""
    states, step = {}, Player.step

    def spy(player, loss):
        step(player, loss)
        if player.average:
            weights = player.network.state_dict().items()
            state = {name: value.clone() for name, value in weights}
            states.setdefault(player.average.module, []).append(state)

    monkeypatch.setattr(Player, "step", spy)
    model = fitted(
        table,
        classifier=with_batch_norm,
        feature_extractor=extractor,
        weight_averaging=0.5,
    )
    assert set(states) == set(model._predictors())
    for network, followed in states.items():
        assert int(network[0].num_batches_tracked) == len(followed) > 4
        expected = averaged(followed, 0.5)
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(tensor, expected[name])


def averaged(states, decay):
    expected = states[0]
    for n, state in enumerate(states[1:], start=1):
        share = 1 - min(decay, (1 + n) / (10 + n))
        for name, new in state.items():
            floats = new.is_floating_point()
            expected[name] = expected[name].lerp(new, share) if floats else new
    return expected


@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_are_generated_from_features_by_averaged_weights(table, early_stopping):
    X, _ = table
    model = fitted(
        table,
        feature_extractor=with_batch_norm,
        weight_averaging=0.9,
        early_stopping=early_stopping,
    )
    features = torch.from_numpy(model.extract_features(X[model._members]))
    torch.testing.assert_close(model._pool, features)


def test_an_average_of_a_short_run_has_left_the_first_weights_behind():
    X, y = load_iris(return_X_y=True)
    settings = {"generator": None, "max_iter": 100, "random_state": 0}
    scores = [
        GAMOClassifier(**settings, weight_averaging=decay).fit(X, y).score(X, y)
        for decay in (0.0, 0.999)
    ]
    assert scores[1] > scores[0] - 0.03


# Published


def test_published_parameters():
    mnist = {
        "loss": "least_squares",
        "generator": "convex",
        "discriminator": "auto",
        "classifier": "auto",
        "feature_extractor": None,
        "image_shape": (1, 28, 28),
        "neighborhood": None,
        "max_sources": None,
        "max_weight": 1.0,
        "min_sources": 1.0,
        "generator_target": "complement",
        "discriminator_weight": 1.0,
        "generated_weight": "algorithm",
        "class_weight": None,
        "logit_adjustment": 0.0,
        "mixup": 0.0,
        "weight_averaging": 0.0,
        "sampling_strategy": "auto",
        "schedule": "algorithm",
        "latent_dim": 100,
        "hidden_layer_sizes": (256, 128),
        "max_iter": 89,
        "max_rounds": None,
        "rounds_per_epoch": None,
        "batch_size": 32,
        "learning_rate": 2e-4,
        "beta_1": 0.5,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "label_smoothing": 0.1,
        "early_stopping": False,
    }
    assert published("mnist") == mnist
    about_the_run = {
        "validation_fraction",
        "n_iter_no_change",
        "scoring",
        "checkpoint",
        "checkpoint_interval",
        "resume",
        "callbacks",
        "max_time",
        "verbose",
        "warm_start",
        "random_state",
        "device",
    }
    assert set(mnist) == set(GAMOClassifier().get_params()) - about_the_run
    assert published("fashion_mnist") == mnist | {"feature_extractor": "conv"}
    # 25,098 rounds on the paper's 9,000 rows.
    assert mnist["max_iter"] * -(-9000 // mnist["batch_size"]) == 25_098
    with pytest.raises(ValueError, match=r"dataset must be one of .* got 'cifar'"):
        published("cifar")


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_published_games_run(dataset):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, size=(60, 28, 28), dtype=np.uint8)
    y = np.repeat([0, 1, 2], [30, 20, 10])
    short = published(dataset) | {"max_iter": 1, "random_state": 0}
    model = GAMOClassifier(**short).fit(X, y)
    assert model.generator_.igu.units[1].out_features == 10
    assert model.predict(X).shape == (60,)


# What it refuses


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[np.nan, 1], [0, 1]]), "Input X contains NaN"),
        (np.array([[np.inf, 1], [0, 1]]), "Input X contains infinity"),
        (np.array([[1j, 1], [0, 1]]), "Complex data not supported"),
        (np.array([["a", "b"], ["c", "d"]], dtype=object), "could not convert string"),
        (np.array([1.0, 2.0]), "Expected 2D array, got 1D array"),
        (np.empty((0, 3)), "Found array with 0 sample"),
        (np.empty((2, 0)), "0 feature"),
        (np.ones((3, 2)), "inconsistent numbers of samples"),
    ],
)
def test_bad_X(X, message):
    with pytest.raises(ValueError, match=message):
        GAMOClassifier().fit(X, [0, 1])


def test_sparse_X_is_refused():
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        GAMOClassifier().fit(sparse.csr_array(np.eye(4)), [0, 0, 0, 1])


def test_one_row():
    with pytest.raises(ValueError, match="1 sample"):
        GAMOClassifier().fit([[1.0, 2.0]], [0])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0.1, 0.5, 0.7, 0.2], "Unknown label type: continuous"),
        ([[1, 1], [0, 1], [1, 0], [1, 1]], "y should be a 1d array"),
        ([0, 1, np.nan, 1], "Input y contains NaN"),
        ([[0, 1], [2, 3], [4, 5], [6, 7]], "y should be a 1d array"),
    ],
)
def test_bad_y(y, message):
    with pytest.raises(ValueError, match=message):
        GAMOClassifier().fit(np.eye(4), y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sampling_strategy": {7: 50}}, r"7.* target class is/are not present"),
        ({"sampling_strategy": {1: 3}}, "should be greater or equal to the original"),
        ({"sampling_strategy": 0.1}, "sampling_strategy=0.1 asks for 4 rows per class"),
        ({"sampling_strategy": -0.5}, "'sampling_strategy' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"latent_dim": -1}, "'latent_dim' parameter"),
        ({"neighborhood": 1}, "'neighborhood' parameter"),
        ({"class_weight": {0: np.nan}}, r"at least 0, got \{0: nan\}"),
        ({"class_weight": {0: -1.0}}, r"at least 0, got \{0: -1.0\}"),
        ({"class_weight": {0: None}}, r"at least 0, got \{0: None\}"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be positive integers"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes must be positive integers"),
        ({"hidden_layer_sizes": (8.5,)}, "hidden_layer_sizes must be positive"),
        ({"image_shape": (1, 2, 3)}, r"\(1, 2, 3\) has 6 values, but X has 5 features"),
        ({"device": "nonsense"}, "device='nonsense' cannot be used"),
        ({"generator": "linear"}, "'generator' parameter"),
        ({"loss": "hinge"}, "'loss' parameter"),
        ({"scoring": "nonsense"}, "'scoring' parameter"),
    ],
    ids=str,
)
def test_bad_parameters(table, parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted(table, **parameters)


@pytest.mark.parametrize(
    "name", ["feature_extractor", "classifier", "discriminator", "generator"]
)
class TestBuilders:
    def test_an_instance_is_refused(self, table, name):
        with torch.random.fork_rng():
            network = torch.nn.Linear(5, 3)
        with pytest.raises(TypeError, match=f"{name} must be a builder.*of Linear"):
            fitted(table, **{name: network})

    def test_no_module(self, table, name):
        with pytest.raises(TypeError, match=rf"{name} must return a torch.nn.Module"):
            fitted(table, **{name: lambda n_in, n_out: "network"})

    def test_wrong_output_shape(self, table, name):
        class Wrong(torch.nn.Linear):
            def forward(self, x):
                return super().forward(x)[:, None]

        with pytest.raises(ValueError, match=rf"{name}'s network maps .* \(2, 1, "):
            fitted(table, **{name: Wrong})

    def test_wrong_input_shape(self, table, name):
        def wrong(n_in, n_out):
            return torch.nn.Linear(n_in + 1, n_out)

        with pytest.raises(ValueError, match=f"{name}'s network fails on input of"):
            fitted(table, **{name: wrong})


@pytest.mark.parametrize("name", ["classifier", "discriminator", "generator"])
def test_a_network_without_parameters_is_refused(table, name):
    class Constant(torch.nn.Module):
        def __init__(self, n_in, n_out):
            super().__init__()
            self.n_out = n_out

        def forward(self, x):
            return x.new_zeros(len(x), self.n_out)

    with pytest.raises(ValueError, match=f"{name}'s network has no parameters"):
        fitted(table, **{name: Constant})


def test_a_frozen_feature_extractor_is_used_as_it_is(table):
    def frozen(n_in, n_out):
        return torch.nn.Linear(n_in, 3).requires_grad_(False)

    model = fitted(table, feature_extractor=frozen)
    assert "f" not in model.history_[0]
    assert model.extract_features(table[0]).shape == (59, 3)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "extract_features"])
def test_before_fit_and_other_features(table, method):
    X, _ = table
    with pytest.raises(NotFittedError):
        getattr(GAMOClassifier(), method)(X)
    with pytest.raises(ValueError, match="X has 4 features, but GAMOClassifier"):
        getattr(fitted(table), method)(X[:, :4])


def test_sample_before_fit():
    with pytest.raises(NotFittedError):
        GAMOClassifier().sample(3)


def test_a_failed_fit_leaves_the_data_alone(table):
    X, y = (a.copy() for a in table)
    X.flags.writeable = y.flags.writeable = False
    fitted((X, y))
    assert_array_equal(X, table[0])
    with pytest.raises(ValueError, match="device"):
        fitted((X, y), device="nonsense")
    assert_array_equal(X, table[0])
