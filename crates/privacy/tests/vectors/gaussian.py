"""Writes gaussian.json: the textbook formula and bisection, at 60 digits (mpmath 1.3.0)."""

import json
from pathlib import Path

from mpmath import erfc, exp, mp, mpf, sqrt

mp.dps = 60
META = (
    "Gaussian mechanism, Balle & Wang 2018 theorem 8, by gaussian.py; every number is the double nearest to the true "
    "value. mu = sensitivity / noise standard deviation. delta: from mu and epsilon; epsilon: least for mu and delta; "
    "mu: greatest for epsilon and delta."
)
DELTA = [(0.001, 0.001), (0.1, 0.05), (0.25, 1), (0.25, 10), (1, 0.5), (1, 1), (1, 8), (1, 35), (3, 1), (10, 50),
         (8.806, 100), (10.5, 100), (15, 100)]
EPSILON = [(1e-4, 1e-5), (0.001, 1e-5), (0.01, 1e-8), (0.2, 1e-6), (0.2, 1e-12), (1, 1e-5), (8.8, 1e-12), (4, 1e-6),
           (4, 0.5), (30, 1e-6), (300, 1e-9), (3000, 1e-6)]
MU = [(0.01, 1e-9), (0.1, 1e-6), (0.5, 1e-5), (1, 1e-6), (1, 1e-12), (2, 1e-5), (8, 1e-6), (100, 1e-6), (100, 1e-12),
      (1, 0.9)]


def phi(x):
    return erfc(-x / sqrt(2)) / 2


def delta(mu, eps):
    mu, eps = mpf(mu), mpf(eps)
    return phi(mu / 2 - eps / mu) - exp(eps) * phi(-mu / 2 - eps / mu)


def bisect(holds, low, high):
    """Where `holds` changes from true at low to false at high."""
    for _ in range(220):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def epsilon(mu, d):
    return bisect(lambda eps: delta(mu, eps) > d, mpf(0), mpf(mu) ** 2 / 2 + 60 * mpf(mu))


def greatest_mu(eps, d):
    return bisect(lambda mu: delta(mu, eps) <= d, mpf("1e-9"), mpf("1e4"))


vectors = {
    "meta": META,
    "delta": [{"mu": mu, "epsilon": eps, "delta": float(delta(mu, eps))} for mu, eps in DELTA],
    "epsilon": [{"mu": mu, "delta": d, "epsilon": float(epsilon(mu, d))} for mu, d in EPSILON],
    "mu": [{"epsilon": eps, "delta": d, "mu": float(greatest_mu(eps, d))} for eps, d in MU],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(vectors, indent=1) + "\n")
