"""Probing: a model and a batch -> numbers per layer. Needs torch.

``calls.py`` watches every module call of a forward pass; ``capture.py`` adds one backward pass and reduces each layer
where it is found. On them stand ``activations.py``, ``attributions/`` and ``maximizing/``; ``gradients.py`` reads the
gradients that training left.
"""
