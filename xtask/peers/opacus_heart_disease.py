"""Logistic regression on UCI Heart Disease with PyTorch + Opacus, all patients in one place.

The same rows, inputs, split, model, steps, clip norm and (epsilon, delta) as the study heart-disease: full batches,
so Opacus samples with a rate of 1. Prints one JSON line a seed and row with the figures on the pooled held-out patients.

    python opacus_heart_disease.py DATA --epsilon 1 --steps 15 --rate 2 --momentum 0.5 --seeds 5
"""

import argparse
import csv
import json

import torch

import dp_sgd


def load(path):
    """Inputs, labels and splits by FLamby's recipe: cp and restecg as indicators without their first level."""
    rows = list(csv.DictReader(open(path)))
    fixed = ["age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak"]
    inputs = []
    for row in rows:
        values = [float(row[name]) for name in fixed]
        values += [float(float(row["cp"]) == level) for level in (2, 3, 4)]
        values += [float(float(row["restecg"]) == level) for level in (1, 2)]
        inputs.append(values)
    inputs = torch.tensor(inputs, dtype=torch.float64)
    labels = torch.tensor([float(row["y"]) for row in rows])
    train = torch.tensor([row["split"] == "train" for row in rows])
    # Exact pooled means: the peer is given for nothing what the study pays for.
    mean, sd = inputs[train].mean(0), inputs[train].std(0)
    return ((inputs - mean) / sd).float(), labels, train


def loss(logits, target):
    return torch.nn.functional.binary_cross_entropy_with_logits(logits.squeeze(1), target)


def run(inputs, labels, train, arguments, epsilon, seed):
    torch.manual_seed(seed)
    model = torch.nn.Linear(inputs.shape[1], 1)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=arguments.rate, momentum=arguments.momentum)
    privacy = epsilon and {
        "epsilon": epsilon,
        "delta": 1e-5,
        "max_grad_norm": 1.0,
        "accountant": arguments.accountant,
    }
    noise = dp_sgd.train(model, optimizer, loss, inputs[train], labels[train], arguments.steps, privacy)
    with torch.no_grad():
        score = torch.sigmoid(model(inputs[~train]))
    return {
        "seed": seed,
        **dp_sgd.figures(labels[~train], torch.cat([1 - score, score], 1)),
        "noise_multiplier": noise,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="flamby_split.csv")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--momentum", type=float, required=True)
    parser.add_argument("--accountant", default="prv", choices=["prv", "rdp"])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    inputs, labels, train = load(arguments.data)
    for seed in range(1, arguments.seeds + 1):
        for name, epsilon in dp_sgd.rows(arguments.epsilon):
            line = {"row": name, **run(inputs, labels, train, arguments, epsilon, seed)}
            print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
