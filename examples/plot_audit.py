"""
================================
Auditing what a sampler returned
================================

Before generated rows go anywhere, three questions: are they new or nearly copies, do
they keep the rules of the table, and can the balanced set be made again without passing
on the data?
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from imblearn.datasets import make_imbalance
from scipy.optimize import LinearConstraint
from sklearn.datasets import load_wine

from gamo_sampler import GAMOSampler, Recipe
from gamo_sampler.displays import AuditDisplay

torch.set_num_threads(1)  # more would gain little with networks this small

X, y = load_wine(return_X_y=True, as_frame=True)
y = y.map({0: "barolo", 1: "grignolino", 2: "barbera"})
counts = {"barolo": 59, "grignolino": 25, "barbera": 12}
X, y = make_imbalance(X, y, sampling_strategy=counts, random_state=0)

# %%
# New rows, or copies?
# --------------------
#
# By default a row lies anywhere between two rows of its class, near one of them more
# often than in the middle. A row with a weight above .95 on one real row counts as a near
# copy.

sampler = GAMOSampler(random_state=0)
X_resampled, y_resampled = sampler.fit_resample(X, y)
print(sampler.audit())
AuditDisplay.from_estimator(sampler)

# %%
# Where near copies are not wanted, bound the weights. The bound holds for every row that
# is given out; rows move towards the middle between their sources.

bounded = GAMOSampler(max_weight=0.8, random_state=0)
bounded.fit_resample(X, y)
print(bounded.audit())
AuditDisplay.from_estimator(bounded)

# %%
# Do rules still hold?
# --------------------
#
# What is linear and holds for all real rows of a class holds for their means. Here: no
# column is negative, and flavanoids are a part of all phenols. ``verify`` counts the rows
# that break a rule, real and generated ones. The second rule holds for all barbera, and
# so for the generated ones. Some real grignolino break it: it is no rule of that class,
# and nothing keeps generated rows from breaking it too.

names = list(X.columns)
positive = LinearConstraint(np.eye(len(names)), lb=0)
part_of = np.zeros(len(names))
part_of[names.index("total_phenols")], part_of[names.index("flavanoids")] = 1, -1
rules = {
    "no column is negative": positive,
    "flavanoids at most phenols": LinearConstraint(part_of, lb=0),
}
for rule, constraint in rules.items():
    for label, found in sampler.verify(constraint).items():
        broken = {kind: max(numbers) for kind, numbers in found.items()}
        print(f"{rule}, {label}: broken by {broken}")

# %%
# The balanced set without the data
# ---------------------------------
#
# A recipe holds positions and weights, and no values. Whoever has the table makes the
# balanced set from it, without training.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "recipe.npz"
    sampler.recipe_.save(path)
    print(path.stat().st_size, "bytes")
    X_again, y_again = Recipe.load(path).apply(X, y)
print("the same rows:", X_again.equals(X_resampled), y_again.equals(y_resampled))

plt.show()
