"""
============================
Probabilities, and the prior
============================

A classifier that learns on balanced rows gives the rare class too high a probability:
as if it occurred as often as the other one. Bayes' rule puts that right, by the
``prior`` of ``GAMOClassifier`` or by ``PriorCorrectedClassifier`` around any other.
"""

import matplotlib.pyplot as plt
import torch
from imblearn.pipeline import make_pipeline
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, precision_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from gamo_sampler import GAMOClassifier, GAMOSampler, PriorCorrectedClassifier

torch.set_num_threads(1)  # more would gain little with networks this small

# One row in ten is rare, and the two classes overlap.
X, y = make_blobs([18_000, 2_000], n_features=4, cluster_std=5, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.7, stratify=y, random_state=0
)

# %%
# The pipeline over-samples; around it, the correction to the classes' frequencies in
# ``y_train``. ``estimator_`` is the pipeline itself, without it.

pipeline = make_pipeline(
    StandardScaler(), GAMOSampler(random_state=0), LogisticRegression()
)
corrected = PriorCorrectedClassifier(pipeline).fit(X_train, y_train)
classifier = GAMOClassifier(loss="log_loss", random_state=0).fit(X_train, y_train)

probabilities = {
    "logistic regression": {
        "balanced": corrected.estimator_.predict_proba(X_test)[:, 1],
        "corrected": corrected.predict_proba(X_test)[:, 1],
    },
    "GAMOClassifier": {
        "balanced": classifier.predict_proba(X_test)[:, 1],
        "corrected": classifier.predict_proba(X_test, prior="training")[:, 1],
    },
}

# %%
# Of rows with a probability of .3, three in ten should be of the class: the diagonal.
# The correction changes the decision too: fewer rows are called rare, and more of those
# rightly. Keep the balanced probabilities where it is the recall that counts.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for ax, (model, by_prior) in zip(axes, probabilities.items(), strict=True):
    for name, p in by_prior.items():
        CalibrationDisplay.from_predictions(
            y_test, p, n_bins=10, ax=ax, name=name, marker="os"[name == "corrected"]
        )
        brier = brier_score_loss(y_test, p)
        recall = recall_score(y_test, p > 0.5)
        precision = precision_score(y_test, p > 0.5)
        print(
            f"{model:20s} {name:10s} mean probability {p.mean():.3f} "
            f"(frequency {y_test.mean():.3f})   Brier score {brier:.3f}   "
            f"recall {recall:.3f}   precision {precision:.3f}"
        )
    ax.legend(loc="upper left")
    ax.set(title=model, xlabel="probability of the rare class", ylabel="its frequency")
plt.show()
