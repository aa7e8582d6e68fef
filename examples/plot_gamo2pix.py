"""
================================
Pictures from generated features
================================

The paper's Figure 5: images of the rare classes by GAMO2pix, which turns generated rows
of the feature space back into pictures, and by a conditional GAN (cDCGAN).

On scikit-learn's digits it takes about a minute. On Fashion-MNIST or CIFAR-10 with the
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

torch.set_num_threads(1)  # more would gain little with networks this small

parser = argparse.ArgumentParser()
parser.add_argument("--name", choices=["fashion_mnist", "cifar10"])
parser.add_argument("--data-home", help="folder of NAME.npz")
parser.add_argument("--rounds", type=int, default=1500, help="of every network")
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
# Decoded images are blurred, most of all those of the published decoders, which learn
# from the few images of their class alone. With the source's own detail they are as
# sharp as real ones, and near to one of them.

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


figure, axes = plt.subplots(
    5, len(RAREST) * N_SHOWN, figsize=(13, 4), layout="constrained"
)
show(axes[0], first_of(X, y))
axes[0, 0].set_ylabel("real", rotation=0, ha="right", va="center")
for line, (name, sampler) in zip(axes[1:], samplers.items(), strict=True):
    X_resampled, y_resampled = sampler.fit_resample(X, y)
    show(line, first_of(X_resampled[len(X) :], y_resampled[len(X) :]))
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")

# %%
# Every image comes with the convex weights that it was made of.

images, labels, weights = samplers["GAMO2pix"].sample(
    {9: 1}, random_state=0, return_weights=True
)
for source in weights.indices:
    print(f"image {source} of class {y[source]}, weight {weights[0, source]:.2f}")

plt.show()
