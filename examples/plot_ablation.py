"""
=======================
What each player is for
=======================

The paper's Figure 4: images that the steps on the way to GAMO generate, three of each
class but the largest. Images are flat, so that every generator makes pixels.

On scikit-learn's digits it takes half a minute. On MNIST with the paper's class
sizes, as ``python examples/plot_ablation.py --data-home DATA --rounds 25000``, hours.
``DATA`` holds ``mnist.npz``; without that file OpenML's copy is fetched.
"""

import argparse

import matplotlib.pyplot as plt
import numpy as np
import torch
from imblearn.datasets import make_imbalance
from imblearn.metrics import geometric_mean_score
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from gamo_sampler import GAMOClassifier
from gamo_sampler.baselines import CGANSampler
from gamo_sampler.datasets import fetch_long_tailed

torch.set_num_threads(1)  # more would gain little with networks this small

parser = argparse.ArgumentParser()
parser.add_argument("--data-home", help="folder of mnist.npz; else the digits")
parser.add_argument("--rounds", type=int, default=800, help="updates of CN")
options = parser.parse_args()

if options.data_home:
    data = fetch_long_tailed("mnist", random_state=0, data_home=options.data_home)
    X_train, y_train = data.X_train.reshape(len(data.X_train), -1), data.y_train
    X_test, y_test = data.X_test.reshape(len(data.X_test), -1), data.y_test
    side = 28
else:
    X_train, X_test, y_train, y_test = train_test_split(
        *load_digits(return_X_y=True), test_size=0.5, random_state=0
    )
    counts = dict(enumerate([70, 60, 50, 40, 35, 30, 25, 20, 15, 10]))
    X_train, y_train = make_imbalance(
        X_train, y_train, sampling_strategy=counts, random_state=0
    )
    side = 8
X_train, X_test = X_train.astype(np.float32), X_test.astype(np.float32)

# %%
# SMOTE and a conditional GAN feed a plain network (CN). The others play against it: an
# unconstrained generator (cG), with a discriminator (cG+D); the convex generator
# without one (GAMO without D), and with it.
#
# cG's images show nothing; with a discriminator they look like digits, but not like
# those of their class. Rows between rows of a class are digits whatever the game does
# to them: the last two lines hardly differ. How images look says little about the
# classifier: the geometric means of the recalls, printed below, are close together, and
# cG's, which learned from noise, is not behind. They are of one run on one split.

shared = {
    "image_shape": (1, side, side),
    "max_iter": options.rounds,
    "max_rounds": options.rounds,
    "random_state": 0,
}
cn = GAMOClassifier(generator=None, **shared)
models = {
    "SMOTE": make_pipeline(SMOTE(random_state=0), cn),
    "cGAN": make_pipeline(CGANSampler(**shared), cn),
    "cG": GAMOClassifier(generator="unconstrained", discriminator=None, **shared),
    "cG+D": GAMOClassifier(generator="unconstrained", **shared),
    "GAMO\nwithout D": GAMOClassifier(discriminator=None, **shared),
    "GAMO": GAMOClassifier(**shared),
}
N_SHOWN = 3
SHOWN = range(1, 10)


def generated(model):
    """Three images of each class but the largest that the model made."""
    if not hasattr(model, "named_steps"):
        return model.sample(dict.fromkeys(SHOWN, N_SHOWN), random_state=0)[0]
    X, y = model[0].fit_resample(X_train, y_train)
    X, y = X[len(X_train) :], y[len(X_train) :]
    return np.concatenate([X[y == label][:N_SHOWN] for label in SHOWN])


def strip(images):
    """The images side by side, on grey."""
    images = images.reshape(-1, side, side)
    edges = ((0, 0), (1, 1), (1, 1))
    return np.hstack(np.pad(images, edges, constant_values=X_train.max() / 4))


figure, axes = plt.subplots(
    len(models), sharex=True, figsize=(13, 4), layout="constrained"
)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    model.fit(X_train, y_train)
    ax.imshow(strip(generated(model)), cmap="gray_r", vmin=0, vmax=X_train.max())
    ax.set_yticks([])
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
    score = geometric_mean_score(y_test, model.predict(X_test))
    print(f"{' '.join(name.split()):15s} GM {score:.3f}")

middle = (side + 2) * N_SHOWN * (np.arange(len(SHOWN)) + 0.5) - 0.5
axes[-1].set_xticks(middle, SHOWN)
axes[-1].set_xlabel("class")
plt.show()
