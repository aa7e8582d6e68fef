"""Generators: weights on the simplex, rows in the hull; networks as published."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import arcsine, kstest

from gamo_sampler import _networks as networks
from gamo_sampler._draws import Lots

SIZES = [12, 5, 1]
D = 6


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def pool(rng):
    return torch.randn(sum(SIZES), D, generator=rng)


@pytest.fixture
def draw(rng):
    lots = Lots(torch.tensor([0, 1, 3]), torch.tensor(SIZES), 4, 8, torch.device("cpu"))
    return lots.of(torch.tensor([0] * 9 + [1] * 4 + [2] * 2), rng)


def convex_generator(kind, rng, k=4):
    trunk, width = networks.ctmu(8 + 4, (16, 8), rng)
    if kind == "full":
        return networks.ConvexGenerator(trunk, networks.FullHull(width, SIZES, rng))
    if kind == "class":
        igu = networks.PairHull(width, D, SIZES, 4.0, rng)
    else:
        igu = networks.LocalHull(width, D, SIZES, k - 1, 4.0, rng)
    return networks.ConvexGenerator(trunk, igu)


def weights_as_blocks(generator, draw):
    """(rows, n_i) weights per class, neighbours scattered over the class."""
    weights = generator.weights(draw)
    if isinstance(weights, list):
        return weights
    everywhere = torch.zeros(len(draw.rows), sum(SIZES))
    everywhere.scatter_add_(1, generator.igu.sources(draw), weights)
    blocks = everywhere.split(draw.sizes)
    assert [b.count_nonzero(1).max() for b in blocks] == [2, 2, 1]
    return [b.split(SIZES, dim=1)[i] for i, b in enumerate(blocks)]


@pytest.mark.parametrize("kind", ["full", "class", "local"])
def test_generated_rows_are_the_weights_times_the_rows_of_the_class(
    kind, rng, pool, draw
):
    generator = convex_generator(kind, rng).eval()
    generator.locate(pool)
    with torch.no_grad():
        rows = generator(draw, pool)
        weights = weights_as_blocks(generator, draw)
    for w, x, got in zip(
        weights, pool.split(SIZES), rows.split(draw.sizes), strict=True
    ):
        assert (w >= 0).all()
        torch.testing.assert_close(w.sum(1), torch.ones(len(w)))
        torch.testing.assert_close(w @ x, got)


@pytest.mark.parametrize("kind", ["full", "class", "local"])
def test_rows_lie_in_the_hull(kind, rng, pool, draw):
    """By linear programming, without a look at the weights."""
    generator = convex_generator(kind, rng).eval()
    generator.locate(pool)
    with torch.no_grad():
        rows = generator(draw, pool.double())
    for x, block in zip(pool.split(SIZES), rows.split(draw.sizes), strict=True):
        for row in block.numpy():
            A = np.vstack([x.double().numpy().T, np.ones(len(x))])
            found = linprog(np.zeros(len(x)), A_eq=A, b_eq=[*row, 1.0])
            assert found.success


def test_local_hull_mixes_the_anchor_and_its_nearest_rows(rng, pool):
    generator = convex_generator("local", rng)
    generator.locate(pool)
    x = pool[: SIZES[0]]
    distances = torch.cdist(x, x)
    for anchor in range(SIZES[0]):
        nearest = distances[anchor].argsort()[1:4].tolist()
        assert generator.igu.neighbors[anchor].tolist() == nearest
    # The only row of its class has itself alone.
    assert generator.igu.neighbors[-1].tolist() == [sum(SIZES) - 1] * 3


def test_neighbours_are_repeated_where_there_are_fewer(rng, pool):
    igu = convex_generator("local", rng, k=9).igu
    igu.locate(pool)
    of_five = igu.neighbors[SIZES[0]].tolist()
    assert len(set(of_five[:4])) == 4
    assert of_five == of_five[:4] * 2


def test_others_are_any_row_of_the_class_but_the_row_itself(rng):
    lots = Lots(torch.tensor([0, 1, 3]), torch.tensor(SIZES), 4, 8, torch.device("cpu"))
    draw = lots.of(torch.tensor([0] * 400 + [1] * 100 + [2]), rng)
    for rows, others, start, n in zip(
        draw.rows.split(draw.sizes),
        draw.others.split(draw.sizes),
        [0, 12, 17],
        SIZES,
        strict=True,
    ):
        everyone = set(range(start, start + n))
        for row in everyone:
            found = set(others[rows == row].flatten().tolist())
            assert found == (everyone - {row} or {row})


def test_no_row_is_more_than_so_much_likelier_than_another(rng, pool, draw):
    igu = convex_generator("class", rng).igu
    igu.locate(pool)
    code = 100 * torch.randn(len(draw.rows), 4, generator=rng)
    p = igu.probabilities(code, igu.keys[draw.rows], igu.keys[draw.others])
    assert (p.max(1).values / p.min(1).values).max() <= np.exp(2 * 4.0) * (1 + 1e-5)


def test_positions_follow_the_arcsine_law(rng, pool):
    """So a row has 3/4 of its class's variance in the mean: E[u^2 + (1 - u)^2]."""
    generator = convex_generator("class", rng).eval()
    generator.locate(pool)
    lots = Lots(torch.tensor([0, 1, 3]), torch.tensor(SIZES), 4, 8, torch.device("cpu"))
    with torch.no_grad():
        weights = generator.weights(lots.of(torch.zeros(4000, dtype=torch.long), rng))
    position = 1 - weights[:, 0].numpy()
    assert kstest(position, arcsine.cdf).pvalue > 0.01
    assert (position**2 + (1 - position) ** 2).mean() == pytest.approx(0.75, abs=0.01)


def test_one_of_draws_by_the_probabilities(rng):
    p = torch.tensor([[0.1, 0.6, 0.3]]).repeat(20_000, 1)
    drawn = networks._one_of(p, torch.rand(20_000, generator=rng))
    assert (drawn.sum(1) == 1).all()
    torch.testing.assert_close(drawn.mean(0), p[0], atol=0.015, rtol=0)


def test_wide_rows_get_low_dimensional_keys(rng):
    igu = networks.PairHull(4, 1000, [20], 4.0, rng)
    igu.locate(torch.randn(20, 1000, generator=rng))
    assert igu.keys.shape == (20, networks.KEY_WIDTH)


@pytest.mark.parametrize("kind", ["full", "class", "local"])
def test_parameters_of_an_absent_class_get_no_gradient(kind, rng, pool):
    lots = Lots(torch.tensor([0, 1, 3]), torch.tensor(SIZES), 4, 8, torch.device("cpu"))
    generator = convex_generator(kind, rng)
    generator.locate(pool)
    generator(lots.of(torch.tensor([0, 0, 2]), rng), pool).sum().backward()
    if kind == "full":
        has_gradient = [unit.weight.grad is not None for unit in generator.igu.units]
        assert has_gradient == [True, False, True]
    else:
        assert all(p.grad is not None for p in generator.parameters())


def test_published_networks(rng):
    trunk, width = networks.ctmu(110, (256, 128), rng)
    kinds = [type(layer).__name__ for layer in trunk]
    assert kinds == ["Linear", "ReLU", "BatchNorm"] * 2
    assert [trunk[0].out_features, trunk[3].out_features, width] == [256, 64, 64]
    assert (trunk[2].eps, trunk[2].momentum) == (1e-3, 0.1)
    m = networks.mlp(784, 10, (256, 128), rng)
    assert [p.shape for p in m.parameters() if p.ndim == 2] == [
        (256, 784),
        (128, 256),
        (10, 128),
    ]
    assert m[1].negative_slope == 0.1
    f = networks.conv_features((1, 28, 28), 512, rng)
    assert [f[0].out_channels, f[3].out_channels, f[7].in_features] == [
        32,
        32,
        32 * 7 * 7,
    ]
    assert f(torch.zeros(2, 1, 28, 28)).shape == (2, 512)


def test_glorot_uniform_weights_and_zero_biases(rng):
    layer = networks.linear(100, 50, rng)
    bound = (6 / 150) ** 0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.abs().max() > 0.95 * bound
    assert (layer.bias == 0).all()


def test_default_sizes_follow_the_number_of_features():
    assert networks.default_sizes(784) == (256, 128)
    assert networks.default_sizes(64) == (128, 64)
    assert networks.default_sizes(1) == (32, 16)


def test_batch_norm_takes_a_batch_of_one():
    norm = networks.BatchNorm(3).train()
    x = torch.tensor([[1.0, 2.0, 3.0]])
    torch.testing.assert_close(norm(x), norm.eval()(x))


def test_conv_features_of_odd_sizes(rng):
    for shape in [(1, 8, 8), (3, 9, 7), (1, 1, 1)]:
        f = networks.conv_features(shape, 16, rng)
        assert f(torch.zeros(2, *shape)).shape == (2, 16)


@pytest.mark.parametrize(
    ("size", "halvings", "left"), [(28, 2, 7), (32, 2, 8), (64, 3, 8), (224, 5, 7)]
)
def test_conv_features_grow_with_the_image(rng, size, halvings, left):
    f = networks.conv_features((3, size, size), 16, rng)
    assert sum(type(layer) is torch.nn.Conv2d for layer in f) == halvings
    assert f[-2].in_features == 32 * left * left
    assert f(torch.zeros(2, 3, size, size)).shape == (2, 16)
