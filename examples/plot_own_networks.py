"""
=================
Your own networks
=================

A classifier with dropout in place of the default M, a discriminator, and a feature
extractor. Networks are given as functions of the numbers of inputs and outputs, so that
the estimator can be cloned and seeded.
"""

import matplotlib.pyplot as plt
import torch
from imblearn.datasets import make_imbalance
from imblearn.metrics import geometric_mean_score
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from gamo_sampler import GAMOClassifier
from gamo_sampler.displays import TrainingHistoryDisplay

torch.set_num_threads(1)  # more would gain little with networks this small


def with_dropout(n_in, n_out):
    return nn.Sequential(
        nn.Linear(n_in, 128),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(128, n_out),  # scores: the softmax belongs to the game
    )


X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
counts = dict(enumerate([120, 100, 80, 60, 45, 35, 25, 18, 12, 8]))
X_train, y_train = make_imbalance(
    X_train, y_train, sampling_strategy=counts, random_state=0
)


def report(name, **networks):
    model = GAMOClassifier(
        image_shape=(1, 8, 8), max_rounds=300, random_state=0, **networks
    )
    model.fit(X_train, y_train)
    score = geometric_mean_score(y_test, model.predict(X_test))
    print(f"{name:22s} GM {score:.3f}")
    return model


report("the default networks")
report("M with dropout", classifier=with_dropout)

# %%
# D gets a row with its one-hot label, and gives a score. One hidden layer of few units
# has less room to learn the few rows of a rare class by heart. One run each:
# differences of .01 mean nothing here.


def small(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 16), nn.LeakyReLU(), nn.Linear(16, n_out))


report("and a small D", classifier=with_dropout, discriminator=small)

# %%
# F gets images, and maps them to as many features as it likes. It learns with M from
# real and generated rows, and rows are mixed in its space, to which
# ``extract_features`` maps.


def convolutions(image_shape, n_out):
    channels, *_ = image_shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),  # 32 * 2 * 2 features; n_out is only a suggestion
    )


model = report("an F of your own", feature_extractor=convolutions)
print("features:", model.extract_features(X_test[:3]).shape)

# %%
# Whatever the networks, the losses and the health of the game are kept epoch by epoch.

TrainingHistoryDisplay.from_estimator(model, panels=["losses", "health"])

# %%
# A network with a mistake in it is refused before training, with what it was given and
# what it gave.

try:
    GAMOClassifier(classifier=lambda n_in, n_out: nn.Linear(n_in, 3)).fit(X, y)
except ValueError as error:
    print(error)

plt.show()
