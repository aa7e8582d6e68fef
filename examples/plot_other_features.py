"""
=======================
Other features than F's
=======================

Four spaces for the same sampler to work in: the game's own F, principal components, a
frozen network of yours, and embeddings that were computed beforehand. In each of them
the transformer stands before the sampler in the pipeline, so that new images go the
same way.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from imblearn.datasets import make_imbalance
from imblearn.pipeline import make_pipeline
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split
from torch import nn

from gamo_sampler import GAMOClassifier, GAMOFeatures, GAMOSampler

torch.set_num_threads(1)  # more would gain little with networks this small

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
counts = dict(enumerate([120, 100, 80, 60, 45, 35, 25, 18, 12, 8]))
X_train, y_train = make_imbalance(
    X_train, y_train, sampling_strategy=counts, random_state=0
)


recalls = {}


def report(name, features, X_train=X_train, X_test=X_test):
    model = make_pipeline(
        *features, GAMOSampler(random_state=0), LogisticRegression(max_iter=2000)
    )
    model.fit(X_train, y_train)
    recalls[name] = recall_score(y_test, model.predict(X_test), average=None)
    print(f"{name:15s} balanced accuracy {recalls[name].mean():.3f}")


report("pixels", [])
report("F", [GAMOFeatures(image_shape=(1, 8, 8), random_state=0)])
report("PCA", [PCA(n_components=20, random_state=0)])

# %%
# A frozen network comes as a builder, a function that gets the shape of an image and
# returns a network of rows; nothing in it is trained, as its parameters require no
# gradient. With torchvision it would be::
#
#     def backbone(image_shape, n_out):
#         network = torchvision.models.resnet18(weights="DEFAULT")
#         network.fc = nn.Identity()
#         return network.requires_grad_(False)
#
# and with timm ``timm.create_model(name, pretrained=True, num_classes=0)`` in the same
# place. Here it is a network of random filters, which needs no download.


def backbone(image_shape, n_out):
    network = nn.Sequential(
        nn.Conv2d(image_shape[0], 32, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()
    )
    return network.requires_grad_(False)


game = GAMOClassifier(
    feature_extractor=backbone, image_shape=(1, 8, 8), max_iter=1, random_state=0
)
report("frozen network", [GAMOFeatures(game)])

# %%
# Embeddings from anywhere are rows like others. Compute them once, for the training and
# for the new images, and leave the transformer out: here those of the frozen network.

embed = GAMOFeatures(game).fit(X_train, y_train).transform
report("embeddings", [], embed(X_train), embed(X_test))

# %%
# On images as small as these F gains nothing over pixels, and filters at random do
# better than both, most of all on the rare digits. It is one split and one run. Which
# features are right is for your data to say.

figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
del recalls["embeddings"]  # those of the frozen network
colors = ("tab:blue", "tab:orange", "gray", "black")
for i, (name, found) in enumerate(recalls.items()):
    at = np.arange(10) + 0.15 * (i - 1.5)
    ax.plot(at, found, "o^sD"[i], color=colors[i], label=name)
ax.set_xticks(range(10), [f"{label}\n{n}" for label, n in counts.items()])
ax.set(xlabel="digit, and its images in training", ylabel="recall on test images")
ax.legend(loc="lower left")
plt.show()
