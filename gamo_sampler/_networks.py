"""The default networks: M, D, F, and the generators.

All layers start from Glorot-uniform weights and zero biases, drawn from the
generator `rng` of the run. Networks return scores: softmax and sigmoid belong
to the game.
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torch.nn.utils import skip_init

from ._losses import one_hot

LEAK = 0.1
KEY_WIDTH = 64


def glorot(layer, rng):
    nn.init.xavier_uniform_(layer.weight, generator=rng)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def linear(n_in, n_out, rng, bias=True):
    # skip_init: the constructor would draw from the process's own RNG.
    layer = skip_init(nn.Linear, n_in, n_out, bias=bias, dtype=torch.float32)
    return glorot(layer, rng)


def conv(n_in, n_out, size, rng):
    layer = skip_init(nn.Conv2d, n_in, n_out, size, padding="same", dtype=torch.float32)
    return glorot(layer, rng)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes a batch of one row with running statistics."""

    def __init__(self, n_features):
        super().__init__(n_features, eps=1e-3, momentum=0.1, dtype=torch.float32)

    def forward(self, x):
        if self.training and len(x) == 1:
            return F.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                eps=self.eps,
            )
        return super().forward(x)


def default_sizes(n_features):
    """Hidden widths for M and D: a power of two above 2 n_features, 32 to 256."""
    width = int(np.clip(2 ** np.ceil(np.log2(2 * n_features)), 32, 256))
    return width, width // 2


def mlp(n_in, n_out, sizes, rng):
    """M and D: dense layers with leaky ReLU."""
    layers = []
    for size in sizes:
        layers += [linear(n_in, size, rng), nn.LeakyReLU(LEAK)]
        n_in = size
    return nn.Sequential(*layers, linear(n_in, n_out, rng))


def ctmu(n_in, sizes, rng):
    """Conditional transient mapping unit: concat(z, one-hot) to a shared code.

    Returns the network and the width of its code. The widths follow M's: the
    first as it is, the last halved (256 and 64 as published).
    """
    wide, code = sizes[0], max(sizes[-1] // 2, 1)
    network = nn.Sequential(
        linear(n_in, wide, rng),
        nn.ReLU(),
        BatchNorm(wide),
        linear(wide, code, rng),
        nn.ReLU(),
        BatchNorm(code),
    )
    return network, code


def unconstrained(n_in, n_out, sizes, rng):
    """Conditional generator without convexity: concat(z, one-hot) to a row."""
    trunk, code = ctmu(n_in, sizes, rng)
    return nn.Sequential(trunk, linear(code, n_out, rng))


def conv_features(image_shape, n_out, rng):
    """F for images: two convolutions of 5 x 5, each halving the size."""
    channels, height, width = image_shape
    network = nn.Sequential(
        conv(channels, 32, 5, rng),
        nn.LeakyReLU(LEAK),
        nn.AvgPool2d(2, ceil_mode=True),
        conv(32, 32, 5, rng),
        nn.LeakyReLU(LEAK),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.Flatten(),
        linear(32 * -(-height // 4) * -(-width // 4), n_out, rng),
        nn.Tanh(),
    )
    # The layout in which convolutions of few channels are fastest on a CPU.
    return network.to(memory_format=torch.channels_last)


def dense_features(n_in, n_out, rng):
    """F for rows that are no images."""
    return nn.Sequential(linear(n_in, n_out, rng), nn.Tanh())


class ConditionalGenerator(nn.Module):
    """G(z|i) by any network on concat(z, one-hot)."""

    n_sources = 1

    def __init__(self, network):
        super().__init__()
        self.network = network

    def locate(self, pool):
        """Nothing to prepare: the rows are not looked at."""

    def forward(self, draw, pool):
        return self.network(torch.cat([draw.z, draw.code], 1))


class ConvexGenerator(nn.Module):
    """G(z|i) = g_i(t(z|i))^T X_i (equation 1): `ctmu` is t, `igu` holds the g_i."""

    def __init__(self, ctmu, igu):
        super().__init__()
        self.ctmu = ctmu
        self.igu = igu
        self.n_sources = igu.n_sources

    def locate(self, pool):
        """Prepare for the rows of the generated classes, (n, d), class by class."""
        self.igu.locate(pool)

    def weights(self, draw):
        """Convex weights: non-negative, rows sum to 1."""
        code = self.ctmu(torch.cat([draw.z, draw.code], 1))
        return self.igu(code, draw)

    def forward(self, draw, pool):
        return self.igu.mix(self.weights(draw), draw, pool)


def _in_precision(weights, pool):
    # A float32 softmax sums to 1 within 1e-7: too coarse for float64 rows.
    if weights.dtype == pool.dtype:
        return weights
    weights = weights.to(pool.dtype)
    return weights / weights.sum(1, keepdim=True)


def _one_of(p, u):
    """One-hot draws from probabilities p (m, k) by uniform u (m,)."""
    passed = (p.cumsum(1) < u[:, None]).sum(1)
    return one_hot(p, passed.clamp(max=p.shape[1] - 1))


class FullHull(nn.Module):
    """The paper's IGUs: per class, a linear layer and a softmax over all its rows.

    `sizes`: the number of rows n_i of each generated class, in pool order.
    """

    def __init__(self, n_in, sizes, rng):
        super().__init__()
        self.sizes = list(sizes)
        self.n_sources = max(self.sizes)
        self.units = nn.ModuleList([linear(n_in, n, rng) for n in sizes])

    def locate(self, pool):
        """Nothing to prepare: every row of the class takes part."""

    def forward(self, code, draw):
        parts = zip(self.units, code.split(draw.sizes), strict=True)
        # (m_i, n_i) each; absent classes are left out and get no gradient.
        return [unit(part).softmax(1) for unit, part in parts if len(part)]

    def mix(self, weights, draw, pool):
        classes = zip(pool.split(self.sizes), draw.sizes, strict=True)
        present = [rows for rows, drawn in classes if drawn]
        pairs = zip(weights, present, strict=True)
        return torch.cat([_in_precision(w, x) @ x for w, x in pairs])  # (m, d)


class LocalHull(nn.Module):
    """Weights on two rows: an anchor, and one of its neighbours of the same class.

    As in SMOTE the row lies anywhere between the two; which neighbour it is, is
    learned. A neighbour's logit is `sharpness` times the cosine between a query,
    made of the code and the anchor, and the neighbour's key relative to the
    anchor's: bounded, so that no neighbour is ever more than exp(2 sharpness)
    times as likely as another. The choice is a draw, through which the gradient
    passes as if the weights were the probabilities (straight-through). The number
    of parameters does not depend on the number of rows.
    """

    def __init__(self, n_in, n_features, sizes, k, sharpness, rng):
        super().__init__()
        self.sizes = list(sizes)
        self.k = min(k, max(self.sizes))
        self.sharpness = sharpness
        width = min(KEY_WIDTH, n_features)
        self.n_sources = self.k * width
        self.query = linear(n_in + width, width, rng)
        self.key = linear(width, width, rng, bias=False)
        projection = None
        if width < n_features:
            size = (n_features, width)
            projection = torch.randn(size, generator=rng, dtype=torch.float32)
            projection /= n_features**0.5
        self.register_buffer("projection", projection)
        n_rows = sum(self.sizes)
        keys = torch.zeros(n_rows, width, dtype=torch.float32)
        self.register_buffer("keys", keys)
        self.register_buffer("neighbors", torch.zeros(n_rows, self.k, dtype=torch.long))
        self.register_buffer("absent", torch.zeros(n_rows, self.k, dtype=torch.bool))

    def locate(self, pool):
        """Find neighbours and keys of all rows in the (cached) feature space."""
        self.keys = pool if self.projection is None else pool @ self.projection
        start = 0
        for n_rows, block in zip(self.sizes, pool.split(self.sizes), strict=True):
            own = slice(start, start + n_rows)
            self.neighbors[own] = start + self._neighbors(block)
            self.absent[own, n_rows:] = True
            start += n_rows

    def _neighbors(self, block):
        """(n, k) positions: the row itself, then its nearest, padded with itself."""
        n_rows = len(block)
        found = np.repeat(np.arange(n_rows)[:, None], self.k, axis=1)
        others = min(self.k, n_rows) - 1
        if others:
            search = NearestNeighbors(n_neighbors=others).fit(block.cpu().numpy())
            found[:, 1 : others + 1] = search.kneighbors(return_distance=False)
        return torch.from_numpy(found).to(block.device)

    def forward(self, code, draw):
        if self.k == 1:
            return torch.ones_like(code[:, :1])
        position = draw.u[:, :1].to(code.dtype)
        p = self.probabilities(code, draw)
        chosen = p + (_one_of(p, draw.u[:, 1]) - p).detach()
        return torch.cat([1 - position, position * chosen], 1)  # (m, k)

    def probabilities(self, code, draw):
        """Of the neighbours, (m, k - 1); where there is none, all are the anchor."""
        near = self.neighbors[draw.rows, 1:]
        anchors = self.keys[draw.rows]  # (m, w)
        steps = self.key(self.keys[near] - anchors[:, None])  # (m, k - 1, w)
        query = self.query(torch.cat([code, anchors], 1))  # (m, w)
        cosine = (F.normalize(steps, dim=2) * F.normalize(query)[:, None]).sum(2)
        lowest = torch.finfo(cosine.dtype).min
        absent = self.absent[draw.rows, 1:]
        return (self.sharpness * cosine).masked_fill(absent, lowest).softmax(1)

    def mix(self, weights, draw, pool):
        # One gather-and-sum: no (m, k, d) copy of the neighbours is made.
        return F.embedding_bag(
            self.neighbors[draw.rows],
            pool,
            per_sample_weights=_in_precision(weights, pool),
            mode="sum",
        )
