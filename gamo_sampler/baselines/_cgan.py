"""CGANSampler: over-sampling by a conditional GAN."""

from numbers import Integral

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from .._build import hidden_sizes
from .._game import make_player
from .._losses import CRITERIA, Sigmoid, discriminator_loss, realism_loss
from .._networks import mlp, unconstrained
from .._oversampler import NewRowsSampler
from .._torch import (
    BLOCK,
    Rows,
    Scaling,
    private_random_state,
    put_to_rest,
    resolve_device,
    run_generator,
    upload,
    workspace,
)
from .._typing import Device, ImageShape, Seed, Sizes, Strategy
from .._watch import check_weights
from ._dcgan import conv_discriminator, conv_generator
from ._training import CONSTRAINTS, epochs


class CGANSampler(NewRowsSampler):
    """Over-sample with a conditional generative adversarial network.

    A generator maps noise and a label to a row, a discriminator tells real rows
    with their labels from generated ones; both learn on the rows of all classes
    [1]_. The generator then makes the rows of the smaller classes [2]_. It is the
    paper's cGAN, and with ``architecture="convolutional"`` its cDCGAN.

    Parameters
    ----------
    architecture : {"dense", "convolutional"}, default="dense"
        Dense networks of the sizes that :class:`~gamo_sampler.GAMOSampler` takes,
        or, for rows with an `image_shape`, two convolutions with stride 2 in the
        discriminator and two transposed ones in the generator.
    image_shape : tuple of 3 int, default=None
        (channels, height, width), for rows that are images. None takes the shape
        from images given as such. Images share one scale for all pixels, [-1, 1],
        and the generator ends in a tanh; other rows are standardised per column.
    loss : {"least_squares", "cross_entropy"}, default="cross_entropy"
        How the discriminator's output is compared with its target. Least squares
        stall more often: their gradient vanishes where the discriminator is sure.
    latent_dim : int, default=100
        Length of the noise vector.
    hidden_layer_sizes : "auto" or tuple of int, default="auto"
        Widths of the dense networks' hidden layers, as in
        :class:`~gamo_sampler.GAMOSampler`.
    max_iter : int, default=100
        Number of epochs. An epoch is ceil(n_samples / batch_size) rounds, each a
        step of the discriminator and a step of the generator.
    max_rounds : int or None, default=1000
        Greatest number of rounds in the whole fit. None is no limit.
    batch_size : int, default=32
        Real rows, and generated rows, per round.
    learning_rate : float, default=1e-3
        Adam's step size, for both networks.
    beta_1 : float, default=0.5
        Adam's decay of the gradient's mean.
    beta_2 : float, default=0.999
        Adam's decay of the squared gradient's mean.
    epsilon : float, default=1e-7
        Adam's constant for numerical stability.
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes are over-sampled, and to which size, as in imbalanced-learn.
    random_state : int, RandomState instance or None, default=None
        Seeds all draws. None takes a fresh seed each time, and leaves numpy's
        global random state alone.
    device : str or torch.device, default="auto"
        Where to train. "auto" is a GPU where there is one, else the CPU.

    Attributes
    ----------
    sampling_strategy_ : dict
        Number of rows that were generated, per label.
    n_features_in_ : int
        Number of features; of an image, all its values.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where X was a frame with names.
    n_iter_ : int
        Number of epochs, where there was something to generate, like the next
        three.
    generator_, discriminator_ : torch.nn.Module
        The trained networks, on the CPU.
    device_ : torch.device
        Where they were trained.

    See Also
    --------
    gamo_sampler.GAMOSampler : A generator of convex combinations, which plays
        against a classifier too.

    Notes
    -----
    Generated rows stay within the range of the training rows: of all pixels of
    images, of the same column in tables. Integer columns keep their type, rounded
    to the nearest integer.

    References
    ----------
    .. [1] M. Mirza, S. Osindero, "Conditional Generative Adversarial Nets",
       arXiv:1411.1784, 2014.
    .. [2] G. Douzas, F. Bacao, "Effective data generation for imbalanced learning
       using conditional generative adversarial networks", Expert Systems with
       Applications 91, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler.baselines import CGANSampler
    >>> X, y = load_iris(return_X_y=True)
    >>> sampler = CGANSampler(max_iter=10, random_state=0)
    >>> X_resampled, y_resampled = sampler.fit_resample(X[:110], y[:110])
    >>> X_resampled.shape
    (150, 4)
    """

    _parameter_constraints: dict = {
        **NewRowsSampler._parameter_constraints,
        **CONSTRAINTS,
        "architecture": [StrOptions({"dense", "convolutional"})],
        "loss": [StrOptions({"least_squares", "cross_entropy"})],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        architecture: str = "dense",
        image_shape: ImageShape = None,
        loss: str = "cross_entropy",
        latent_dim: int = 100,
        hidden_layer_sizes: Sizes = "auto",
        max_iter: int = 100,
        max_rounds: int | None = 1000,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        sampling_strategy: Strategy = "auto",
        random_state: Seed = None,
        device: Device = "auto",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy, image_shape=image_shape)
        self.architecture = architecture
        self.loss = loss
        self.latent_dim = latent_dim
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.max_rounds = max_rounds
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.random_state = random_state
        self.device = device

    def _check_X_y(self, X, y, accept_sparse=False):
        # What an earlier fit left would be of other rows.
        for name in ("n_iter_", "generator_", "discriminator_", "device_"):
            vars(self).pop(name, None)
        checked = super()._check_X_y(X, y, accept_sparse)
        if self.architecture == "convolutional" and self._image_shape is None:
            raise ValueError(
                "architecture='convolutional' needs images, or rows and image_shape="
                "(channels, height, width); got rows and None."
            )
        return checked

    def _new_rows(self, X, y, labels):
        images = self._image_shape is not None
        self.device_ = resolve_device(self.device)
        rng = run_generator(private_random_state(self.random_state))
        with workspace():
            codes = torch.eye(int(y.max()) + 1, dtype=torch.float32)
            self._make_networks(X.shape[1], len(codes), rng)
            scaling = (Scaling.of_images if images else Scaling.of_rows)(X)
            self._train(Rows(X, scaling, self.device_), codes[y], rng)
            put_to_rest(self.generator_, self.discriminator_)
            rows = scaling.inverse(self._sample(codes[labels], rng))
        axis = None if images else 0
        return rows.clip(X.min(axis), X.max(axis))

    def _make_networks(self, n_features, n_classes, rng):
        shape = self._image_shape
        if self.architecture == "convolutional":
            g = conv_generator(self.latent_dim, n_classes, shape, rng)
            self.discriminator_ = conv_discriminator(n_classes, shape, rng)
        else:
            sizes = hidden_sizes(self.hidden_layer_sizes, n_features)
            g = unconstrained(self.latent_dim + n_classes, n_features, sizes, rng)
            self.discriminator_ = mlp(n_features + n_classes, 1, sizes, rng)
        self.generator_ = g if shape is None else nn.Sequential(g, nn.Tanh())

    def _train(self, rows, codes, rng):
        """Play the game on `rows`, with their one-hot labels (n, c)."""
        networks = {"generator": self.generator_, "discriminator": self.discriminator_}
        G, D = (make_player(n, self, self.device_) for n in networks.values())
        criterion = CRITERIA[self.loss]
        for epoch, batches in enumerate(epochs(len(codes), self, rng), start=1):
            for index in batches:
                inputs = upload(self._inputs(codes[index], rng), self.device_)
                play(G, D, criterion, rows[index], inputs, self.latent_dim)
            check_weights(networks, epoch)
        self.n_iter_ = epoch

    def _inputs(self, codes, rng):
        """concat(z, one-hot), (m, l + c)."""
        size = len(codes), self.latent_dim
        z = torch.randn(size, generator=rng, dtype=torch.float32)
        return torch.cat([z, codes], 1)

    def _sample(self, codes, rng):
        """A scaled row for every one-hot label."""
        return torch.cat(
            [self.generator_(self._inputs(block, rng)) for block in codes.split(BLOCK)]
        )


def play(G, D, criterion, x, inputs, latent_dim):
    """One round: a step of D on real and generated rows, and a step of G."""
    codes = inputs[:, latent_dim:]
    G.train()
    D.train()
    generated = G(inputs)
    rows = torch.cat([x, generated.detach()])
    d = Sigmoid(D(torch.cat([rows, codes.repeat(2, 1)], 1))[:, 0])
    is_real = torch.arange(len(rows), device=rows.device) < len(x)
    D.step(discriminator_loss(criterion, d, is_real.float()).mean())
    d = Sigmoid(D(torch.cat([generated, codes], 1))[:, 0])
    G.step(realism_loss(criterion, d).mean())
