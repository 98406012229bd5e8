"""Writes sampler.json: ChaCha20 (RFC 8439, nonce 0) and algorithms 1 to 3 of Canonne, Kamath & Steinke 2020.

Python's integers have no limit, so a sample that overflow would spoil shows. Standard library only.
"""

import json
import struct
from math import isqrt
from pathlib import Path

QUARTERS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
VARIANCES = [1, 2, 16, 10007, 2**40, 2**50 - 3, 2**56]


def block(key, counter):
    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), counter, 0, 0, 0]
    state = start[:]
    for _ in range(10):
        for a, b, c, d in QUARTERS:
            for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                state[x] = (state[x] + state[y]) % 2**32
                mixed = state[z] ^ state[x]
                state[z] = (mixed << bits | mixed >> 32 - bits) % 2**32
    return struct.pack("<16I", *((a + b) % 2**32 for a, b in zip(state, start)))


def words(key):
    counter = 0
    while True:
        yield from struct.unpack("<8Q", block(key, counter))
        counter += 1


def below(bound, stream):
    if bound == 1:
        return 0
    if bound < 2**64:
        while True:
            product = next(stream) * bound
            if product % 2**64 >= 2**64 % bound:
                return product >> 64
    while True:
        word = (next(stream) << 64 | next(stream)) >> 128 - (bound - 1).bit_length()
        if word < bound:
            return word


def coin_of_exp(numerator, denominator, stream):
    tosses = 1
    while below(denominator * tosses, stream) < numerator:
        tosses += 1
    return tosses % 2 == 1


def discrete_laplace(scale, stream):
    while True:
        remainder = below(scale, stream)
        if not coin_of_exp(remainder, scale, stream):
            continue
        wholes = 0
        while coin_of_exp(1, 1, stream):
            wholes += 1
        magnitude, negative = remainder + scale * wholes, next(stream) >> 63
        if not (negative and magnitude == 0):
            return -magnitude if negative else magnitude


def discrete_gaussian(variance, stream):
    scale = isqrt(variance) + 1
    while True:
        sample = discrete_laplace(scale, stream)
        numerator, denominator = (abs(sample) * scale - variance) ** 2, 2 * variance * scale**2
        wholes, rest = divmod(numerator, denominator)
        if all(coin_of_exp(1, 1, stream) for _ in range(wholes)) and coin_of_exp(rest, denominator, stream):
            return sample


stream = words(bytes([7] * 32))
vectors = {
    "meta": "Discrete Gaussian samples, by sampler.py; one ChaCha20 stream with 32 bytes of 7 as its seed for all rows.",
    "rows": [{"variance": v, "samples": [discrete_gaussian(v, stream) for _ in range(30)]} for v in VARIANCES],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(vectors) + "\n")
