"""`sample_weight` of GAMOClassifier: what it multiplies, and what it leaves alone."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_class_weight

from gamo_sampler import GAMO2Pix, GAMOClassifier
from gamo_sampler._labelled import Labelled
from gamo_sampler._watch import Watcher, balanced_log_loss

SMALL = {"batch_size": 16, "latent_dim": 5, "max_iter": 3, "random_state": 0}


def classifier(**parameters):
    return GAMOClassifier(**SMALL | parameters)


def game_of(X, y, sample_weight, **parameters):
    """The game that a classifier would play, not yet played."""
    model = classifier(**parameters)
    model.classes_ = np.unique(y)
    model._image_shape = None
    model.device_ = torch.device("cpu")
    counts = np.bincount(y)
    n_generated = counts.max() - counts
    rng = torch.Generator().manual_seed(0)
    return model._make_game(Labelled(X, y, sample_weight), n_generated, rng)


@pytest.fixture
def weights(table):
    return np.random.default_rng(1).uniform(0.2, 4, len(table[1]))


# What it means


@pytest.mark.parametrize("scale", [1.0, 3.7, 1e-3])
def test_equal_weights_are_none_to_the_bit(table, scale):
    X, y = table
    equal = np.full(len(y), scale)
    assert_array_equal(
        classifier().fit(X, y, equal).predict_proba(X),
        classifier().fit(X, y).predict_proba(X),
    )


@pytest.mark.parametrize("generator", [None, "convex", "unconstrained"])
def test_only_ratios_matter(table, weights, generator):
    X, y = table
    model = classifier(generator=generator)
    once = model.fit(X, y, weights).predict_proba(X)
    # By a power of two: no rounding.
    assert_array_equal(model.fit(X, y, 1024 * weights).predict_proba(X), once)
    unlike = model.fit(X, y).predict_proba(X)
    assert not np.allclose(unlike, once, atol=1e-3)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("left", ["unequal", "equal"])
def test_rows_of_weight_zero_are_left_out(table, weights, early_stopping, left):
    X, y = table
    used = np.arange(len(y)) % 3 > 0
    weights = np.where(used, weights if left == "unequal" else 1.0, 0)
    model = classifier(early_stopping=early_stopping).fit(X, y, weights)
    without = classifier(early_stopping=early_stopping)
    without.fit(X[used], y[used], weights[used])
    assert_array_equal(model.predict_proba(X), without.predict_proba(X))
    assert_array_equal(model.class_prior_, without.class_prior_)
    assert_array_equal(model.trained_prior_, without.trained_prior_)
    assert_array_equal(X[model._members], without._pool)
    assert used[model._members].all()


def test_a_class_without_weight_is_not_there(table):
    X, y = table
    model = classifier().fit(X, y, y != 1)
    assert model.classes_.tolist() == [0, 2]
    assert model.predict_proba(X).shape == (len(y), 2)


def test_rows_of_a_file_of_weight_zero_are_left_out(table, weights, tmp_path):
    X, y = table
    np.save(tmp_path / "X.npy", X)
    lazy = np.load(tmp_path / "X.npy", mmap_mode="r")
    weights[::4] = 0
    found, expected = (classifier().fit(rows, y, weights) for rows in (lazy, X))
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_images_of_a_game_with_weights_are_made_of_the_right_ones(digits):
    """GAMO2Pix asks a fitted game for positions in all of X."""
    images, y = digits[0].reshape(-1, 8, 8), digits[1]
    used = np.arange(len(y)) % 5 > 0
    game = classifier(feature_extractor="conv", max_iter=1).fit(images, y, used)
    pix = GAMO2Pix(game, prefit=True, max_rounds=2, random_state=0)
    _, y_resampled = pix.fit_resample(images, y)
    sources = pix.provenance_.tocoo()
    assert used[sources.col].all()
    assert_array_equal(y[sources.col], y_resampled[len(y) :][sources.row])


def test_weights_of_labels_are_class_weights(table):
    """`class_weight` is not scaled, but Adam does not see the scale of a loss."""
    X, y = table
    by_label = {0: 1.0, 1: 3.0, 2: 0.25}
    weights = np.array([by_label[label] for label in y])
    exact = {"epsilon": 1e-20}
    weighted = classifier(**exact).fit(X, y, weights)
    plain = classifier(class_weight=by_label, **exact).fit(X, y)
    assert_allclose(weighted.trained_prior_, plain.trained_prior_, rtol=1e-6)
    assert_allclose(weighted.predict_proba(X), plain.predict_proba(X), rtol=1e-3)


def test_an_integer_weight_is_a_row_so_many_times_in_the_loss(table):
    X, y = table
    n_times = 1 + np.arange(len(y)) % 3
    game = game_of(X, y, n_times, batch_size=len(y))
    everything = torch.arange(len(y))
    x, (labels, w) = game.real(everything), game.labels_of(everything)
    again = everything.repeat_interleave(torch.tensor(n_times))
    once = torch.ones(len(again))
    repeated = game.lesson(game.M(x[again]), [labels[again]], [once], None).mean()
    [(_, weighted)] = game.m_step(None, m_real=(x, labels, w, 1.0))
    torch.testing.assert_close(weighted, repeated.detach())


def test_probabilities_are_those_of_the_weighted_population():
    """The same point with both labels, one of which weighs nine times as much."""
    X, y = np.zeros((40, 1)), np.arange(40) % 2
    model = classifier(
        generator=None, loss="log_loss", max_iter=200, learning_rate=0.01
    )
    p = model.fit(X, y, np.where(y == 1, 9, 1)).predict_proba(X[:1])
    assert_allclose(p, [[0.1, 0.9]], atol=0.02)


# In the game


@pytest.mark.parametrize("neighborhood", ["class", None, 4])
def test_a_generated_row_weighs_the_mean_of_its_sources(table, weights, neighborhood):
    game = game_of(*table, weights, neighborhood=neighborhood, class_weight={1: 3.0})
    [index] = game.batches(1)
    draw = game.draw_round(index).generated
    x, w = game.generate(draw)
    torch.testing.assert_close(x, game.G(draw, game.pool))
    with torch.no_grad():
        network = game.G.network
        matrix = network.igu.matrix(network.weights(draw), draw)
    carried = matrix @ (weights / weights.mean())[game.members.numpy()]
    assert_allclose(w, np.where(draw.y == 1, 3.0, 1.0) * carried, rtol=1e-5)
    assert np.ptp(carried) > 0.1


def test_a_row_of_a_free_generator_weighs_what_one_of_its_class_does(table, weights):
    X, y = table
    game = game_of(X, y, weights, generator="unconstrained")
    [index] = game.batches(1)
    draw = game.draw_round(index).generated
    of_class = [set((weights / weights.mean()).astype("f4")[y == i]) for i in range(3)]
    _, w = game.generate(draw)
    for i, value in zip(draw.y.tolist(), w.numpy(), strict=True):
        assert value in of_class[i]


@pytest.mark.parametrize("schedule", ["joint", "algorithm", "per_class"])
def test_m_learns_with_the_weights_and_no_other_player(table, weights, schedule):
    game = game_of(*table, weights, schedule=schedule)
    lessons, lesson = [], game.lesson
    game.lesson = lambda scores, ys, ws, mix: (
        lessons.append(torch.cat(ws)) or lesson(scores, ys, ws, mix)
    )
    [index] = game.batches(1)
    r = game.draw_round(index)
    expected = torch.tensor((weights / weights.mean())[index], dtype=torch.float32)
    torch.testing.assert_close(r.w, expected)
    _, generated = game.generate(r.generated)
    game.play(r)
    torch.testing.assert_close(torch.cat(lessons), torch.cat([r.w, generated]))


def test_mixed_rows_keep_each_label_s_own_weight(table, weights):
    game = game_of(*table, weights, mixup=0.4)
    [index] = game.batches(1)
    r = game.draw_round(index)
    scores = game.M(r.mix.of(r.x)).detach()
    got = game.lesson(scores, [r.y], [r.w], r.mix)
    for row in range(len(index)):
        own, other = (
            game.loss_for(scores[[row]], r.y[[i]], r.w[[i]])
            for i in (row, int(r.mix.other[row]))
        )
        share = r.mix.share[row]
        torch.testing.assert_close(got[[row]], share * own + (1 - share) * other)


def test_the_feature_extractor_learns_with_them(table, weights):
    game = game_of(*table, weights, feature_extractor="conv")
    [index] = game.batches(1)
    x, (y, w) = game.rows[index], game.labels_of(index)
    losses = game.loss_for(game.M(game.F(x)), y, 1.0).detach()
    [(_, loss)] = game.f_step(x, y, w, None)
    torch.testing.assert_close(loss, (w * losses).mean())


def test_numbers_to_generate_count_rows(table, weights):
    game, plain = (game_of(*table, w) for w in (weights, None))
    assert_array_equal(game.n_generated, plain.n_generated)
    assert game.generated_weight == plain.generated_weight


# The laws that follow


def test_priors_by_hand(table, weights):
    X, y = table
    model = classifier(generated_weight=0.5, logit_adjustment=0.3)
    model.fit(X, y, weights)
    sums = np.bincount(y, weights)
    prior = sums / sums.sum()
    assert_allclose(model.class_prior_, prior)
    n = np.bincount(y)
    share = (n.max() - n) / (n.max() - n).sum()
    mean_weight = sums / n / weights.mean()
    rho = (prior + 0.5 * share * mean_weight) / prior**0.3
    assert_allclose(model.trained_prior_, rho / rho.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    "parameters", [{"logit_adjustment": 1.0}, {"class_weight": "balanced"}], ids=str
)
def test_what_balances_the_classes_counts_weights(table, weights, parameters):
    model = classifier(generator=None, **parameters).fit(*table, weights)
    assert_allclose(model.trained_prior_, 1 / 3, rtol=1e-6)


def test_balanced_class_weights_are_scikit_learns(table, weights):
    game = game_of(*table, weights, class_weight="balanced")
    relative = weights / weights.mean()
    expected = compute_class_weight(
        "balanced", classes=np.arange(3), y=table[1], sample_weight=relative
    )
    assert_allclose(game.class_weight, expected, rtol=1e-6)


# Early stopping


def test_the_default_score_counts_a_row_so_many_times(table):
    X, y = table
    model = LogisticRegression().fit(StandardScaler().fit_transform(X), y)
    n_times = 1 + np.arange(len(y)) % 3
    again = np.arange(len(y)).repeat(n_times)
    assert balanced_log_loss(model, X, y, n_times) == pytest.approx(
        balanced_log_loss(model, X[again], y[again])
    )


def accuracy_without_weights(estimator, X, y):
    return np.mean(estimator.predict(X) == y)


@pytest.mark.parametrize(
    ("scoring", "weighted"),
    [("accuracy", True), (None, True), (accuracy_without_weights, False)],
)
def test_held_out_rows_are_weighted_where_the_scorer_can(table, scoring, weighted):
    X, y = table
    X = StandardScaler().fit_transform(X)
    model = LogisticRegression().fit(X, y)
    n_times = np.where(model.predict(X) == y, 5, 1)
    again = np.arange(len(y)).repeat(n_times)
    by_weight = Watcher(model, scoring, X, y, 1, n_times).scores(1)
    repeated = Watcher(model, scoring, X[again], y[again], 1).scores(1)
    plain = Watcher(model, scoring, X, y, 1).scores(1)
    expected = repeated if weighted else plain
    key = "validation_score"
    assert by_weight[key] == pytest.approx(expected[key])
    assert repeated[key] != pytest.approx(plain[key])
    assert by_weight["validation_gm"] == pytest.approx(repeated["validation_gm"])


def test_the_weights_of_held_out_rows_reach_the_scorer(table, weights):
    X, y = table
    seen = []

    def score(estimator, X, y, sample_weight=None):
        seen.append((X[:, 0], sample_weight))
        return 0.0

    classifier(early_stopping=True, scoring=score, max_iter=1).fit(X, y, weights)
    [(column, given)] = seen
    rows = [int(np.flatnonzero(X[:, 0] == value)[0]) for value in column]
    assert_array_equal(given, weights[rows])


# What is refused, and metadata routing


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (-1.0, "Negative values"),
        (np.nan, "NaN"),
        (np.inf, "infinity"),
    ],
)
def test_values_that_are_no_weights_are_refused(table, weights, wrong, message):
    weights[3] = wrong
    model = classifier()
    with pytest.raises(ValueError, match=message):
        model.fit(*table, weights)
    assert not model.__sklearn_is_fitted__()


def test_weights_of_another_shape_or_all_zero_are_refused(table, weights):
    with pytest.raises(ValueError, match="shape"):
        classifier().fit(*table, weights[:-1])
    with pytest.raises(ValueError, match="zero"):
        classifier().fit(*table, 0 * weights)


def test_a_search_routes_weights_through_a_pipeline(table, weights):
    X, y = table
    with config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True)
        scale = StandardScaler().set_fit_request(sample_weight=False)
        search = GridSearchCV(
            make_pipeline(scale, model),
            {"gamoclassifier__mixup": [0.0]},
            scoring=make_scorer(accuracy_score).set_score_request(sample_weight=True),
            cv=2,
        )
        search.fit(X, y, sample_weight=weights)
    scaled = StandardScaler().fit_transform(X)
    assert_array_equal(
        search.predict_proba(X),
        classifier().fit(scaled, y, weights).predict_proba(scaled),
    )


@pytest.mark.parametrize("asks", [True, False])
def test_cross_validation_routes_weights_where_they_are_asked_for(table, weights, asks):
    X, y = table
    halves = np.arange(0, len(y), 2), np.arange(1, len(y), 2)
    with config_context(enable_metadata_routing=True):
        found = cross_validate(
            classifier().set_fit_request(sample_weight=asks),
            X,
            y,
            params={"sample_weight": weights},
            scoring=make_scorer(accuracy_score).set_score_request(sample_weight=True),
            cv=[halves],
            return_estimator=True,
        )
    [model] = found["estimator"]
    train = halves[0]
    expected = classifier().fit(X[train], y[train], weights[train] if asks else None)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
