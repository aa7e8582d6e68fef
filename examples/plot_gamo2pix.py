"""
================================
Pictures from generated features
================================

The paper's Figure 5: images of the rare classes by GAMO2pix, which turns generated rows
of the feature space back into pictures, and by a conditional GAN (cDCGAN).

On scikit-learn's digits it takes half a minute. On Fashion-MNIST or CIFAR-10 with the
paper's class sizes, as ``python examples/plot_gamo2pix.py --name fashion_mnist
--data-home DATA --rounds 5640``, half an hour. ``DATA`` holds
``fashion_mnist.npz``; without that file OpenML's copy is fetched.
"""

import argparse

import matplotlib.pyplot as plt
import numpy as np
import torch
from imblearn.datasets import make_imbalance
from sklearn.datasets import load_digits

from gamo_sampler import GAMO2Pix, GAMOClassifier
from gamo_sampler.baselines import CGANSampler
from gamo_sampler.datasets import fetch_long_tailed
from gamo_sampler.metrics import nearest_real_distance

torch.set_num_threads(1)  # more would gain little with networks this small

parser = argparse.ArgumentParser()
parser.add_argument("--name", choices=["fashion_mnist", "cifar10"])
parser.add_argument("--data-home", help="folder of NAME.npz")
parser.add_argument("--rounds", type=int, default=700, help="of every network")
options = parser.parse_args()

if options.name:
    data = fetch_long_tailed(options.name, random_state=0, data_home=options.data_home)
    X, y = data.X_train, data.y_train
else:
    X, y = load_digits(return_X_y=True)
    counts = dict(enumerate([150, 120, 100, 80, 60, 50, 40, 30, 20, 12]))
    X, y = make_imbalance(X, y, sampling_strategy=counts, random_state=0)
    X = np.uint8(X * 15).reshape(-1, 8, 8)

# %%
# GAMO2pix three times, on one game: as published, a decoder per class, whose images are
# taken as they are; one decoder that all classes share; and the default, which also
# gives back what the decoder left out of each image's main source.
#
# Decoded images are blurred. With the source's own detail they are about as sharp as
# real ones, and nearer to one of them. Both are measured on the rarest classes: the
# contrast of an image, as the mean difference between pixels beside each other, and its
# distance to the nearest real image of its class, in grey levels per pixel.

length = {"max_iter": options.rounds, "max_rounds": options.rounds}
game = GAMOClassifier(feature_extractor="conv", random_state=0, **length).fit(X, y)
pix = {"prefit": True, "max_rounds": options.rounds, "random_state": 0}
samplers = {
    "cDCGAN": CGANSampler(architecture="convolutional", random_state=0, **length),
    "as published": GAMO2Pix(game, decoder="per_class", detail=0.0, **pix),
    "shared decoder": GAMO2Pix(game, detail=0.0, **pix),
    "GAMO2pix": GAMO2Pix(game, **pix),
}
RAREST = (7, 8, 9)
N_SHOWN = 6


def show(ax, name, X, y):
    """The first images of the rarest classes side by side, class by class."""
    images = np.concatenate([X[y == label][:N_SHOWN] for label in RAREST])
    edges = [(0, 0), (1, 1), (1, 1), (0, 0)][: images.ndim]
    images = np.pad(images, edges, constant_values=255)
    ax.imshow(np.hstack(images), cmap="gray", vmin=0, vmax=255)
    ax.set_yticks([])
    ax.set_ylabel(name, rotation=0, ha="right", va="center")


def report(name, X_new, y_new):
    """Contrast and distance to real images, of the rarest classes."""
    images = X_new[np.isin(y_new, RAREST)].astype(float)
    contrast = np.abs(np.diff(images, axis=2)).mean()
    distances = [
        nearest_real_distance(flat(X[y == label]), flat(X_new[y_new == label]))
        for label in RAREST
    ]
    away = np.concatenate(distances).mean() / np.sqrt(X[0].size)
    print(f"{name:15s} contrast {contrast:4.1f}   distance {away:4.1f}")


def flat(images):
    return images.reshape(len(images), -1).astype(float)


figure, axes = plt.subplots(5, sharex=True, figsize=(11, 4.2), layout="constrained")
rows = {"real": (X, y)}
for name, sampler in samplers.items():
    X_resampled, y_resampled = sampler.fit_resample(X, y)
    rows[name] = X_resampled[len(X) :], y_resampled[len(X) :]
for ax, (name, (images, labels)) in zip(axes, rows.items(), strict=True):
    show(ax, name, images, labels)
    report(name, images, labels)
middle = (X.shape[2] + 2) * N_SHOWN * (np.arange(len(RAREST)) + 0.5) - 0.5
axes[-1].set_xticks(middle, RAREST)
axes[-1].set_xlabel("class")

# %%
# Every image comes with the convex weights that it was made of.

images, labels, weights = samplers["GAMO2pix"].sample(
    {9: 1}, random_state=0, return_weights=True
)
for source in weights.indices:
    print(f"image {source} of class {y[source]}, weight {weights[0, source]:.2f}")

plt.show()
