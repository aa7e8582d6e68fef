"""Fits that go on from the one before: `warm_start`, `partial_fit`."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import balanced_accuracy_score

from gamo_sampler import GAMOClassifier, GAMOSampler
from gamo_sampler._strategy import rows_for_batch

SMALL = {"latent_dim": 5, "hidden_layer_sizes": (8,), "random_state": 0}


def warm(**parameters):
    return GAMOClassifier(**{"max_iter": 2, "warm_start": True} | SMALL | parameters)


def weights(model):
    """All weights of a fitted model, by network and name."""
    return {
        f"{name}.{key}": value.clone()
        for name, network in model._networks().items()
        for key, value in network.state_dict().items()
    }


def dense(n_in, n_out):
    """With a first layer that does not learn."""
    network = torch.nn.Sequential(
        torch.nn.Linear(n_in, 6), torch.nn.Tanh(), torch.nn.Linear(6, n_out)
    )
    network[0].requires_grad_(False)
    return network


KINDS = {
    "pairs": {},
    "neighbors": {"neighborhood": 3},
    "full hull": {"neighborhood": None},
    "unconstrained": {"generator": "unconstrained"},
    "without a generator": {"generator": None},
    "features": {"feature_extractor": "conv"},
    "own networks": {"classifier": dense, "discriminator": dense, "generator": dense},
    "averaged": {"weight_averaging": 0.5},
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request):
    return request.param


# warm_start


def test_a_fit_starts_where_the_last_one_ended(table, kind):
    """With next to no step size every weight stays; only batch statistics move."""
    model = warm(**kind).fit(*table)
    before, scaling = weights(model), model._scaling
    model.set_params(learning_rate=1e-12).fit(*table)
    after = weights(model)
    assert model._scaling is scaling
    assert set(after) == set(before)
    for name in before:
        if "running" not in name and "num_batches" not in name:
            assert_allclose(after[name], before[name], rtol=1e-4, atol=1e-6)
    # A fit of its own does not.
    apart = weights(warm(**kind, learning_rate=1e-12, warm_start=False).fit(*table))
    assert any(not torch.allclose(apart[name], before[name]) for name in before)


def test_history_and_counts_go_on(table):
    model = warm(rounds_per_epoch=3).fit(*table)
    first = list(model.history_)
    model.fit(*table)
    assert model.history_[:2] == first
    assert [record["epoch"] for record in model.history_] == [1, 2, 3, 4]
    assert (model.n_iter_, model.n_rounds_) == (4, 12)
    model.set_params(warm_start=False).fit(*table)
    assert (model.n_iter_, model.n_rounds_) == (2, 6)
    assert model.history_ == first


def test_the_draws_go_on(table):
    """The second fit has others than the first one had, and the same in each run."""
    models = [warm(rounds_per_epoch=3, learning_rate=1e-12) for _ in range(2)]
    for model in models:
        model.fit(*table).fit(*table)
    assert models[0].history_ == models[1].history_
    first, _, second, _ = (record["m_real"] for record in models[0].history_)
    assert abs(first - second) > 1e-4


def test_it_learns_on(table):
    X, y = table
    model = warm(max_iter=20).fit(X, y)
    short = model.history_[-1]["m_real"]
    for _ in range(5):
        model.fit(X, y)
    assert model.history_[-1]["m_real"] < 0.8 * short


def test_best_weights_are_those_of_the_fit_itself(table):
    scores = iter([5.0, 4.0, 1.0, 0.0])
    model = warm(early_stopping=True, scoring=lambda *_: next(scores))
    model.fit(*table)
    model.set_params(learning_rate=0.1).fit(*table)
    alone = warm(early_stopping=True, scoring=lambda *_: 0.0, max_iter=1).fit(*table)
    alone.set_params(learning_rate=0.1).fit(*table)
    X, _ = table
    assert_array_equal(model.predict_proba(X), alone.predict_proba(X))


def test_callbacks_see_the_whole_history(table):
    seen = []
    model = warm(callbacks=[lambda view: seen.append((view.epoch, len(view.history)))])
    model.fit(*table).fit(*table)
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_other_rows_of_the_same_classes(table):
    X, y = table
    model = warm().fit(X, y)
    fewer = np.sort(np.r_[np.flatnonzero(y == 2)[:4], np.flatnonzero(y < 2)[5:40]])
    model.fit(X[fewer], y[fewer])
    assert model.n_iter_ == 4
    assert_allclose(model.class_prior_, np.bincount(y[fewer]) / len(fewer))
    rows, _ = model.sample({2: 50})
    low, high = X[fewer][y[fewer] == 2].min(0), X[fewer][y[fewer] == 2].max(0)
    assert ((rows >= low) & (rows <= high)).all()


def test_weights_that_do_not_learn_still_do_not(table):
    model = warm(classifier=dense).fit(*table)
    before = weights(model)
    model.fit(*table)
    after = weights(model)
    assert torch.equal(after["classifier.0.weight"], before["classifier.0.weight"])
    assert not torch.equal(after["classifier.2.weight"], before["classifier.2.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[:, :4], y), "X has 4 features, but GAMOClassifier is expecti"),
        (lambda X, y: (X, y % 2), r"y has the classes \[0, 1\], but .* \[0, 1, 2\]"),
        (lambda X, y: (X, y + 1), r"y has the classes \[1, 2, 3\], but .* \[0, 1, 2\]"),
        (lambda X, y: (X * np.nan, y), "NaN"),
    ],
)
def test_wrong_data_are_refused_and_the_model_stays(table, change, message):
    X, y = table
    model = warm().fit(X, y)
    expected = model.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        model.fit(*change(X, y))
    assert_array_equal(model.predict_proba(X), expected)
    assert model.fit(X, y).n_iter_ == 4


@pytest.mark.parametrize(
    ("parameters", "player"),
    [
        ({"hidden_layer_sizes": (9,)}, "classifier"),
        ({"generator": "unconstrained"}, "generator"),
        ({"latent_dim": 6}, "generator"),
    ],
)
def test_networks_of_another_shape_are_refused_by_name(table, parameters, player):
    model = warm().fit(*table).set_params(**parameters)
    with pytest.raises(
        ValueError, match=f"The {player} of the fit before cannot go"
    ) as raised:
        model.fit(*table)
    assert ("neighborhood=None" in str(raised.value)) == (player == "generator")
    assert model.predict(table[0]).shape == (59,)


def test_the_full_hull_takes_classes_of_the_same_sizes(table):
    X, y = table
    model = warm(neighborhood=None).fit(X, y)
    other = X + 0.1
    assert model.fit(other[::-1], y[::-1]).n_iter_ == 4
    with pytest.raises(ValueError, match=r"neighborhood=None .* output per row"):
        model.fit(np.r_[X, X[y == 2][:1]], np.r_[y, 2])


def test_images_keep_their_shape(digits):
    X, y = digits
    model = warm(image_shape=(1, 8, 8), max_rounds=1).fit(X, y)
    with pytest.raises(
        ValueError, match=r"image_shape=\(1, 4, 16\), but .*\(1, 8, 8\)"
    ):
        model.set_params(image_shape=(1, 4, 16)).fit(X, y)


def fail(view):
    raise RuntimeError("stop")


@pytest.mark.parametrize("goes_on", ["fit", "partial_fit"])
def test_what_fails_to_go_on_leaves_the_fit_before(table, goes_on):
    X, y = table
    model, same = (warm(random_state=0).fit(X, y) for _ in range(2))
    before = set(vars(model))
    with pytest.raises(RuntimeError, match="stop"):
        getattr(model.set_params(callbacks=[fail]), goes_on)(X, y)
    model.set_params(callbacks=None)
    assert set(vars(model)) == before
    assert_array_equal(model.predict_proba(X), same.predict_proba(X))
    assert_array_equal(model.sample(9)[0], same.sample(9)[0])
    assert_array_equal(
        getattr(model, goes_on)(X, y).predict_proba(X),
        getattr(same, goes_on)(X, y).predict_proba(X),
    )


def test_a_first_fit_that_fails_leaves_nothing_to_go_on_from(table):
    model = warm(callbacks=[fail])
    with pytest.raises(RuntimeError, match="stop"):
        model.fit(*table)
    with pytest.raises(NotFittedError):
        model.predict(table[0])
    assert model.set_params(callbacks=None).fit(*table).n_iter_ == 2


def test_samplers_go_on_from_nothing():
    assert "warm_start" not in GAMOSampler().get_params()
    assert not hasattr(GAMOSampler, "partial_fit")
    with pytest.raises(TypeError, match="warm_start"):
        GAMOSampler(warm_start=True)


# partial_fit


def batches(table, n=4):
    X, y = table
    by_class = np.argsort(y, kind="stable")
    return [(X[by_class[i::n]], y[by_class[i::n]]) for i in range(n)]


def partly(table, n=4, passes=1, **parameters):
    model = GAMOClassifier(**SMALL | parameters)
    for _ in range(passes):
        for X, y in batches(table, n):
            model.partial_fit(X, y, classes=[0, 1, 2])
    return model


def test_a_call_is_one_epoch_on_the_batch(table, kind):
    n = 1 if kind.get("neighborhood", "") is None else 4
    model = partly(table, n, passes=4 // n, batch_size=4, **kind)
    assert model.n_iter_ == len(model.history_) == 4
    assert model.n_rounds_ == sum(
        -(-len(X) // 4) for _ in range(4 // n) for X, _ in batches(table, n)
    )
    assert model.predict_proba(table[0]).shape == (59, 3)


def test_it_learns_from_batches(table):
    X, y = table
    model = partly(table, n=2, passes=40, learning_rate=1e-2)
    assert balanced_accuracy_score(y, model.predict(X)) > 0.9


def test_calls_go_on_with_the_optimisers(table):
    """Calls on all rows at once are the epochs of a fit, but for rounding."""
    X, y = table
    parameters = {"generator": None, "batch_size": 59, **SMALL}
    model = GAMOClassifier(**parameters)
    for _ in range(9):
        model.partial_fit(X, y, classes=[0, 1, 2])
    whole = GAMOClassifier(**parameters, max_iter=9).fit(X, y)
    assert_allclose(model.predict_proba(X), whole.predict_proba(X), rtol=1e-4)
    # With optimisers anew they would not be.
    apart = warm(**parameters | {"max_iter": 1})
    for _ in range(9):
        apart.fit(X, y)
    assert np.abs(apart.predict_proba(X) - whole.predict_proba(X)).max() > 1e-3


def test_the_step_size_is_the_one_asked_for(table):
    model = partly(table, classifier=dense)
    before = weights(model)
    model.set_params(learning_rate=1e-12).partial_fit(*table)
    after = weights(model)
    name = "classifier.2.weight"
    assert_allclose(after[name], before[name], rtol=1e-6)


def test_averages_go_on(table):
    """Both weights and their average, which predicts, are kept between calls."""
    model = partly(table, weight_averaging=0.9)
    network = model._players["M"]["network"]["0.weight"]
    average = model.classifier_[0].weight
    assert (network - average).abs().max() > 1e-5
    assert model._players["M"]["average"]["n_averaged"].item() == model.n_rounds_
    learned = partly(table, feature_extractor=dense, weight_averaging=0.9)
    network = learned._players["F"]["network"]["2.weight"]
    average = learned.feature_extractor_[2].weight
    assert (network - average).abs().max() > 1e-5
    assert learned._players["F"]["average"]["n_averaged"].item() == learned.n_rounds_
    # A change of mind in between: there is an average, or none, from then on.
    model.set_params(weight_averaging=0.0).partial_fit(*table)
    model.set_params(weight_averaging=0.5).partial_fit(*table)
    assert model.n_iter_ == 6


def test_a_fit_s_optimisers_are_not_kept(table):
    assert warm().fit(*table)._players == {}


def test_batches_that_lack_classes(table):
    X, y = table
    model = GAMOClassifier(batch_size=4, **SMALL)
    model.partial_fit(X[y == 1], y[y == 1], classes=[0, 1, 2])
    assert model.generator_ is None
    assert model.predict_proba(X).shape == (59, 3)
    model.partial_fit(X[y != 1], y[y != 1])
    assert set(model.sample(5)[1]) == {2}
    before = weights(model)
    model.partial_fit(X[y == 0][:1], [0])
    after = weights(model)
    assert set(after) == set(before)
    assert all(torch.equal(after[k], v) for k, v in before.items() if "gener" in k)
    with pytest.raises(ValueError, match="Nothing to sample"):
        model.sample(5)
    model.partial_fit(X[y > 0], y[y > 0])
    assert set(model.sample(5)[1]) == {2}


def test_sample_mixes_the_last_batch(table):
    model = partly(table, n=2)
    last_X, last_y = batches(table, 2)[-1]
    rows, _ = model.sample({2: 100})
    own = last_X[last_y == 2]
    assert ((rows >= own.min(0)) & (rows <= own.max(0))).all()


def test_priors_count_all_batches(table):
    X, y = table
    model = partly(table)
    assert_allclose(model.class_prior_, np.bincount(y) / 59)
    assert_allclose(model.trained_prior_, 1 / 3)
    plain = partly(table, generator=None, rounds_per_epoch=2)
    shares = [np.bincount(own, minlength=3) / len(own) for _, own in batches(table)]
    assert_allclose(plain.trained_prior_, np.mean(shares, axis=0))
    assert_allclose(
        plain.predict_proba(X, prior="training").sum(1), np.ones(59), rtol=1e-6
    )


def test_weights_of_rows(table):
    X, y = table
    w = np.where(y == 0, 0.5, 2.0) * (np.arange(59) % 5 > 0)
    model = GAMOClassifier(**SMALL)
    for i in range(2):
        model.partial_fit(X[i::2], y[i::2], [0, 1, 2], sample_weight=w[i::2])
    sums = np.bincount(y, w)
    assert_allclose(model.class_prior_, sums / sums.sum())
    # Without a class, and a row of no weight.
    model.partial_fit(X[y < 2], y[y < 2], sample_weight=w[y < 2])
    assert np.isfinite(model.trained_prior_).all()
    assert model.trained_prior_.sum() == pytest.approx(1)


def test_after_fit_it_goes_on(table):
    X, y = table
    model = warm().fit(X, y)
    before = weights(model)
    model.set_params(learning_rate=1e-12).partial_fit(X, y)
    assert model.n_iter_ == 3
    assert_allclose(
        weights(model)["classifier.0.weight"], before["classifier.0.weight"]
    )
    assert_allclose(model.class_prior_, np.bincount(y) / 59)
    # And a fit of its own starts anew.
    assert model.set_params(warm_start=False).fit(X, y).n_iter_ == 2


def test_a_pickle_goes_on_alike(table):
    X, y = table
    model = partly(table, weight_averaging=0.5)
    loaded = pickle.loads(pickle.dumps(model))
    for one in (model, loaded):
        one.partial_fit(X, y)
    assert_array_equal(model.predict_proba(X), loaded.predict_proba(X))
    assert model.history_ == loaded.history_


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"early_stopping": True}, "does not support early_stopping=True"),
        ({"class_weight": "balanced"}, "does not support class_weight='balanced'"),
        ({"logit_adjustment": 0.5}, "does not support logit_adjustment=0.5"),
    ],
)
def test_what_a_batch_cannot_tell_is_refused(table, parameters, message):
    with pytest.raises(ValueError, match=message):
        GAMOClassifier(**parameters).partial_fit(*table, classes=[0, 1, 2])


def test_class_weights_by_label(table):
    model = partly(table, class_weight={2: 3.0})
    assert_allclose(model.trained_prior_, [0.2, 0.2, 0.6])


def test_classes_are_given_first_and_stay(table):
    X, y = table
    model = GAMOClassifier(**SMALL)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"labels \[2\], but the classes are \[0, 1\]"):
        model.partial_fit(X, y, classes=[0, 1])
    model.partial_fit(X, y, classes=[0, 1, 2, 7])
    assert model.classes_.tolist() == [0, 1, 2, 7]
    expected = model.predict_proba(X)
    assert expected.shape == (59, 4)
    for wrong in [{"y": y + 1}, {"classes": [0, 1, 2]}, {"X": X[:, :3]}]:
        with pytest.raises(ValueError, match=r"labels \[3\]|not the same|features"):
            model.partial_fit(**{"X": X, "y": y} | wrong)
    assert_array_equal(model.predict_proba(X), expected)


def test_labels_of_words(table):
    X, y = table
    names = np.array(["few", "many", "none"])
    model = GAMOClassifier(**SMALL).partial_fit(X, names[y % 2], classes=names[::-1])
    assert model.classes_.tolist() == ["few", "many", "none"]
    assert set(model.predict(X)) <= set(names)


def test_a_batch_of_the_full_hull_has_classes_of_the_same_sizes(table):
    X, y = table
    model = GAMOClassifier(neighborhood=None, **SMALL)
    model.partial_fit(X, y, classes=[0, 1, 2])
    assert model.partial_fit(X, y).n_iter_ == 2
    with pytest.raises(ValueError, match=r"output per row .* whose sizes have to stay"):
        model.partial_fit(X[::2], y[::2])
    assert model.partial_fit(X, y).n_iter_ == 3


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("auto", {1: 5, 2: 7}),
        (0.5, {2: 2}),
        (0.1, {}),
        ({0: 5, 1: 9, 3: 40}, {1: 4}),
    ],
)
def test_rows_for_a_batch(strategy, expected):
    y = np.repeat([0, 1, 2], [10, 5, 3])
    found = rows_for_batch(strategy, y)
    assert {label: n for label, n in found.items() if n} == expected


def test_strategies_that_some_batches_meet(table):
    for strategy in (0.3, {1: 8, 2: 8}):
        assert partly(table, sampling_strategy=strategy).n_iter_ == 4


@pytest.mark.parametrize("absent", [0, 1, 2])
@pytest.mark.parametrize("first", [True, False])
def test_any_class_may_be_absent_from_a_batch(absent, first):
    X, y = load_iris(return_X_y=True)
    batch = y != absent
    model = GAMOClassifier(random_state=0)
    if not first:
        model.partial_fit(X, y, classes=[0, 1, 2])
    model.partial_fit(X[batch][10:], y[batch][10:], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)
    assert model.class_prior_[absent] == (0 if first else 50 / 240)
