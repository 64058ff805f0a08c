"""TensorFlow's beginner quickstart, as its page describes it, on digits from a file. `train.py` runs it.

Run in TensorFlow's own environment: `python tensorflow_quickstart.py digits.npz SEED EPOCHS`. Its page has 5
epochs. Prints one JSON line.
"""

import json
import sys
import time

started = time.perf_counter()

import numpy as np  # noqa: E402  (the clock starts before the imports: they are what a user waits for)
import tensorflow as tf  # noqa: E402

digits = np.load(sys.argv[1])
tf.keras.utils.set_random_seed(int(sys.argv[2]))

model = tf.keras.models.Sequential(
    [
        tf.keras.layers.Input(shape=(28, 28)),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(128, activation="relu"),
        tf.keras.layers.Dropout(0.2),
        tf.keras.layers.Dense(10),
    ]
)
model.compile(
    optimizer="adam",
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
begun = time.perf_counter()
model.fit(digits["train_images"] / 255.0, digits["train_labels"], epochs=int(sys.argv[3]), verbose=0)
trained = time.perf_counter()
_, accuracy = model.evaluate(digits["test_images"] / 255.0, digits["test_labels"], verbose=0)
print(
    json.dumps({"seconds": trained - begun, "accuracy": accuracy, "process": time.perf_counter() - started})
)
