"""What the peers' scripts share: full-batch training with or without Opacus, and figures on held-out patients."""

import warnings

import numpy
import torch
from opacus import PrivacyEngine
from sklearn.metrics import f1_score, roc_auc_score

warnings.filterwarnings("ignore")
# Figures must not depend on how sums are cut.
torch.set_num_threads(1)


def train(model, optimizer, loss, inputs, labels, steps, privacy=None, after_step=lambda: None):
    """Takes `steps` full-batch steps on `model`, in place; returns the noise multiplier, 0 without privacy.

    `privacy` holds epsilon, delta, max_grad_norm and the accountant. Full batches are a sampling rate of 1.
    """
    data = torch.utils.data.TensorDataset(inputs, labels)
    loader = torch.utils.data.DataLoader(data, batch_size=len(data))
    noise = 0.0
    if privacy is not None:
        engine = PrivacyEngine(accountant=privacy["accountant"])
        model, optimizer, loader = engine.make_private_with_epsilon(
            module=model,
            optimizer=optimizer,
            data_loader=loader,
            target_epsilon=privacy["epsilon"],
            target_delta=privacy["delta"],
            epochs=steps,
            max_grad_norm=privacy["max_grad_norm"],
        )
        noise = float(optimizer.noise_multiplier)
    for _ in range(steps):
        for batch, target in loader:
            optimizer.zero_grad()
            loss(model(batch), target).backward()
            optimizer.step()
            after_step()
    return noise


def figures(truth, probabilities):
    """Accuracy, and means over the classes of AUC (one against the rest) and F1.

    truth: [patients], probabilities: [patients, classes].
    """
    truth, probabilities = numpy.asarray(truth), numpy.asarray(probabilities)
    predicted = probabilities.argmax(1)
    areas = [roc_auc_score(truth == label, column) for label, column in enumerate(probabilities.T)]
    return {
        "accuracy": float(numpy.mean(predicted == truth)),
        "macro_auc": float(numpy.mean(areas)),
        "macro_f1": float(f1_score(truth, predicted, average="macro")),
    }


def rows(epsilon):
    """The rows of a page: their names, and epsilon or none."""
    return [
        ("PyTorch, no noise, all patients in one place", None),
        (f"PyTorch + Opacus, ε = {epsilon:g}, all patients in one place", epsilon),
    ]
