"""The field's terms that Lanterna uses, each defined once: for the site, the studio and `learn --words`."""

from __future__ import annotations

import re

from lanterna.errors import UsageError

GLOSSARY = {
    "accuracy": (
        "The share of pictures that a network classifies correctly, measured on pictures that it was not "
        "trained on."
    ),
    "activation": (
        "The number that a unit outputs for a picture. The larger it is, the more of what the unit looks "
        "for is there."
    ),
    "activation function": (
        "What a unit does to its weighted sum before it passes it on, for example ReLU. Without it, many "
        "layers could do no more than one."
    ),
    "Adam": (
        "An optimiser that gives each weight a step size, based on its gradients so far "
        "(Kingma and Ba, 2014)."
    ),
    "augmentation": (
        "Changing the training pictures at random, by shifting or redrawing them, so that a network sees "
        "more variety than there is."
    ),
    "backward pass": (
        "Computing the gradient of the loss for every weight, from the last layer back to the first."
    ),
    "batch": "The pictures that a network sees before its weights change once.",
    "batch normalisation": (
        "A layer that shifts and scales each channel to mean 0 and variance 1, and then by two numbers that "
        "it learns. It makes deep networks easier to train (Ioffe and Szegedy, 2015)."
    ),
    "bias": "A number that a unit adds to its weighted sum. It sets how easily the unit becomes active.",
    "channel": (
        "One of a layer's maps: what one kernel found, at every position. A photograph has three channels, "
        "red, green and blue."
    ),
    "checkpoint": "The state of a run, saved so that the run can be resumed.",
    "class": "One of the answers that a network chooses between, such as goldfish, or the digit 4.",
    "contribution": "How much a unit, a map or a connection added to an answer, or took away from it.",
    "convolution": (
        "A layer that slides small kernels over its input, so that it finds a pattern wherever it is."
    ),
    "CPPN": (
        "A compositional pattern-producing network: random weights that turn the position of each pixel "
        "into its colour (Stanley, 2007)."
    ),
    "cross-entropy": (
        "The loss of most classifiers: minus the logarithm of the probability given to the right class. It "
        "is 0 at best; guessing among ten digits gives 2.3."
    ),
    "dropout": (
        "Switching off a random share of the units at each training step, so that a network doesn't rely on "
        "any single one."
    ),
    "energy": (
        "Half the mean square of a layer's activations. DeepDream changes a picture so that it grows."
    ),
    "epoch": "One pass over the whole training set.",
    "feature": "A pattern that a network has learned to find: an edge, an eye, a wheel.",
    "fine-tuning": (
        "Training a network that has already been trained on something else a little further, on new "
        "pictures."
    ),
    "forward pass": "Computing a network's output for a picture, from the first layer to the last.",
    "Fourier features": (
        "Sines and cosines of a position at many frequencies. Given these in place of x and y, a network "
        "can paint fine detail (Tancik et al., 2020)."
    ),
    "gradient": (
        "How much, and in which direction, a result changes when each weight or pixel changes a little. "
        "Training follows it downhill, DeepDream uphill."
    ),
    "Gram matrix": (
        "For each pair of channels, how strongly they are active together, wherever in the picture. It "
        "captures a painting's style but not its layout (Gatys et al., 2015)."
    ),
    "hash grid": (
        "Tables of numbers to learn, looked up by position at many scales. With it a network paints detail "
        "in seconds (Müller et al., 2022)."
    ),
    "hidden layer": "A layer between the input and the output.",
    "jitter": "A small random shift of the picture before each step, so that no grid shows in the result.",
    "kernel": "The small grid of weights that a convolution slides over its input.",
    "layer": "One step of a network. It takes the numbers of the layer before it and outputs new ones.",
    "learning rate": ("The factor on each update of the weights. Too small is slow, too large overshoots."),
    "logit": "A network's raw score for a class, before softmax turns the scores into probabilities.",
    "loss": "How wrong a result is, as one number. Training makes it smaller.",
    "mask": (
        "A grey picture that says where something applies: fully where it is white, not at all where it is "
        "black."
    ),
    "MNIST": (
        "70,000 handwritten digits of 28 × 28 pixels, collected in the 1990s: the first data set of most "
        "deep-learning courses."
    ),
    "momentum": (
        "Letting each step continue partly in the direction of the steps before it, which smooths the way "
        "down."
    ),
    "octave": (
        "One size of the picture in a dream. DeepDream begins with a small copy and enlarges it several "
        "times; each size adds finer detail."
    ),
    "optimiser": ("The rule that updates weights, or pixels, using their gradients."),
    "overfitting": (
        "Memorising the training pictures instead of learning what they have in common. An overfitted "
        "network does worse on new ones."
    ),
    "pooling": (
        "A layer that makes maps smaller by keeping the maximum, or the average, of each small square."
    ),
    "preprocessing": (
        "Turning a picture into what a network expects: cropped, scaled and centred like those that it was "
        "trained on."
    ),
    "PSNR": (
        "Peak signal-to-noise ratio, in decibels (dB): how close one picture is to another. 20 dB is rough "
        "and 30 dB good; above 40 dB they look the same."
    ),
    "ReLU": (
        "The activation function max(0, x): it passes positive numbers on and turns negative ones into 0."
    ),
    "seed": (
        "The number that all randomness starts from. The same seed and the same settings give the same "
        "result."
    ),
    "sigmoid": (
        "An S-shaped activation function from 0 to 1. Far from 0 it is flat, and hardly any gradient gets "
        "through."
    ),
    "SIREN": (
        "A network whose activation function is the sine. It paints smooth, detailed pictures (Sitzmann et "
        "al., 2020)."
    ),
    "softmax": "The function that turns logits into probabilities, which add up to 1.",
    "tanh": "An S-shaped activation function from −1 to 1.",
    "test set": (
        "Pictures used only at the end, to measure how good a network is. No setting is chosen by them."
    ),
    "training set": "The pictures that a network learns from.",
    "unit": ("A neuron: it computes a weighted sum of its inputs, adds a bias, and outputs one number."),
    "validation set": "Pictures held out of training, by which settings are chosen.",
    "Wasserstein distance": (
        "How far one set of activations has to move to become another. It compares the styles of two "
        "pictures."
    ),
    "weight": "A number that a connection multiplies its input by. Training changes the weights.",
    "weight decay": ("Pulling every weight a little towards 0 at each step, which keeps a network simple."),
}
"""Each term with its meaning, in alphabetical order."""

ALSO = {
    "AdamW": "Adam", "ReLU6": "ReLU", "batch norm": "batch normalisation", "convolutional": "convolution",
    "Gram matrices": "Gram matrix", "held out": "validation set", "held-out": "validation set",
    "neuron": "unit", "test digit": "test set", "training digit": "training set",
    "validation digit": "validation set",
}  # fmt: skip
"""Other forms in which a term stands in a text. Its plural needs no entry."""

ORDINARY = {"class", "feature", "mask", "unit", "weight"}
"""Terms that are ordinary words too: a page does not explain them wherever they stand."""


def look_up(word: str) -> tuple[str, str]:
    """Return the term that `word` is a form of, whatever its case, and its meaning.

    Errors: `UsageError` that lists the terms.
    """
    for form, term in forms().items():
        if re.fullmatch(rf"{re.escape(form)}(?:e?s)?", word, re.IGNORECASE):
            return term, GLOSSARY[term]
    raise UsageError(f"the glossary has no {word[:40]!r}: it has {', '.join(GLOSSARY)}")


def forms() -> dict[str, str]:
    """Return the term of each form."""
    return {**{term: term for term in GLOSSARY}, **ALSO}
