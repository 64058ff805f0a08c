"""Train a network on handwritten digits, then read test digits with it.

python examples/train_and_read.py
"""

from lanterna import Train, train
from lanterna.images.digits import mnist
from lanterna.techniques.train.algorithm import logits_of


def main() -> float:
    """Train for a few seconds; return the accuracy on the 10,000 test digits."""
    settings = Train(
        network="dense",  # fully connected
        hidden=(128,),
        learning_rate=0.015,
        batch_size=256,
        epochs=3,
        augmentation="none",
    )
    for frame in train(settings):
        if frame.epoch_ended:
            numbers = {name: round(value, 4) for name, value in frame.numbers.items()}
            print(f"step {frame.step} of {frame.steps}: {numbers}")

    test = mnist("test")
    read = logits_of(frame.network, test.images).argmax(1)  # (10000,)
    for digit in range(5):
        print(f"written {test.labels[digit]}, read {read[digit]}")
    accuracy = (read == test.labels).float().mean().item()
    print(f"{accuracy:.2%} of 10,000 test digits read correctly")
    return accuracy


if __name__ == "__main__":
    main()
