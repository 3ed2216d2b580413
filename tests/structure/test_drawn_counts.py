"""How many boxes large models come to when they are folded: what a person has to read."""

from __future__ import annotations

import pytest

import layerscope
from bench.large_models import LARGE_MODELS
from layerscope.structure.folding import drawn


@pytest.mark.parametrize(
    ("name", "most"),
    [("llama_7b", 60), ("gpt2_xl", 45), ("vit_l", 25), ("swin_l", 150), ("mlp_1000", 5), ("lstm_200", 7)],
)
def test_a_folded_model_can_be_read(name: str, most: int) -> None:
    model, args, kwargs = LARGE_MODELS[name].on_meta()
    graph = layerscope.trace(model, *args, **kwargs)
    assert graph.warnings == ()
    assert drawn(graph) <= most
    assert graph.total_parameters == (LARGE_MODELS[name].parameters or graph.total_parameters)
