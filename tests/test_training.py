"""Epochs that fail: what is taken back, and what goes on how."""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from gamo_sampler import GAMOClassifier
from gamo_sampler._game import Game
from gamo_sampler._training import RETRIES, Training, copied
from gamo_sampler.exceptions import NotFiniteError

from .test_game import make_game

slowed_down = pytest.mark.filterwarnings("ignore:.* Going back to the end of epoch")


def training_of(table, n_rounds=24, **parameters):
    """A classifier's training, of three epochs of 8 rounds."""
    game = make_game(*table, **parameters)
    networks = {"classifier": game.M.network, "generator": game.G.network}
    return Training(game, networks, 1e-3, n_rounds)


def spoil(monkeypatch, *fails):
    """Play epochs of which those numbered in `fails`, from 1 on, leave NaN behind."""
    epoch, numbers = Game.epoch, iter(range(1, 100))

    def spoilt(game, n_rounds):
        losses = epoch(game, n_rounds)
        if next(numbers) in fails:
            for player in game.players().values():
                for tensor in player.network.state_dict().values():
                    tensor.fill_(torch.nan if tensor.is_floating_point() else 99)
                for state in player.optimizer.state.values():
                    for tensor in state.values():
                        tensor.fill_(torch.nan)
        return losses

    monkeypatch.setattr(Game, "epoch", spoilt)


def alike(one, two):
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        return all(alike(one[key], two[key]) for key in one)
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    return one == two


def test_a_copy_of_a_state_stays_as_it_is():
    state = {"a": {0: torch.zeros(2)}, "groups": [{"lr": 0.1}], "n": 3}
    kept = copied(state)
    assert alike(kept, state)
    state["a"][0] += 1
    state["groups"][0]["lr"] = 0.2
    assert kept["a"][0].tolist() == [0, 0]
    assert kept["groups"] == [{"lr": 0.1}]


@slowed_down
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"neighborhood": None, "schedule": "per_class"},
        {"neighborhood": 4, "weight_averaging": 0.9},
        {"feature_extractor": "conv", "weight_averaging": 0.9},
    ],
)
@pytest.mark.parametrize("fails", [{1, 2, 3}, {2, 3, 4}, {2}])
def test_every_attempt_starts_from_the_same_state(
    table, monkeypatch, parameters, fails
):
    """Weights, buffers, moments and averages, and F's features."""
    spoil(monkeypatch, *fails)
    training = training_of(table, **parameters)
    game, starts = training.game, {}
    attempt = training.attempt

    def spy():
        pool = game.pool.clone()
        state = copied(game.state())
        for player in state.values():
            for group in player["optimizer"]["param_groups"]:
                group.pop("lr")
        starts.setdefault(len(training.history), []).append((state, pool))
        return attempt()

    training.attempt = spy
    training.play([])
    [(first, pool), *others] = starts[min(fails) - 1]
    assert len(others) == len(fails)
    for state, again in others:
        assert alike(first, state)
        assert torch.equal(pool, again)


@slowed_down
def test_each_retry_is_slower_and_so_is_all_that_follows(table, monkeypatch):
    spoil(monkeypatch, 2, 4)
    training = training_of(table, n_rounds=32)
    rates = []

    def listener(training):
        players = training.game.players().values()
        [rate] = {p.optimizer.param_groups[0]["lr"] for p in players}
        rates.append(rate)

    training.play([listener])
    assert rates == pytest.approx([1e-3, 1e-4, 1e-5, 1e-5])
    assert [record["epoch"] for record in training.history] == [1, 2, 3, 4]


def test_slower_steps_move_weights_less(table, monkeypatch):
    """An epoch's way, from the same weights, at a tenth of the learning rate."""

    def way(*fails):
        monkeypatch.undo()
        spoil(monkeypatch, *fails)
        training = training_of(table, n_rounds=8)
        start = [p.detach().clone() for p in training.game.M.parameters]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            training.play([])
        pairs = zip(start, training.game.M.parameters, strict=True)
        return sum(float((p - q.detach()).square().sum()) for p, q in pairs) ** 0.5

    assert 0 < way(1) < 0.2 * way()


@pytest.mark.parametrize("failing", [1, 3])
def test_after_so_many_retries_the_error_names_player_and_epoch(
    table, monkeypatch, failing
):
    """The last epoch too."""
    spoil(monkeypatch, *range(failing, 100))
    model = GAMOClassifier(batch_size=8, max_iter=3, random_state=0)
    match = f"weights of the classifier became non-finite in epoch {failing}"
    with (
        pytest.warns(UserWarning, match="Going back") as caught,
        pytest.raises(NotFiniteError, match=match),
    ):
        model.fit(*table)
    retries = [f"(retry {i + 1} of {RETRIES})" for i in range(RETRIES)]
    assert [w.message.args[0][-15:-1] for w in caught] == [
        f"{retry}."[-15:-1] for retry in retries
    ]
    assert len(model.history_) == failing - 1


@slowed_down
def test_retries_are_counted_over_the_whole_fit(table, monkeypatch):
    spoil(monkeypatch, 1, 3, 5, 7)
    training = training_of(table, n_rounds=80)
    with pytest.raises(NotFiniteError, match="in epoch 4"):
        training.play([])
    assert training.retries == RETRIES


@slowed_down
@pytest.mark.parametrize("feature_extractor", [None, "conv"])
def test_a_fit_with_a_failed_epoch_is_finite_and_the_same_again(
    table, monkeypatch, feature_extractor
):
    X, y = table
    found = []
    for _ in range(2):
        monkeypatch.undo()
        spoil(monkeypatch, 2)
        model = GAMOClassifier(
            feature_extractor=feature_extractor, max_iter=3, random_state=0
        ).fit(X, y)
        found.append(model.predict_proba(X))
        assert np.isfinite(model.sample(9)[0]).all()
    assert np.isfinite(found[0]).all()
    np.testing.assert_array_equal(*found)


@slowed_down
def test_a_failed_epoch_leaves_the_best_weights_alone(table, monkeypatch):
    """The first epoch scores best; the second fails and is played again."""
    X, y = table
    model = GAMOClassifier(
        early_stopping=True, scoring=falling(), max_iter=3, random_state=0
    )
    spoil(monkeypatch, 2)
    found = model.fit(X, y).predict_proba(X)
    monkeypatch.undo()
    model.set_params(scoring=falling(), max_iter=1)
    np.testing.assert_array_equal(found, model.fit(X, y).predict_proba(X))


def falling():
    scores = iter([3.0, 2.0, 1.0])
    return lambda *_: next(scores)


class Normed(nn.Module):
    """A network with buffers: of a batch norm, and one of its own."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.norm = nn.BatchNorm1d(n_in)
        self.layer = nn.Linear(n_in, n_out)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        self.steps += self.training
        return self.layer(self.norm(x))


@slowed_down
def test_buffers_of_a_user_s_network_are_taken_back(table, monkeypatch):
    spoil(monkeypatch, 2)
    model = GAMOClassifier(
        classifier=Normed, batch_size=8, max_iter=3, random_state=0
    ).fit(*table)
    assert model.classifier_.steps == 3 * 8  # not those of the failed epoch
    assert torch.isfinite(model.classifier_.norm.running_var).all()


def test_weights_that_are_kept_do_not_follow_the_game(table):
    training = training_of(table)
    weights = training.weights()
    kept = copy.deepcopy(weights)
    training.play([])
    assert alike(weights, kept)
    assert not alike(training.weights(), kept)
    training.keep(weights)
    assert alike(training.weights(), kept)
