"""
=================================
Over-samplers, and simpler things
=================================

Five over-samplers on the same folds, in front of three learners; and before that, the
question whether over-sampling is worth it at all, which ``compare`` answers for a
table.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from imblearn.datasets import make_imbalance
from imblearn.over_sampling import (
    ADASYN,
    SMOTE,
    BorderlineSMOTE,
    RandomOverSampler,
)
from imblearn.pipeline import make_pipeline
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from gamo_sampler import GAMOSampler, compare

torch.set_num_threads(1)  # more would gain little with networks this small

X, y = load_breast_cancer(return_X_y=True)
y = 1 - y  # 1 is malignant
X, y = make_imbalance(X, y, sampling_strategy={0: 300, 1: 25}, random_state=0)

# %%
# Whether
# -------
#
# ``compare`` cross-validates doing nothing, moving the threshold, class weights,
# copies, SMOTE and GAMO, and says what it found, with the uncertainty of so few rows.
# It shuffles the rows into folds of its own, once here to be quick: its means are not
# those of the table further down.

learners = {"logistic": LogisticRegression(max_iter=1000)}
comparison = compare(X, y, learners=learners, n_repeats=1, random_state=0)
print(comparison.verdict)

# %%
# Which
# -----
#
# The same by hand, with more samplers: each is a step of the pipeline, so that it sees
# the training folds alone, and all get the same folds.

samplers = {
    "nothing": None,
    "copies": RandomOverSampler(random_state=0),
    "SMOTE": SMOTE(random_state=0),
    "Borderline-SMOTE": BorderlineSMOTE(random_state=0),
    "ADASYN": ADASYN(random_state=0),
    "GAMO": GAMOSampler(random_state=0),
}
learners = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "5 neighbours": KNeighborsClassifier(),
    "random forest": RandomForestClassifier(25, random_state=0),
}
folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
measures = ["balanced_accuracy", "average_precision"]
lines = []
for sampler_name, sampler in samplers.items():
    for learner_name, learner in learners.items():
        model = make_pipeline(StandardScaler(), sampler or "passthrough", learner)
        found = cross_validate(model, X, y, cv=folds, scoring=measures)
        lines += [
            {"sampler": sampler_name, "learner": learner_name, "measure": name} | own
            for name in measures
            for own in [{"scores": found[f"test_{name}"]}]
        ]
table = pd.DataFrame(lines)
table["mean"] = table["scores"].map(np.mean)
means = table.pivot_table("mean", ["learner", "sampler"], "measure", sort=False)
print(means.round(3))

# %%
# The folds are the same for all, so the differences from doing nothing, fold by fold,
# vary less than the scores. Bars are one standard error of their mean, as if folds were
# independent, which they are not: they are too short.
#
# In balanced accuracy every sampler has a gain in the mean, and the bars of the
# samplers overlap. Average precision, which moving the threshold does not change, is
# hardly another one with logistic regression. SMOTE's gains are larger than GAMO's in
# five of the six comparisons, by less than SMOTE's bars.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
names = list(samplers)[1:]
for ax, measure in zip(axes, measures, strict=True):
    for i, learner in enumerate(learners):
        own = table[(table["measure"] == measure) & (table["learner"] == learner)]
        own = own.set_index("sampler")["scores"]
        gains = [own[name] - own["nothing"] for name in names]
        means = [gain.mean() for gain in gains]
        errors = [gain.std(ddof=1) / np.sqrt(len(gain)) for gain in gains]
        at = np.arange(len(names)) + 0.2 * (i - 1)
        color = ("tab:blue", "tab:orange", "black")[i]
        ax.errorbar(means, at, xerr=errors, fmt="os^"[i], color=color, label=learner)
    ax.axvline(0, color="black", linestyle=":")
    ax.set_xlabel(f"{measure.replace('_', ' ')}, gain over doing nothing")
axes[0].set_yticks(range(len(names)), names)
axes[0].invert_yaxis()
axes[1].legend(loc="lower left", fontsize="small")

plt.show()
