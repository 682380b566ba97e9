"""Greedy decoding with a growing KV cache: small models of Llama's kind, and what drives them."""

import numpy as np

from hidet_ep import zoo

SIZES = zoo.LlamaSizes(
    layers=2, hidden=64, heads=4, groups=2, intermediate=96, vocabulary=50, positions=128
)
BATCH, PROMPT = 2, 5


class Decoder:
    """A session and its cache, which starts empty."""

    def __init__(self, session, sizes=SIZES, batch=BATCH, dtype=np.float32):
        self.session = session
        self.names = [item.name for item in session.get_inputs()]
        shape = (batch, sizes.groups, 0, sizes.head)
        caches = (name for name in self.names if name.startswith("past"))
        self.past = {name: np.zeros(shape, dtype) for name in caches}

    @property
    def length(self):
        return next(iter(self.past.values())).shape[2]

    def step(self, ids, padding=0):
        """The logits of new tokens; the first `padding` positions of the second row are none."""
        batch, count = ids.shape
        kept = np.ones((batch, self.length + count), np.int64)
        if padding:
            kept[1, :padding] = 0
        positions = np.clip(kept.cumsum(1) - 1, 0, None)[:, -count:]
        feeds = {"input_ids": ids, "attention_mask": kept, "position_ids": positions, **self.past}
        logits, *present = self.session.run(None, {name: feeds[name] for name in self.names})
        self.past = dict(zip(self.past, present, strict=True))
        return logits


def decode(decoders, steps, padding=0, check=None):
    """A prompt, then steps of one token each, the one the first decoder likes best; check gets
    the logits of all decoders at each step.
    """
    ids = np.random.default_rng(7).integers(0, SIZES.vocabulary, (BATCH, PROMPT))
    for step in range(steps + 1):
        found = [decoder.step(ids, padding) for decoder in decoders]
        check(step, found)
        ids = found[0][:, -1].argmax(-1)[:, None]
