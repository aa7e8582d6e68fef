"""Validation sets, scores, stopping, and losses that are not finite."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss

from gamo_sampler import GAMOClassifier
from gamo_sampler._game import Game
from gamo_sampler._networks import linear
from gamo_sampler._watch import (
    balanced_log_loss,
    check_losses,
    check_weights,
    hold_out,
)


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
    ("name", "player"),
    [("f", "feature_extractor"), ("m_real", "classifier"), ("g_d", "generator")],
)
def test_losses_that_are_not_finite_name_epoch_and_player(name, player):
    check_losses({name: 0.1}, 7)
    with pytest.raises(ValueError, match=rf"loss of the {player} .* nan in epoch 7"):
        check_losses({name: float("nan")}, 7)


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


@pytest.mark.parametrize("loss", ["least_squares", "cross_entropy"])
def test_training_stops_at_the_first_loss_that_is_not_finite(table, loss):
    X, y = table
    model = GAMOClassifier(
        classifier=Exploding, loss=loss, batch_size=8, random_state=0
    )
    with pytest.raises(ValueError, match=r"classifier .* became nan in epoch 3"):
        model.fit(X, y)
    assert len(model.history_) == 2
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_a_failed_fit_leaves_nothing_half_fitted(table):
    X, y = table
    model = GAMOClassifier(max_iter=1, batch_size=8, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    # A wrong parameter is found before anything is touched.
    with pytest.raises(ValueError, match="device"):
        model.set_params(device="nonsense").fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    with pytest.raises(ValueError, match="became nan"):
        model.set_params(device="cpu", classifier=Exploding, max_iter=9).fit(X, y)
    for method in (model.predict_proba, model.extract_features):
        with pytest.raises(NotFittedError):
            method(X)


def test_held_out_rows_do_not_change_the_weight_of_generated_rows(monkeypatch):
    """Equation 3's weight is a ratio of class sizes, which the split keeps."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(130, 2)), np.repeat([0, 1], [100, 30])
    seen = []
    epochs = Game.epochs

    def spy(game, n_rounds):
        seen.append(game.generated_weight)
        return epochs(game, n_rounds)

    monkeypatch.setattr(Game, "epochs", spy)
    model = GAMOClassifier(max_iter=1, random_state=0)
    model.fit(X, y)
    model.set_params(early_stopping=True, validation_fraction=0.5).fit(X, y)
    assert seen == pytest.approx([70 / 130] * 2)
