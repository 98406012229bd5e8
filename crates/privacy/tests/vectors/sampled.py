"""Writes sampled.json: releases of Poisson samples with Gaussian noise, at the edges of what is accepted (mpmath 1.3.0).

Another way than the crate's: each release's loss is put on a grid by exact differences of normal distribution functions
(connect the dots: Doroshenko et al. 2022), as integers of 70 decimal digits, and convolved without any Fourier transform
of floating-point numbers, as products of decimal integers that hold a whole list (Kronecker substitution). Nothing is
tilted. The grid adds an error of its width squared, so it is taken away by two grids (Richardson); what is left is below
1e-6 of delta. Losses above the window count as infinite.
"""

import decimal
import json
import sys
from pathlib import Path

from mpmath import erfc, exp, expm1, log, log1p, mp, mpf, sqrt

mp.dps = 80
DIGITS = 70
ONE = 10**DIGITS
WIDTH = 2 * DIGITS + 10
decimal.getcontext().prec = decimal.MAX_PREC
decimal.getcontext().Emax = decimal.MAX_EMAX
sys.set_int_max_str_digits(0)

# noise multiplier, rate, steps, window, points
CASES = [
    (1.0, 0.01, 1000, 8, 1 << 13),
    (4.0, 0.05, 1000, 6, 1 << 13),
    (0.6, 0.2, 180, 200, 1 << 13),
    (1.3, 0.5, 430, 180, 1 << 13),
    (8.0, 0.01, 20, 0.25, 1 << 12),
    (2.0, 1e-4, 10, 0.05, 1 << 13),
]
DELTAS = [1e-12, 1e-6]


def upper(x):
    return erfc(x / sqrt(2)) / 2


def dots(sigma, q, top, h, direction):
    """Masses on the grid from index `first`, and the mass of what counts as infinite."""
    mu, q = 1 / mpf(sigma), mpf(q)

    def place(value):  # where ln ratio is value
        inner = expm1(value) / q
        return None if inner <= -1 else log1p(inner) / mu + mu / 2

    lowest = log1p(-q)
    bottom = int(mp.floor(lowest / h)) if direction == "remove" else -int(top / h)
    end = int(top / h) if direction == "remove" else -int(mp.floor(lowest / h))

    def tails(loss):
        """P and Q of losses above this one."""
        if direction == "remove":
            z = place(loss)
            if z is None:
                return mpf(1), mpf(1)
            return (1 - q) * upper(z) + q * upper(z - mu), upper(z)
        z = place(-loss)
        if z is None:
            return mpf(0), mpf(0)
        return upper(-z), (1 - q) * upper(-z) + q * upper(mu - z)

    masses = [mpf(0)] * (end - bottom + 2)
    above = tails(bottom * h)
    masses[0] += 1 - above[0]
    for i in range(bottom, end):
        nxt = tails((i + 1) * h)
        p, r = above[0] - nxt[0], above[1] - nxt[1]
        low, high = exp(-i * h), exp(-(i + 1) * h)
        up = (p * low - r) / (low - high)
        masses[i - bottom] += p - up
        masses[i + 1 - bottom] += up
        above = nxt
    return bottom, [max(0, int(m * ONE)) for m in masses], above[0]


def pack(values):
    return decimal.Decimal("".join(str(v).zfill(WIDTH) for v in reversed(values)))


def unpack(number, count):
    text = format(number, "f").zfill(count * WIDTH)
    text = text[-count * WIDTH:] if len(text) >= count * WIDTH else text
    return [int(text[len(text) - (k + 1) * WIDTH: len(text) - k * WIDTH]) for k in range(count)]


def times(a, b, limit):
    first = a[0] + b[0]
    values = unpack(pack(a[1]) * pack(b[1]), len(a[1]) + len(b[1]) - 1)
    values = [v // ONE for v in values][: max(0, limit - first)]
    return trimmed(first, values)


def trimmed(first, values):
    """Without the zeros at both ends."""
    begin, end = 0, len(values)
    while begin < end and values[begin] == 0:
        begin += 1
    while end > begin and values[end - 1] == 0:
        end -= 1
    return first + begin, values[begin:end]


def power(base, steps, limit):
    """The product cut above `limit`: what is cut has a great loss in any continuation but one of negative losses."""
    result = None
    while steps:
        if steps & 1:
            result = base if result is None else times(result, base, limit)
        steps >>= 1
        if steps:
            base = times(base, base, limit)
    return result


def curve(sigma, q, steps, top, h, direction):
    first, masses, infinite = dots(sigma, q, top, h, direction)
    slack = int(steps * -log1p(-mpf(q)) / h) if direction == "remove" else 0
    total = power(trimmed(first, masses), steps, int(top / h) + (slack if slack < top / h else int(top / h)))
    lost = 1 - mpf(sum(total[1])) / ONE
    return total, lost


def table(curve, h):
    """For each grid point: the sum of the masses from there up, and of each times exp(-loss)."""
    (first, values), lost = curve
    sums, mass, weighted = [], mpf(0), mpf(0)
    for k in reversed(range(len(values))):
        mass += mpf(values[k]) / ONE
        weighted += mpf(values[k]) / ONE * exp(-(first + k) * h)
        sums.append((first + k, mass, weighted))
    return sums[::-1], first, lost


def delta(table, h, eps):
    sums, first, lost = table
    k = max(0, int(mp.ceil(eps / h)) - first)
    if k >= len(sums):
        return lost
    return sums[k][1] - exp(eps) * sums[k][2] + lost


def epsilon(tables, h, want):
    low, high = mpf(0), mpf(400)
    for _ in range(60):
        mid = (low + high) / 2
        low, high = (mid, high) if max(delta(t, h, mid) for t in tables) > want else (low, mid)
    return high


rows = []
for sigma, q, steps, window, points in CASES:
    out = []
    for n in (points, 2 * points):
        h = mpf(window) / n
        tables = [table(curve(sigma, q, steps, window, h, d), h) for d in ("remove", "add")]
        out.append([epsilon(tables, h, mpf(d)) for d in DELTAS])
    for d, coarse, fine in zip(DELTAS, *out):
        best = fine - (coarse - fine) / 3
        rows.append({"noise_multiplier": sigma, "rate": q, "steps": steps, "delta": d, "epsilon": float(best)})
        print(sigma, q, steps, d, float(coarse), float(fine), float(best), [mp.nstr(t[2], 3) for t in tables], flush=True)
meta = (
    "Poisson-sampled Gaussian releases at the edges of what is accepted, by sampled.py; epsilon is the least for delta, "
    "right to about 1e-5 of it."
)
Path(__file__).with_suffix(".json").write_text(json.dumps({"meta": meta, "epsilon": rows}, indent=1) + "\n")
