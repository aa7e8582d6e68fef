"""
==============================
GAMO beside SMOTE, and nothing
==============================

Breast cancer with 15 malignant cases left to learn from: balanced accuracy of a
logistic regression on the remaining rows, over ten draws of the training set.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline, make_pipeline
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from gamo_sampler import GAMOSampler

torch.set_num_threads(1)  # more would gain little with networks this small

X, y = load_breast_cancer(return_X_y=True)
samplers = {
    "nothing": [],
    "SMOTE": [SMOTE(random_state=0)],
    "GAMO": [GAMOSampler(random_state=0)],
}

scores = {name: [] for name in samplers}
for seed in range(10):
    rng = np.random.RandomState(seed)
    malignant, benign = (rng.permutation(np.flatnonzero(y == i)) for i in (0, 1))
    train = np.concatenate([malignant[:15], benign[:250]])
    test = np.setdiff1d(np.arange(len(y)), train)
    for name, steps in samplers.items():
        # The sampler is a step of the pipeline: it never sees the test rows.
        model = make_pipeline(StandardScaler(), *steps, LogisticRegression())
        model.fit(X[train], y[train])
        score = balanced_accuracy_score(y[test], model.predict(X[test]))
        scores[name].append(score)

# %%
# The draws are the same for all three, so look at the differences draw by draw, with
# the standard error of their mean. Both over-samplers gain; which of them gains more,
# ten draws do not tell.

gains = {name: np.subtract(scores[name], scores["nothing"]) for name in samplers}
for name, gain in gains.items():
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    mean = np.mean(scores[name])
    print(f"{name:8s} {mean:.3f}   gain {gain.mean():+.3f} +- {error:.3f}")

figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
draws = np.arange(1, 11)
ax.plot(draws, gains["SMOTE"], "o", color="tab:blue", label="SMOTE")
ax.plot(draws, gains["GAMO"], "x", color="black", label="GAMO")
ax.axhline(0, color="gray", linestyle=":")
ax.set(xlabel="draw of the training set", xticks=draws)
ax.set_ylabel("gain in balanced accuracy\nover doing nothing")
ax.legend()

# %%
# A grid search takes the samplers as one more choice. Their parameters go by the step's
# name, and every fit resamples the training folds alone, so that the scores of the
# search are of rows that were not resampled.

search = GridSearchCV(
    Pipeline(
        [
            ("scale", StandardScaler()),
            ("sampler", "passthrough"),
            ("logistic", LogisticRegression(max_iter=1000)),
        ]
    ),
    [
        {"sampler": ["passthrough"], "logistic__C": [0.1, 1.0]},
        {
            "sampler": [SMOTE(random_state=0)],
            "sampler__k_neighbors": [2, 5],
            "logistic__C": [0.1, 1.0],
        },
        {
            "sampler": [GAMOSampler(random_state=0)],
            "sampler__neighborhood": ["class", 5],
            "logistic__C": [0.1, 1.0],
        },
    ],
    scoring="balanced_accuracy",
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
)
search.fit(X[train], y[train])
results = search.cv_results_
for mean, spread, chosen in zip(
    results["mean_test_score"],
    results["std_test_score"],
    results["params"],
    strict=True,
):
    print(f"{mean:.3f} +- {spread:.3f}  {chosen}")

# %%
# With five malignant cases in a fold, the spread over folds is larger than what the
# choices differ by: what such a search picks is close to chance, and one that repeats
# its folds would say more. On the rows kept back, which have more than a hundred:

score = balanced_accuracy_score(y[test], search.predict(X[test]))
print(f"{score:.3f} with {search.best_params_}")
plt.show()
