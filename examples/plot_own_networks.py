"""
=================
Your own networks
=================

A classifier with dropout in place of the default M. Networks are given as functions
of the number of inputs and outputs, so that the estimator can be cloned and seeded.
"""

import torch
from imblearn.datasets import make_imbalance
from imblearn.metrics import geometric_mean_score
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from gamo_sampler import GAMOClassifier

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

for classifier in ("auto", with_dropout):
    model = GAMOClassifier(
        classifier=classifier, image_shape=(1, 8, 8), max_rounds=1000, random_state=0
    )
    model.fit(X_train, y_train)
    score = geometric_mean_score(y_test, model.predict(X_test))
    print(f"classifier={getattr(classifier, '__name__', classifier)}: GM {score:.3f}")
