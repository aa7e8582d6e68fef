"""Validation sets, scores, stopping, and losses that are not finite."""

import numpy as np
import pytest
import torch
from imblearn.metrics import geometric_mean_score
from sklearn.exceptions import NotFittedError
from sklearn.metrics import (
    check_scoring,
    cohen_kappa_score,
    get_scorer_names,
    log_loss,
    make_scorer,
    roc_auc_score,
)

from gamo_sampler import GAMOClassifier
from gamo_sampler._game import Game
from gamo_sampler._networks import linear
from gamo_sampler._watch import (
    balanced_log_loss,
    check_losses,
    check_weights,
    hold_out,
)

slowed_down = pytest.mark.filterwarnings("ignore:.* Going back to the end of epoch")


def test_hold_out_is_stratified_and_leaves_single_rows_in_training():
    y = np.repeat([0, 1, 2, 3], [50, 20, 2, 1])
    held = hold_out(y, 0.1, np.random.RandomState(0))
    assert np.bincount(y[held], minlength=4).tolist() == [5, 2, 1, 0]
    assert len(set(held)) == len(held)


def test_hold_out_never_takes_a_whole_class():
    y = np.repeat([0, 1], [50, 3])
    held = hold_out(y, 0.99, np.random.RandomState(0))
    assert np.bincount(y[held]).tolist() == [49, 2]


def test_hold_out_of_single_rows_only():
    with pytest.raises(ValueError, match="early_stopping needs a class with at least"):
        hold_out(np.arange(3), 0.5, np.random.RandomState(0))


def test_default_score_gives_every_class_the_same_weight(table):
    X, y = table
    model = GAMOClassifier(max_iter=1, random_state=0).fit(X, y)
    p = model.predict_proba(X)
    by_class = [log_loss(y[y == i], p[y == i], labels=[0, 1, 2]) for i in range(3)]
    assert balanced_log_loss(model, X, y) == pytest.approx(-np.mean(by_class))


@pytest.mark.parametrize("scoring", [None, "balanced_accuracy", "neg_log_loss"])
def test_early_stopping_stops_and_restores_the_best_weights(table, scoring):
    X, y = table
    model = GAMOClassifier(
        early_stopping=True,
        validation_fraction=0.3,
        scoring=scoring,
        n_iter_no_change=3,
        max_iter=200,
        learning_rate=1e-2,
        random_state=0,
    ).fit(X, y)
    scores = [record["validation_score"] for record in model.history_]
    best = int(np.argmax(scores)) + 1
    assert model.n_iter_ == len(scores) == best + 3 < 200
    assert all(0 <= record["validation_gm"] <= 1 for record in model.history_)
    # A run of just the best epoch's length ends with the same weights.
    again = GAMOClassifier(**model.get_params()).set_params(max_iter=best).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


def held_out(y, fraction=0.3):
    """Positions of the rows that a fit with random_state=0 holds out."""
    random_state = np.random.RandomState(0)
    random_state.randint(2**31 - 1)  # the seed of the draws comes first
    return hold_out(y, fraction, random_state)


def of_probabilities(y_true, y_score):
    return y_score[np.arange(len(y_true)), y_true].mean()


MANY_CLASSES = [
    "accuracy",
    "f1_macro",
    "roc_auc_ovr",
    "roc_auc_ovo_weighted",
    "neg_log_loss",
    "neg_brier_score",
    *{"d2_log_loss_score"} & set(get_scorer_names()),  # from scikit-learn 1.8 on
    "top_k_accuracy",
    make_scorer(cohen_kappa_score),
    make_scorer(of_probabilities, response_method="predict_proba"),
    make_scorer(geometric_mean_score, average="macro"),
]
TWO_CLASSES = [
    "roc_auc",
    "average_precision",
    "f1",
    "precision",
    make_scorer(roc_auc_score, response_method=("decision_function", "predict_proba")),
]


@pytest.mark.filterwarnings("ignore:Precision is ill-defined")
@pytest.mark.parametrize(
    ("n_classes", "scoring"),
    [(3, s) for s in MANY_CLASSES] + [(2, s) for s in TWO_CLASSES],
    ids=str,
)
def test_scores_are_scikit_learn_s_on_the_rows_held_out(table, n_classes, scoring):
    X, y = table
    y = np.minimum(y, n_classes - 1)
    model = GAMOClassifier(
        early_stopping=True,
        validation_fraction=0.3,
        scoring=scoring,
        max_iter=1,
        random_state=0,
    ).fit(X, y)
    held = held_out(y)
    expected = check_scoring(model, scoring)(model, X[held], y[held])
    [record] = model.history_
    assert record["validation_score"] == pytest.approx(expected, abs=1e-9)
    gm = geometric_mean_score(y[held], model.predict(X[held]))
    assert record["validation_gm"] == pytest.approx(gm)


def test_a_scorer_of_margins_alone_is_refused(table):
    scoring = make_scorer(roc_auc_score, response_method="decision_function")
    model = GAMOClassifier(early_stopping=True, scoring=scoring, random_state=0)
    with pytest.raises(AttributeError, match="decision_function"):
        model.fit(*table)


def test_rows_held_out_are_neither_learned_from_nor_mixed(table):
    """Rows that are far away would show in the scaling, and in generated rows."""
    X, y = table
    held = held_out(y)
    far = X.copy()
    far[held] += 1e3 * np.abs(X).max(0)
    parameters = {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 2}
    models = [
        GAMOClassifier(**parameters, scoring=lambda *_: 0.0, random_state=0).fit(Z, y)
        for Z in (X, far)
    ]
    one, two = (model.predict_proba(X) for model in models)
    np.testing.assert_array_equal(one, two)
    rows, _ = models[1].sample(200)
    assert (rows <= X.max(0)).all()


def test_scorer_sees_the_classifier_as_it_stands(table):
    X, y = table
    seen = []

    def scorer(estimator, X_held_out, y_held_out):
        seen.append((estimator.classes_.tolist(), set(y_held_out), X_held_out.shape[1]))
        return float(np.mean(estimator.predict(X_held_out) == y_held_out))

    labels = np.array(["a", "b", "c"])[y]
    GAMOClassifier(early_stopping=True, scoring=scorer, max_iter=2, random_state=0).fit(
        X, labels
    )
    assert seen == [(["a", "b", "c"], {"a", "b", "c"}, 5)] * 2


@pytest.mark.parametrize(
    ("failed", "player"),
    [("m_real", "classifier"), ("g_d", "discriminator"), ("rows", "generator")],
)
def test_values_that_are_not_finite_name_epoch_and_player(failed, player):
    losses = {"m_real": 0.1, "g_d": 0.1}
    check_losses(losses, None, 7)
    match = rf"failed in epoch 7: the {player} was the first .*\({failed} is "
    with pytest.raises(ValueError, match=match):
        check_losses(losses, failed, 7)


def test_weights_that_are_not_finite_name_the_player():
    network = linear(2, 2, torch.Generator().manual_seed(0))
    check_weights({"discriminator": network}, 3)
    network.weight.data[0, 0] = torch.inf
    with pytest.raises(ValueError, match=r"weights of the discriminator .* epoch 3"):
        check_weights({"discriminator": network}, 3)


class Exploding(torch.nn.Module):
    """A classifier whose scores turn NaN once it has been trained a little."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = torch.nn.Linear(n_in, n_out)
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        return self.layer(x) * (torch.nan if self.calls > 20 else 1)


class BadStep(torch.nn.Module):
    """A network whose values are fine until its 20th gradient, which is NaN."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = torch.nn.Linear(n_in, n_out)
        self.steps = 0
        self.layer.weight.register_hook(self.count)

    def count(self, gradient):
        self.steps += 1
        return gradient * (torch.nan if self.steps == 20 else 1)

    def forward(self, x):
        return self.layer(x)


@slowed_down
@pytest.mark.parametrize("schedule", ["joint", "algorithm", "per_class"])
@pytest.mark.parametrize("loss", ["least_squares", "cross_entropy"])
@pytest.mark.parametrize("player", ["classifier", "discriminator", "generator"])
def test_training_stops_and_names_the_player_that_failed_first(
    table, schedule, loss, player
):
    """In the 20th of its steps: 8 rounds make an epoch."""
    X, y = table
    parameters = {player: Exploding, "loss": loss, "schedule": schedule}
    model = GAMOClassifier(**parameters, batch_size=8, random_state=0)
    steps_per_round = {"joint": 1, "algorithm": 2, "per_class": 2}[schedule]
    if player == "generator" and schedule == "per_class":
        steps_per_round = 4
    epoch = 20 // (8 * steps_per_round) + 1
    match = rf"failed in epoch {epoch}: the {player} was the first"
    with pytest.raises(ValueError, match=match):
        model.fit(X, y)
    assert len(model.history_) == epoch - 1
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize("player", ["classifier", "discriminator", "generator"])
def test_one_bad_step_is_taken_back(table, player):
    """The 20th step is in the third epoch of 8 rounds."""
    model = GAMOClassifier(
        **{player: BadStep}, max_iter=5, batch_size=8, random_state=0
    )
    match = (
        rf"failed in epoch 3: the {player} was the first .* Going back to the end of "
        r"epoch 2, and on with learning_rate=0.0001 \(retry 1 of 3\)"
    )
    with pytest.warns(UserWarning, match=match) as caught:
        model.fit(*table)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert [record["epoch"] for record in model.history_] == [1, 2, 3, 4, 5]
    values = [np.hstack(list(record.values())) for record in model.history_]
    assert np.isfinite(values).all()


@slowed_down
def test_a_learning_rate_out_of_reach_is_the_classifier_s_failure(table):
    model = GAMOClassifier(learning_rate=1e39, random_state=0)
    with pytest.raises(ValueError, match="failed in epoch 1: the classifier"):
        model.fit(*table)


@slowed_down
@pytest.mark.parametrize("generator", ["convex", None])
def test_features_that_are_not_finite_name_the_feature_extractor(table, generator):
    model = GAMOClassifier(
        feature_extractor=Exploding, generator=generator, batch_size=8, random_state=0
    )
    match = "failed in epoch 3: the feature_extractor was the first"
    with pytest.raises(ValueError, match=match):
        model.fit(*table)


@slowed_down
@pytest.mark.parametrize(
    ("learning_rate", "what"), [(1e30, "outputs"), (1e43, "weights")]
)
@pytest.mark.parametrize("early_stopping", [True, False])
def test_the_last_step_is_checked_too(table, learning_rate, what, early_stopping):
    """After one round, the loss before the step was fine."""
    model = GAMOClassifier(
        generator=None,
        learning_rate=learning_rate,
        max_rounds=1,
        early_stopping=early_stopping,
        random_state=0,
    )
    with pytest.raises(ValueError, match=rf"{what} of the classifier .* epoch 1"):
        model.fit(*table)


@slowed_down
def test_a_failed_fit_leaves_nothing_half_fitted(table):
    X, y = table
    model = GAMOClassifier(max_iter=1, batch_size=8, random_state=0).fit(X, y)
    good = model.get_params()
    wrong = [{"sampling_strategy": {9: 99}}, {"classifier": Exploding, "max_iter": 9}]
    for parameters in wrong:
        model.set_params(**good).fit(X, y)
        with pytest.raises(ValueError, match=r"not present|failed in epoch"):
            model.set_params(**parameters).fit(X[:, :4], y)
        for method in (model.predict_proba, model.extract_features, model.sample):
            with pytest.raises(NotFittedError):
                method(X)


@pytest.mark.parametrize("value", [1e50, 1e300])
def test_values_too_large_are_named(table, value):
    X, y = table
    model = GAMOClassifier(max_iter=1, random_state=0).fit(X, y)
    huge = X.copy()
    huge[3, 2] = value
    with pytest.raises(ValueError, match=r"too large for float32 in columns \[2\]"):
        model.predict(huge)
    huge[:, 2] = np.linspace(-value, value, 59)
    if value == 1e300:
        with pytest.raises(ValueError, match=r"too large for float32 in columns \[2\]"):
            model.fit(huge, y)
    else:
        assert np.isfinite(model.fit(huge, y).predict_proba(huge)).all()


def test_a_score_of_nan_is_refused(table):
    model = GAMOClassifier(
        early_stopping=True, scoring=lambda *_: float("nan"), random_state=0
    )
    with pytest.raises(ValueError, match="scoring gives nan"):
        model.fit(*table)


def test_classes_that_cannot_be_held_out_are_announced(table):
    X, y = table
    y = np.where(np.arange(59) == np.flatnonzero(y == 0)[0], 3, y)
    model = GAMOClassifier(early_stopping=True, max_iter=5, random_state=0)
    with pytest.warns(UserWarning, match=r"Classes \[3\] have one row each"):
        model.fit(X, y)
    assert np.isfinite([record["validation_gm"] for record in model.history_]).all()


def test_best_weights_of_f_come_back_with_its_features(digits):
    """The rows that G mixes are those of the F that was restored."""
    X, y = digits
    scores = iter([1.0, 0.0])
    model = GAMOClassifier(
        feature_extractor="conv",
        image_shape=(1, 8, 8),
        early_stopping=True,
        n_iter_no_change=1,
        scoring=lambda *_: next(scores),
        batch_size=64,
        random_state=0,
    )
    model.fit(X, y)
    assert model.n_iter_ == 2  # the second epoch scored less: the first is back
    features = model.extract_features(X)
    pool = model._pool.numpy()
    distances = np.linalg.norm(pool[:, None] - features[None], axis=2).min(1)
    assert distances.max() < 1e-5


def test_held_out_rows_do_not_change_the_weight_of_generated_rows(monkeypatch):
    """Equation 3's weight is a ratio of class sizes, which the split keeps."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(130, 2)), np.repeat([0, 1], [100, 30])
    seen = []
    epoch = Game.epoch

    def spy(game, *arguments):
        seen.append(game.generated_weight)
        return epoch(game, *arguments)

    monkeypatch.setattr(Game, "epoch", spy)
    model = GAMOClassifier(max_iter=1, random_state=0)
    model.fit(X, y)
    model.set_params(early_stopping=True, validation_fraction=0.5).fit(X, y)
    assert seen == pytest.approx([70 / 130] * 2)
