"""Ordinal regression on given features with PyTorch + Opacus, all patients in one place.

The features are those of `cargo run --package synthetic --example features`: what the study's own head is trained on.
Model, initial weights, steps, optimizer, average, clip norm and delta are those of the draft; full batches, so Opacus
samples with a rate of 1. Prints one JSON line a row with the figures on the pooled held-out patients.

    python opacus_ordinal.py FEATURES DRAFT --epsilon 1 --seed 1
"""

import argparse
import csv
import json
import math
import tomllib

import torch

import dp_sgd


def load(path):
    """Features, labels and splits."""
    with open(path, newline="") as file:
        lines = csv.reader(file)
        next(lines)
        rows = list(lines)
    features = torch.tensor([[float(cell) for cell in row[2:]] for row in rows])
    labels = torch.tensor([int(row[1]) for row in rows])
    return features, labels, [row[0] for row in rows]


class Thresholds(torch.nn.Module):
    """logit P(class <= k) = theta_k - score (McCullagh 1980, section 2), each next theta higher by the softplus of a step.

    They start where every class of three has the same probability, those of more classes as far apart as each other.
    score: [patients, 1]; returns [patients, classes - 1].
    """

    def __init__(self, classes):
        super().__init__()
        last = math.log(classes - 1)
        distance = 2 * last / max(classes - 2, 1)
        self.first = torch.nn.Parameter(torch.tensor([-last]))
        self.steps = torch.nn.Parameter(torch.full([classes - 2], math.log(math.expm1(distance))))

    def forward(self, score):
        steps = torch.nn.functional.softplus(self.steps)
        thresholds = torch.cat([self.first, self.first + torch.cumsum(steps, 0)])
        return thresholds - score


def head(width, classes):
    weight = torch.nn.Linear(width, 1, bias=False)
    torch.nn.init.zeros_(weight.weight)
    return torch.nn.Sequential(weight, Thresholds(classes))


def log_probabilities(logits):
    """log(σ(a) - σ(b)) = log(σ(a) σ(-b) (1 - e^(b - a))) for the logits a above and b below each class.

    logits: [patients, classes - 1]; returns [patients, classes].
    """
    above = torch.nn.functional.logsigmoid(logits)
    below = torch.nn.functional.logsigmoid(-logits)
    gaps = torch.log(-torch.expm1(logits[:, :-1] - logits[:, 1:]))
    middle = above[:, 1:] + below[:, :-1] + gaps
    return torch.cat([above[:, :1], middle, below[:, -1:]], 1)


def loss(logits, target):
    return torch.nn.functional.nll_loss(log_probabilities(logits), target)


def optimizer_of(settings, parameters):
    """The study's rule in PyTorch's words; both correct Adam's bias and add tau to the root."""
    (name, values), = settings.items()
    if name == "adam":
        betas = (values["beta1"], values["beta2"])
        return torch.optim.Adam(parameters, lr=values["rate"], betas=betas, eps=values["tau"])
    if name == "momentum":
        return torch.optim.SGD(parameters, lr=values["rate"], momentum=values["momentum"])
    raise SystemExit(f"this script has no rule {name}: add it to optimizer_of")


class Tail:
    """The mean of the weights after the last steps (Polyak and Juditsky 1992)."""

    def __init__(self, model, first):
        self.model, self.first, self.step, self.sums = model, first, 0, []

    def __call__(self):
        self.step += 1
        if self.step < self.first:
            return
        weights = [weight.detach().double() for weight in self.model.parameters()]
        self.sums = [old + new for old, new in zip(self.sums, weights)] if self.sums else weights

    def publish(self):
        count = self.step - self.first + 1
        with torch.no_grad():
            for weight, total in zip(self.model.parameters(), self.sums):
                weight.copy_(total / count)


def run(data, draft, epsilon, seed):
    features, labels, splits = data
    train = torch.tensor([split == "train" for split in splits])
    held_out = torch.tensor([split == "held_out" for split in splits])
    training, privacy = draft["training"], draft["privacy"]
    if training["algorithm"] != {"gradient": {"batch": "all"}}:
        raise SystemExit("this script takes full batches only: training.algorithm is another")
    torch.manual_seed(seed)
    model = head(features.shape[1], len(draft["cohort"]["classes"]))
    steps = training["rounds"]
    averaged = math.ceil(training.get("average-tail", 0.0) * steps)
    tail = Tail(model, steps - max(averaged, 1) + 1)
    opacus = epsilon and {
        "epsilon": epsilon,
        "delta": privacy["delta"],
        "max_grad_norm": privacy["clip-norm"],
        "accountant": "prv",
    }
    optimizer = optimizer_of(training["optimizer"], model.parameters())
    noise = dp_sgd.train(model, optimizer, loss, features[train], labels[train], steps, opacus, tail)
    tail.publish()
    with torch.no_grad():
        probabilities = log_probabilities(model(features[held_out])).exp()
    return {"seed": seed, **dp_sgd.figures(labels[held_out], probabilities), "noise_multiplier": noise}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("features", help="split, label and features of each patient")
    parser.add_argument("draft", help="the study's draft, in TOML")
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    data = load(arguments.features)
    with open(arguments.draft, "rb") as file:
        draft = tomllib.load(file)
    for name, epsilon in dp_sgd.rows(arguments.epsilon):
        line = {"row": name, **run(data, draft, epsilon, arguments.seed)}
        print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
