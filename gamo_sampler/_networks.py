"""The default networks: M, D, F, and the generators.

All layers start from Glorot-uniform weights and zero biases, drawn from the
generator `rng` of the run; without one they have shapes, but no memory. Networks
return scores: softmax and sigmoid belong to the game.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import block_diag, csr_array
from sklearn.neighbors import NearestNeighbors
from torch import nn

from ._losses import one_hot

LEAK = 0.1
KEY_WIDTH = 64
N_OTHERS = 8
# Of a row's greatest weight. What is below it is no source of the row.
LEAST_WEIGHT = 1e-6
HEADS_WIDTH = 128


def glorot(layer, rng):
    """A layer on the meta device with weights, where there is a `rng` to draw them."""
    if rng is None:
        return layer
    layer.to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=rng)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def linear(n_in, n_out, rng, bias=True):
    # On "meta", as the constructor would draw from the process's own RNG.
    layer = nn.Linear(n_in, n_out, bias=bias, device="meta", dtype=torch.float32)
    return glorot(layer, rng)


def conv(n_in, n_out, size, rng):
    settings = {"padding": "same", "device": "meta", "dtype": torch.float32}
    return glorot(nn.Conv2d(n_in, n_out, size, **settings), rng)


def doubling(n_in, n_out, rng):
    """A transposed convolution with stride 2."""
    settings = {"stride": 2, "padding": 1, "device": "meta", "dtype": torch.float32}
    return glorot(nn.ConvTranspose2d(n_in, n_out, 4, **settings), rng)


class Crop(nn.Module):
    """The first `height` lines and `width` columns."""

    def __init__(self, height, width):
        super().__init__()
        self.height = height
        self.width = width

    def forward(self, images):
        return images[:, :, : self.height, : self.width]


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


def n_halvings(height, width):
    """How often an image is halved, at least twice, until it has 8 pixels or less."""
    return max(2, math.ceil(math.log2(max(height, width) / 8)))


def conv_features(image_shape, n_out, rng):
    """F for images: convolutions of 5 x 5, each halving the size.

    Two for images of up to 32 pixels, as published, and one more for each doubling
    of the size: three for 64 pixels, five for 224.
    """
    channels, height, width = image_shape
    layers = []
    for _ in range(n_halvings(height, width)):
        layers += [
            conv(channels, 32, 5, rng),
            nn.LeakyReLU(LEAK),
            nn.AvgPool2d(2, ceil_mode=True),
        ]
        channels, height, width = 32, -(-height // 2), -(-width // 2)
    network = nn.Sequential(
        *layers,
        nn.Flatten(),
        linear(channels * height * width, n_out, rng),
        nn.Tanh(),
    )
    # The layout in which convolutions of few channels are fastest on a CPU.
    return network.to(memory_format=torch.channels_last)


def dense_features(n_in, n_out, rng):
    """F for rows that are no images."""
    return nn.Sequential(linear(n_in, n_out, rng), nn.Tanh())


def conv_pixels(n_in, image_shape, rng):
    """Rows to flat images in [-1, 1], by as many doublings as F has halvings."""
    channels, height, width = image_shape
    n_doublings = n_halvings(height, width)
    small = 32, *(-(-side // 2**n_doublings) for side in (height, width))
    layers = [linear(n_in, math.prod(small), rng), nn.LeakyReLU(LEAK)]
    layers.append(nn.Unflatten(1, small))
    for _ in range(n_doublings):
        layers += [doubling(32, 32, rng), nn.LeakyReLU(LEAK)]
    layers += [conv(32, channels, 5, rng), Crop(height, width), nn.Flatten(), nn.Tanh()]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


class Inverse(nn.Module):
    """GAMO2pix's network, F's features to images through a latent normal law.

    Rows come with one-hot labels: one network serves one class or several.
    """

    def __init__(self, n_features, n_classes, latent_dim, decoder, rng):
        super().__init__()
        self.trunk = nn.Sequential(
            linear(n_features + n_classes, HEADS_WIDTH, rng), nn.Tanh()
        )
        self.mean = linear(HEADS_WIDTH, latent_dim, rng)
        self.log_variance = linear(HEADS_WIDTH, latent_dim, rng)
        self.decoder = decoder

    def posterior(self, features, code):
        """Mean and log-variance of z given features, (m, latent_dim) each."""
        h = self.trunk(torch.cat([features, code], 1))
        return self.mean(h), self.log_variance(h)

    def decode(self, z, code):
        """Images as flat rows."""
        return self.decoder(torch.cat([z, code], 1))


class ConditionalGenerator(nn.Module):
    """G(z|i) by any network on concat(z, one-hot)."""

    n_sources = 1

    def __init__(self, network):
        super().__init__()
        self.network = network

    def locate(self, pool):
        """Nothing to prepare: the rows are not looked at."""

    def forward(self, draw, pool):
        return self.network(torch.cat([draw.z, draw.code], 1))[draw.own]

    def carrying(self, draw, pool, values):
        """Rows, and values (m,) of rows of their classes, drawn by lot."""
        return self(draw, pool), values[draw.rows]


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
        return self.igu(code[draw.own], draw)

    def keep(self, kept, pool):
        """Mix only some rows from now on: `kept`, (n,) bool, those of `pool`."""
        self.igu.keep(kept)
        self.n_sources = self.igu.n_sources
        self.locate(pool)

    def pruned_weights(self, draw):
        """The same without those that do not count, for rows that are given out."""
        return self.igu.pruned(self.weights(draw))

    def forward(self, draw, pool):
        return self.igu.mix(self.weights(draw), draw, pool)

    def carrying(self, draw, pool, values):
        """Rows, and the same mixtures (m,) of values (n,) that the pool's rows have."""
        weights = self.weights(draw)
        rows, values = (self.igu.mix(weights, draw, v) for v in (pool, values[:, None]))
        return rows, values[:, 0]


def _in_precision(weights, pool):
    # A float32 softmax sums to 1 within 1e-7: too coarse for float64 rows.
    if weights.dtype == pool.dtype:
        return weights
    return _normalised(weights.to(pool.dtype))


def _normalised(weights):
    return weights / weights.sum(1, keepdim=True)


def _exact(weights):
    """Weights as a numpy array in float64, in which their sums are 1."""
    return _normalised(weights.double()).numpy()


def _one_of(p, u):
    """One-hot draws from probabilities p (m, k) by uniform u (m,)."""
    passed = (p.cumsum(1) < u[:, None]).sum(1)
    return one_hot(p, passed.clamp(max=p.shape[1] - 1))


def _sizes_of(parts):
    """Rows that are left of each class, where there are any."""
    return [int(part.sum()) for part in parts if part.any()]


def _narrow(unit, kept):
    """Of a linear layer, the outputs that are kept."""
    unit.weight = nn.Parameter(unit.weight[kept], requires_grad=False)
    unit.bias = nn.Parameter(unit.bias[kept], requires_grad=False)
    unit.out_features = len(unit.bias)
    return unit


class FullHull(nn.Module):
    """The paper's IGUs: per class, a linear layer and a softmax over all its rows.

    `sizes`: the number of rows n_i of each generated class, in pool order.
    """

    def __init__(self, n_in, sizes, rng):
        super().__init__()
        self.sizes = list(sizes)
        self.n_sources = max(self.sizes)
        self.units = nn.ModuleList([linear(n_in, n, rng) for n in sizes])

    @property
    def most_sources(self):
        """Greatest number of rows that one is made of."""
        return max(self.sizes)

    def locate(self, pool):
        """Nothing to prepare: every row of the class takes part."""

    def keep(self, kept):
        """Without the other rows' outputs: the softmax is over those that are left."""
        parts = kept.split(self.sizes)
        pairs = zip(self.units, parts, strict=True)
        units = [_narrow(unit, part) for unit, part in pairs if part.any()]
        self.units = nn.ModuleList(units)
        self.sizes = _sizes_of(parts)
        self.n_sources = max(self.sizes)

    def forward(self, code, draw):
        parts = zip(self.units, code.split(draw.sizes), strict=True)
        # (m_i, n_i) each; absent classes are left out and get no gradient.
        return [unit(part).softmax(1) for unit, part in parts if len(part)]

    def pruned(self, weights):
        """Those weights that count, renormalised: a softmax has no zeros of its own."""
        return [_normalised(w * (w >= LEAST_WEIGHT * w.amax(1, True))) for w in weights]

    def limited(self, weights, limits):
        return [limits(w) for w in weights]

    def blocks(self, weights):
        """The weights as tensors of one line for each generated row."""
        return weights

    def totals(self, weights, draw):
        """The sums of weights that the pool's rows have, (n,), of all classes."""
        return torch.cat([w.sum(0) for w in weights])

    def mix(self, weights, draw, pool):
        classes = zip(pool.split(self.sizes), draw.sizes, strict=True)
        present = [rows for rows, drawn in classes if drawn]
        pairs = zip(weights, present, strict=True)
        return torch.cat([_in_precision(w, x) @ x for w, x in pairs])  # (m, d)

    def matrix(self, weights, draw):
        """The weights on all n rows of the pool, a sparse array of shape (m, n)."""
        weights = iter(weights)
        classes = zip(self.sizes, draw.sizes, strict=True)
        blocks = [next(weights) if m else torch.zeros(0, n) for n, m in classes]
        return block_diag([csr_array(_exact(w)) for w in blocks], format="csr")


class PairHull(nn.Module):
    """Weights on two rows: an anchor, and one of some other rows of the same class.

    The row lies between the two, at a position from the arcsine law: more often near
    either end than in the middle, so that generated rows keep three quarters of the
    class's variance, where uniform positions keep two thirds. Which other row it is,
    is learned. Its logit is `sharpness` times the cosine between a query, made of the
    code and the anchor, and the other row's key relative to the anchor's: bounded,
    so that none is ever more than exp(2 sharpness) times as likely as another. The
    choice is a draw, through which the gradient passes as if the weights were the
    probabilities (straight-through). The number of parameters does not depend on
    the number of rows.
    """

    most_sources = 2

    def __init__(self, n_in, n_features, sizes, sharpness, rng):
        super().__init__()
        self.sizes = list(sizes)
        self.sharpness = sharpness
        width = min(KEY_WIDTH, n_features)
        self.n_sources = N_OTHERS * width
        self.query = linear(n_in + width, width, rng)
        self.key = linear(width, width, rng, bias=False)
        projection = None
        if width < n_features:
            size = (n_features, width)
            projection = torch.randn(size, generator=rng, dtype=torch.float32)
            projection /= n_features**0.5
        self.register_buffer("projection", projection)
        keys = torch.zeros(sum(self.sizes), width, dtype=torch.float32)
        # They follow from the rows, which `locate` sees: no part of the state.
        self.register_buffer("keys", keys, persistent=False)

    def locate(self, pool):
        """Keys of all rows in the (cached) feature space."""
        self.keys = pool if self.projection is None else pool @ self.projection

    def keep(self, kept):
        """Without the other rows; `locate` finds what is left anew."""
        self.sizes = _sizes_of(kept.split(self.sizes))

    def others(self, draw):
        """Positions of the other rows to choose from, (m, k): any of the class."""
        return draw.others

    def forward(self, code, draw):
        others = self.others(draw)
        if not others.shape[1]:
            return torch.ones_like(code[:, :1])
        position = (torch.pi / 2 * draw.u[:, :1].to(code.dtype)).sin() ** 2
        p = self.probabilities(code, self.keys[draw.rows], self.keys[others])
        chosen = p + (_one_of(p, draw.u[:, 1]) - p).detach()
        return torch.cat([1 - position, position * chosen], 1)  # (m, 1 + k)

    def probabilities(self, code, anchors, others):
        """Of the other rows, (m, k), from keys (m, w) and (m, k, w)."""
        steps = self.key(others - anchors[:, None])
        query = self.query(torch.cat([code, anchors], 1))  # (m, w)
        # `F.cosine_similarity` would make a normalised copy of the steps.
        dots = (steps @ F.normalize(query)[:, :, None])[:, :, 0]
        cosine = dots / steps.norm(dim=2).clamp(min=1e-12)
        return (self.sharpness * cosine).softmax(1)

    def sources(self, draw):
        """Positions of the rows that the weights are for, (m, 1 + k)."""
        return torch.cat([draw.rows[:, None], self.others(draw)], 1)

    def pruned(self, weights):
        return weights

    def limited(self, weights, limits):
        return limits(weights)

    def blocks(self, weights):
        return [weights]

    def totals(self, weights, draw):
        totals = weights.new_zeros(sum(self.sizes))
        return totals.index_add(0, self.sources(draw).flatten(), weights.flatten())

    def mix(self, weights, draw, pool):
        # One gather-and-sum: no (m, 1 + k, d) copy of the rows is made.
        return F.embedding_bag(
            self.sources(draw),
            pool,
            per_sample_weights=_in_precision(weights, pool),
            mode="sum",
        )

    def matrix(self, weights, draw):
        sources = self.sources(draw).numpy()
        rows = np.arange(len(sources)).repeat(sources.shape[1])
        entries = (_exact(weights).ravel(), (rows, sources.ravel()))
        matrix = csr_array(entries, shape=(len(sources), sum(self.sizes)))
        matrix.eliminate_zeros()
        return matrix


class LocalHull(PairHull):
    """The same, with the other rows from the anchor's k nearest."""

    def __init__(self, n_in, n_features, sizes, k, sharpness, rng):
        super().__init__(n_in, n_features, sizes, sharpness, rng)
        self._have_neighbors(k)

    def _have_neighbors(self, k):
        self.k = min(k, max(self.sizes) - 1)
        self.n_sources = max(self.k * self.keys.shape[1], 1)
        neighbors = torch.zeros(sum(self.sizes), self.k, dtype=torch.long)
        self.register_buffer("neighbors", neighbors, persistent=False)

    def locate(self, pool):
        """Find keys and neighbours of all rows in the (cached) feature space."""
        super().locate(pool)
        start = 0
        for block in pool.split(self.sizes):
            own = slice(start, start + len(block))
            self.neighbors[own] = start + self._neighbors(block)
            start += len(block)

    def keep(self, kept):
        super().keep(kept)
        self._have_neighbors(self.k)

    def _neighbors(self, block):
        """(n, k) positions of the nearest, over again where there are fewer than k."""
        n_others = min(self.k, len(block) - 1)
        if not n_others:
            return torch.arange(len(block), device=block.device)[:, None]
        search = NearestNeighbors(n_neighbors=n_others).fit(block.cpu().numpy())
        found = search.kneighbors(return_distance=False)
        return torch.from_numpy(found[:, np.arange(self.k) % n_others]).to(block.device)

    def others(self, draw):
        return self.neighbors[draw.rows]
