"""The players' networks, from the defaults or from users' builders, checked once."""

from functools import partial
from numbers import Integral

import numpy as np
import torch
from torch import nn

from . import _networks

NETWORKS = ("feature_extractor", "classifier", "discriminator", "generator")
# No row is chosen more than exp(.5) times as often as another: with more, linear
# models and networks lost on validation tables what tree ensembles gained.
SHARPNESS = 0.25
N_FEATURES_OUT = 512


def make_networks(params, n_features, image_shape, n_classes, sizes, rng):
    """F, M, D and G by parameter name; a player that does not take part is None.

    `params` has the estimator's parameters as attributes, `sizes` holds the
    number of rows of each class that is generated.
    """
    f = _feature_extractor(params.feature_extractor, n_features, image_shape, rng)
    if f is not None:
        n_features = _output(f, "feature_extractor", n_features).shape[1]
    hidden = hidden_sizes(params.hidden_layer_sizes, n_features)
    dense = partial(_networks.mlp, sizes=hidden, rng=rng)
    m = _make("classifier", params.classifier, dense, n_features, n_classes)
    d = g = None
    if sizes:
        n_in = n_features + n_classes
        d = _make("discriminator", params.discriminator, dense, n_in, 1)
        g = _generator(params, n_features, n_classes, sizes, hidden, rng)
    return dict(zip(NETWORKS, (f, m, d, g), strict=True))


def hidden_sizes(sizes, n_features):
    """Widths of M's and D's hidden layers, from the data where they are "auto"."""
    if isinstance(sizes, str):
        return _networks.default_sizes(n_features)
    sizes = np.atleast_1d(np.asarray(sizes, dtype=object))
    sizes = tuple(sizes.tolist())  # lists in it stay lists
    if not sizes or not all(isinstance(n, Integral) and n > 0 for n in sizes):
        raise ValueError(f"hidden_layer_sizes must be positive integers, got {sizes}.")
    return tuple(map(int, sizes))


def check_builders(params):
    """Refuse networks given as instances: they could not be cloned or seeded."""
    for name in NETWORKS:
        value = getattr(params, name)
        if isinstance(value, nn.Module):
            raise TypeError(
                f"{name} must be a builder, a class or function called as "
                f"{name}(n_in, n_out) that returns a torch.nn.Module; got an "
                f"instance of {type(value).__name__}. Pass a function that makes it."
            )


def _feature_extractor(choice, n_features, image_shape, rng):
    if choice is None:
        return None
    n_out = min(N_FEATURES_OUT, n_features)
    if callable(choice):
        n_in = n_features if image_shape is None else image_shape
        network = _built("feature_extractor", choice, n_in, n_out)
    elif image_shape is None:
        network = _networks.dense_features(n_features, n_out, rng)
    else:
        network = _networks.conv_features(image_shape, n_out, rng)
    if image_shape is not None:
        network = nn.Sequential(nn.Unflatten(1, image_shape), network)
    shape = tuple(_output(network, "feature_extractor", n_features).shape)
    if len(shape) != 2 or shape[0] != 2:
        raise ValueError(
            f"feature_extractor's network maps 2 rows to shape {shape}, but shape "
            "(2, n_features_out) was expected."
        )
    return network


def _generator(params, n_features, n_classes, sizes, hidden, rng):
    n_in = params.latent_dim + n_classes
    if params.generator != "convex":
        default = partial(_networks.unconstrained, sizes=hidden, rng=rng)
        network = _make("generator", params.generator, default, n_in, n_features)
        return _networks.ConditionalGenerator(network)
    trunk, width = _networks.ctmu(n_in, hidden, rng)
    k = params.neighborhood
    if k is None:
        igu = _networks.FullHull(width, sizes, rng)
    elif k == "class":
        igu = _networks.PairHull(width, n_features, sizes, SHARPNESS, rng)
    else:
        igu = _networks.LocalHull(width, n_features, sizes, k - 1, SHARPNESS, rng)
    return _networks.ConvexGenerator(trunk, igu)


def _make(name, choice, default, n_in, n_out):
    """A network that maps (m, n_in) to (m, n_out), or None."""
    if choice is None:
        return None
    if not callable(choice):
        return default(n_in, n_out)
    network = _built(name, choice, n_in, n_out)
    shape = tuple(_output(network, name, n_in).shape)
    if shape != (2, n_out):
        raise ValueError(
            f"{name}'s network maps shape (2, {n_in}) to shape {shape}, but "
            f"shape (2, {n_out}) was expected."
        )
    if not any(p.requires_grad for p in network.parameters()):
        raise ValueError(f"{name}'s network has no parameters to train.")
    return network


def _built(name, builder, n_in, n_out):
    try:
        with torch.device("cpu"):
            network = builder(n_in, n_out)
    except Exception as error:
        error.add_note(f"It was raised by {name}({n_in}, {n_out}).")
        raise
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"{name} must return a torch.nn.Module when called as "
            f"{name}({n_in}, {n_out}); it returned {type(network).__name__}."
        )
    return network.to("cpu", torch.float32)


def alike(network, fitted):
    """Whether a network made again, by the same builders, is as a fitted one was."""
    if network is None or fitted is None:
        return network is fitted
    both = (network, fitted)
    kinds = [[type(part) for part in n.modules()] for n in both]
    shapes = [{k: np.shape(t) for k, t in n.state_dict().items()} for n in both]
    sources = [getattr(n, "n_sources", None) for n in both]
    return all(a == b for a, b in (kinds, shapes, sources))


def layout(state):
    """Shapes and types of tensors, by name."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


def filled(network, weights, name):
    """A network with the weights of one that was built alike, by name.

    Their shapes are compared before there is memory for a network without it.
    """
    expected, found = layout(network.state_dict()), layout(weights)
    different = sorted(n for n, _ in expected.items() ^ found.items())
    if different:
        raise ValueError(
            f"{name} has other weights than the network that its parameters make, in "
            f"{', '.join(dict.fromkeys(different))}."
        )
    if any(t.is_meta for t in network.state_dict().values()):
        network.to_empty(device="cpu")
    network.load_state_dict(weights)
    return network


def _output(network, name, n_in):
    """What the network makes of two rows of zeros."""
    with torch.no_grad():
        try:
            device = next(network.parameters(), torch.empty(0, device="cpu")).device
            rows = torch.zeros(2, n_in, dtype=torch.float32, device=device)
            output = network.eval()(rows)
        except Exception as error:
            raise ValueError(
                f"{name}'s network fails on input of shape (2, {n_in}): {error}"
            ) from error
    if not isinstance(output, torch.Tensor):
        raise TypeError(
            f"{name}'s network maps input of shape (2, {n_in}) to a "
            f"{type(output).__name__}, but a tensor was expected."
        )
    return output
