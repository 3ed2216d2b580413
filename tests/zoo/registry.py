"""The families of the zoo."""

from __future__ import annotations

from zoo import networks, stateful, torch_nn, torture_flow, torture_values, torture_wrapped, transformers_models
from zoo.case import Case

FAMILIES: dict[str, tuple[Case, ...]] = {
    "torture": torture_values.CASES + torture_flow.CASES + torture_wrapped.CASES,
    "stateful": stateful.CASES,
    "networks": networks.CASES,
    "torch.nn": torch_nn.CASES,
    "transformers": transformers_models.CASES,
}
