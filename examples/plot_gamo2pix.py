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
parser.add_argument("--rounds", type=int, default=500, help="of every network")
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


def show(line, images):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])


def first_of(X, y):
    """The first images of the rarest classes, class by class."""
    return np.concatenate([X[y == label][:N_SHOWN] for label in RAREST])


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


figure, axes = plt.subplots(
    5, len(RAREST) * N_SHOWN, figsize=(13, 4), layout="constrained"
)
show(axes[0], first_of(X, y))
report("real", X, y)
axes[0, 0].set_ylabel("real", rotation=0, ha="right", va="center")
for line, (name, sampler) in zip(axes[1:], samplers.items(), strict=True):
    X_resampled, y_resampled = sampler.fit_resample(X, y)
    new = X_resampled[len(X) :], y_resampled[len(X) :]
    show(line, first_of(*new))
    report(name, *new)
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")

# %%
# Every image comes with the convex weights that it was made of.

images, labels, weights = samplers["GAMO2pix"].sample(
    {9: 1}, random_state=0, return_weights=True
)
for source in weights.indices:
    print(f"image {source} of class {y[source]}, weight {weights[0, source]:.2f}")

plt.show()
