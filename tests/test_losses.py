"""Every L_k alone against values computed by hand, and Theorem 1."""

import math

import numpy as np
import pytest
import torch

from gamo_sampler._losses import (
    Outputs,
    Sigmoid,
    Softmax,
    classifier_loss,
    complement,
    cross_entropy,
    discriminator_loss,
    divergence,
    least_squares,
    log,
    log_loss,
    realism_loss,
    reconstruction_loss,
    squared,
)


def value(loss, criterion, outputs, *rest):
    p = torch.tensor([outputs], dtype=torch.float64)
    outputs = Outputs(p.clamp(1e-15, 1 - 1e-15))
    [loss] = loss(criterion, outputs, *rest)
    return float(loss)


FIRST = torch.tensor([0])


def test_l1_and_l3_are_the_own_output():
    # Outputs 2 and 3 are right, so that only (1 - .7)^2 is left, over 3 outputs.
    assert value(classifier_loss, least_squares, [0.7, 0, 0], FIRST) == (
        pytest.approx(0.09 / 3)
    )
    assert value(classifier_loss, cross_entropy, [0.7, 0, 0], FIRST) == (
        pytest.approx(-math.log(0.7) / 3)
    )


def test_l2_and_l4_are_the_other_outputs():
    assert value(classifier_loss, least_squares, [1, 0.2, 0.5], FIRST) == (
        pytest.approx((0.04 + 0.25) / 3)
    )
    assert value(classifier_loss, cross_entropy, [1, 0.2, 0.5], FIRST) == (
        pytest.approx(-(math.log(0.8) + math.log(0.5)) / 3)
    )


def test_l5_wants_real_rows_called_real():
    one = torch.ones(1, dtype=torch.float64)
    assert value(discriminator_loss, least_squares, 0.8, one) == pytest.approx(0.04)
    assert value(discriminator_loss, cross_entropy, 0.8, one) == (
        pytest.approx(-math.log(0.8))
    )


def test_l6_wants_generated_rows_called_generated():
    zero = torch.zeros(1, dtype=torch.float64)
    assert value(discriminator_loss, least_squares, 0.3, zero) == pytest.approx(0.09)
    assert value(discriminator_loss, cross_entropy, 0.3, zero) == (
        pytest.approx(-math.log(0.7))
    )


def test_smoothed_targets_of_the_discriminator():
    target = torch.tensor([0.95], dtype=torch.float64)
    assert value(discriminator_loss, least_squares, 0.85, target) == (
        pytest.approx(0.01)
    )
    assert value(discriminator_loss, cross_entropy, 0.85, target) == (
        pytest.approx(-0.95 * math.log(0.85) - 0.05 * math.log(0.15))
    )


def test_l7_wants_the_own_output_down():
    # The complement of the label asks for (0, 1, 1).
    assert value(complement, least_squares, [0.6, 1, 1], FIRST) == (
        pytest.approx(0.36 / 3)
    )
    assert value(complement, cross_entropy, [0.6, 1, 1], FIRST) == (
        pytest.approx(-math.log(0.4) / 3)
    )


def test_l8_wants_the_other_outputs_up():
    assert value(complement, least_squares, [0, 0.3, 0.9], FIRST) == (
        pytest.approx((0.49 + 0.01) / 3)
    )
    assert value(complement, cross_entropy, [0, 0.3, 0.9], FIRST) == (
        pytest.approx(-(math.log(0.3) + math.log(0.9)) / 3)
    )


def test_l9_wants_generated_rows_called_real():
    assert value(realism_loss, least_squares, 0.4) == pytest.approx(0.36)
    assert value(realism_loss, cross_entropy, 0.4) == pytest.approx(-math.log(0.4))


@pytest.mark.parametrize("criterion", [least_squares, cross_entropy])
def test_stronger_targets_are_those_of_the_own_output(criterion):
    p = [0.6, 0.3, 0.1]
    assert value(squared, criterion, p, FIRST) == pytest.approx(0.36)
    assert value(log, criterion, p, FIRST) == pytest.approx(-math.log(0.4))


def test_pull_of_the_targets_where_m_is_sure():
    """-log(1 - p) pulls more than p^2, which pulls more than the mean complement."""

    def pull(target):
        rest = 0.1 / 9
        p = torch.tensor([[0.9] + [rest] * 9], dtype=torch.float64)
        logits = p.log().requires_grad_()
        target(least_squares, Softmax(logits), FIRST).sum().backward()
        return float(logits.grad[0, 0])

    # By hand, with q = rest and dp/da = .09: complement is (2 p + 2 (1 - q)) / 10 of
    # that, the square 2 p, the logarithm 1 / (1 - p).
    q = 0.1 / 9
    assert pull(complement) == pytest.approx(0.09 * (1.8 + 2 * (1 - q)) / 10)
    assert pull(squared) == pytest.approx(0.09 * 1.8)
    assert pull(log) == pytest.approx(0.09 * 10)


@pytest.mark.parametrize("gap", [0.3, 20.0, 40.0, 1e5])
def test_cross_entropy_pulls_back_from_certain_mistakes(gap):
    """Where a float32 softmax or sigmoid is flat, the gradient is not."""
    scores = torch.tensor([[-gap, gap]], requires_grad=True)
    classifier_loss(cross_entropy, Softmax(scores), FIRST).sum().backward()
    p = torch.tensor([-gap, gap], dtype=torch.float64).softmax(0)
    # d/ds of -log p_1 - log(1 - p_2), over two outputs: both are -log p_1 here.
    torch.testing.assert_close(
        scores.grad.double(), torch.stack([p[0] - 1, p[1]])[None]
    )

    for target, direction in [(1.0, -1), (0.0, 1)]:
        score = torch.tensor([-gap if target else gap], requires_grad=True)
        loss = discriminator_loss(cross_entropy, Sigmoid(score), torch.tensor([target]))
        loss.sum().backward()
        expected = direction * torch.tensor([gap], dtype=torch.float64).sigmoid()
        torch.testing.assert_close(score.grad.double(), expected)


@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_softmax_outputs_are_exact(n_classes):
    scores = 8 * torch.randn(50, n_classes, generator=torch.Generator().manual_seed(0))
    m, p = Softmax(scores), scores.double().softmax(1)
    torch.testing.assert_close(m.p.double(), p)
    torch.testing.assert_close(m.log.double(), p.log(), rtol=1e-5, atol=1e-5)
    if n_classes > 1:
        rest = torch.stack(
            [p[:, torch.arange(n_classes) != i].sum(1) for i in range(n_classes)], 1
        )
        torch.testing.assert_close(
            m.log_rest.double(), rest.log(), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("criterion", [least_squares, cross_entropy])
def test_one_class_is_finite_and_nan_goes_through(criterion):
    one = torch.zeros(1, 1, requires_grad=True)
    loss = classifier_loss(criterion, Softmax(one), FIRST).sum()
    loss.backward()
    assert loss == 0
    assert one.grad == 0
    nan = torch.full((1, 2), torch.nan)
    assert classifier_loss(criterion, Softmax(nan), FIRST).isnan().all()
    assert realism_loss(criterion, Sigmoid(nan[0])).isnan().all()


def test_losses_are_per_row():
    m = Outputs(torch.tensor([[0.7, 0.3], [0.1, 0.9]]))
    y = torch.tensor([0, 1])
    torch.testing.assert_close(
        classifier_loss(least_squares, m, y), torch.tensor([0.09, 0.01])
    )
    y = torch.tensor([1, 1])
    for target, expected in [
        (complement, [(0.3**2 + 0.3**2) / 2, (0.9**2 + 0.9**2) / 2]),
        (squared, [0.3**2, 0.9**2]),
        (log, [-math.log(0.7), -math.log(0.1)]),
    ]:
        torch.testing.assert_close(target(least_squares, m, y), torch.tensor(expected))


# Theorem 1


def histograms(seed, c=4, n_points=7):
    """Random priors P, and p^d and p^g of each class on a finite support."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(c))
    real, generated = rng.dirichlet(np.ones(n_points), size=(2, c))
    return map(torch.tensor, (P, real, generated))


def objective(M, P, real, generated):
    """J of equation 2, from the losses of the game; M Outputs of (points, c)."""
    c = len(P)
    J = 0.0
    for i in range(c):
        y = torch.full((len(M.p),), i)
        # classifier_loss is the mean over c outputs, J their sum, with the sign of
        # a log-likelihood.
        log_likelihood = -c * classifier_loss(cross_entropy, M, y)
        J += P[i] * (real[i] * log_likelihood).sum()
        J += (P.max() - P[i]) * (generated[i] * log_likelihood).sum()
    return J


def mixtures(P, real, generated):
    """q_i = P_i p_i^d + (P_c - P_i) p_i^g, (c, points)."""
    return P[:, None] * real + (P.max() - P)[:, None] * generated


def kl(a, b):
    return (a * torch.log(a / b)).sum()


def jensen_shannon(a, b):
    return (kl(a, (a + b) / 2) + kl(b, (a + b) / 2)) / 2


@pytest.mark.parametrize("seed", range(5))
def test_theorem_1(seed):
    P, real, generated = histograms(seed)
    c = len(P)
    q = mixtures(P, real, generated)
    best = (q / q.sum(0)).T
    J = objective(Outputs(best), P, real, generated)
    divergences = sum(2 * jensen_shannon(q[i], q.sum(0) - q[i]) for i in range(c))
    expected = divergences - c**2 * P.max() * math.log(2)
    torch.testing.assert_close(J, expected)


@pytest.mark.parametrize("seed", range(3))
def test_best_classifier_of_theorem_1_is_what_training_finds(seed):
    P, real, generated = histograms(seed)
    q = mixtures(P, real, generated)
    scores = torch.zeros(q.T.shape, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=500, tolerance_grad=1e-10)

    def closure():
        optimizer.zero_grad()
        loss = -objective(Softmax(scores), P, real, generated)
        loss.backward()
        return loss

    optimizer.step(closure)
    found = scores.detach().softmax(1)
    torch.testing.assert_close(found, (q / q.sum(0)).T, rtol=0, atol=1e-4)


def test_log_loss_is_categorical_for_m_and_binary_for_d():
    scores = torch.tensor([[1.0, -0.5, 0.2]])
    m = Softmax(scores)
    loss = classifier_loss(log_loss, m, torch.tensor([2]))
    p = np.exp(0.2) / np.exp([1.0, -0.5, 0.2]).sum()
    assert loss.item() == pytest.approx(-np.log(p) / 3)
    d = Sigmoid(torch.tensor([0.7]))
    loss = discriminator_loss(log_loss, d, torch.tensor([0.9]))
    p = 1 / (1 + np.exp(-0.7))
    assert loss.item() == pytest.approx(-0.9 * np.log(p) - 0.1 * np.log(1 - p))


def test_reconstruction_is_the_sum_of_squared_differences():
    images = torch.tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 0.5]])
    x = torch.tensor([[1.0, 4.0, 1.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(
        reconstruction_loss(images, x), torch.tensor([13.0, 0.25])
    )


def test_divergence_is_that_of_a_gaussian_from_the_standard_one():
    mean = torch.tensor([[0.5, -1.0], [0.0, 0.0]])
    variance = torch.tensor([[4.0, 1.0], [1.0, 1.0]])
    # (.25 + 4 - 1 - log 4) / 2 for the first value, 1 / 2 for the second one.
    expected = torch.tensor([(3.25 - math.log(4)) / 2 + 0.5, 0.0])
    torch.testing.assert_close(divergence(mean, variance.log()), expected)
