"""Small transformers for tests of sessions, in all spellings; what they must be made of."""

import itertools

from hidet_ep import zoo

TINY = zoo.Sizes(layers=2, hidden=32, heads=4, sequence=11, batch=2, vocabulary=50, positions=16)
SYMBOLIC = zoo.Sizes(
    layers=2, hidden=32, heads=4, sequence="s", batch="b", vocabulary=50, positions=16
)
MASKED = [("additive", "traced"), ("additive", "primitives"), ("boolean", "dynamo")]
KERNELS = {"bert": 2 * 7 + 2, "gpt2": 2 * 7 + 2}


def models(dtype="float32"):
    """name -> model: BERT and GPT-2 of two layers, static."""
    found = {
        f"bert {spelling} {mask}": zoo.bert(TINY, spelling, mask, dtype)
        for mask, spelling in [*MASKED, ("none", "dynamo")]
    }
    if dtype == "float32":  # the CPU provider has no others of these nodes
        found["bert optimized additive"] = zoo.bert(TINY, zoo.OPTIMIZED)
    for spelling, head in itertools.product(zoo.SPELLINGS, (False,)):
        found[f"gpt2 {spelling}"] = zoo.gpt2(TINY, spelling, head, dtype)
    return found
