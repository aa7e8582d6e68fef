"""The game against a plain transcription of it, and the independence of its players."""

import copy

import numpy as np
import pytest
import torch

from gamo_sampler import GAMOClassifier
from gamo_sampler._game import SCHEDULES

from .transcription import PlainGame

ADAM = {"learning_rate": 1e-3, "beta_1": 0.5, "beta_2": 0.999, "epsilon": 1e-7}


def make_game(X, y, seed=0, **parameters):
    """The game that a classifier would play, not yet played."""
    estimator = GAMOClassifier(
        batch_size=8, latent_dim=5, hidden_layer_sizes=(16, 8), **ADAM, **parameters
    )
    estimator.classes_ = np.unique(y)
    estimator._image_shape = None
    estimator.device_ = torch.device("cpu")
    counts = np.bincount(y)
    targets = dict(enumerate(counts.max() - counts))
    return estimator._make_game(X, y, targets, torch.Generator().manual_seed(seed))


def in_double(game):
    """The game in float64: where a gradient cancels, Adam blows float32 noise up."""
    for player in (game.M, game.D, game.G):
        if player:
            player.network.double()
    game.features = game.features.double()
    game.codes = game.codes.double()
    game.look = None
    game.pool = game.real(game.members)
    game.G.network.locate(game.pool)
    return game


def rounds(game, n_rounds):
    for index in game.batches(n_rounds):
        r = game.draw_round(index)
        for draw in [r.generated, *r.adversarial]:
            draw.z, draw.code = draw.z.to(game.pool), draw.code.to(game.pool)
        r.real_target = r.real_target.to(game.pool)
        r.generated_target = r.generated_target.to(game.pool)
        yield r


@pytest.mark.parametrize("neighborhood", [None, 4, 10])
@pytest.mark.parametrize("discriminator", ["auto", None])
@pytest.mark.parametrize(
    ("loss", "target"),
    [
        ("least_squares", "complement"),
        ("cross_entropy", "complement"),
        ("least_squares", "squared"),
        ("least_squares", "log"),
    ],
)
@pytest.mark.parametrize("schedule", ["joint", "algorithm", "per_class"])
def test_rounds_equal_the_plain_transcription(
    table, schedule, loss, target, discriminator, neighborhood
):
    game = make_game(
        *table,
        schedule=schedule,
        loss=loss,
        generator_target=target,
        discriminator=discriminator,
        neighborhood=neighborhood,
        discriminator_weight=0.7,
    )
    game = in_double(game)
    plain = PlainGame(game, loss, target, 1e-3, (0.5, 0.999), 1e-7)
    before = copy.deepcopy(game.G.network.state_dict())
    play_round, _ = SCHEDULES[schedule]
    for r in rounds(game, 6):
        play_round(game, r)
        getattr(plain, schedule)(r)
    for fast, slow in [(game.M, plain.M), (game.D, plain.D), (game.G, plain.G)]:
        if slow is None:
            assert fast is None
            continue
        for name, tensor in slow.state_dict().items():
            got = fast.network.state_dict()[name]
            torch.testing.assert_close(got, tensor, rtol=1e-6, atol=1e-9, msg=name)
    after = game.G.network.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
