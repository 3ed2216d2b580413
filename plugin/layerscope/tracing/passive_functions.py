"""Functions that tell something about a tensor, or mark it, without computing from its values: no part of the flow."""

from __future__ import annotations

import torch

_METHODS = """
    __format__ __hash__ __len__ __reduce_ex__ __repr__ __str__ _is_view _typed_storage data_ptr dim
    element_size get_device has_names is_complex is_contiguous is_floating_point is_inference is_pinned
    is_same_size is_shared is_signed ndimension nelement numel register_hook requires_grad_
    retain_grad size storage storage_offset stride untyped_storage
"""
_PROPERTIES = """
    _backward_hooks _grad _grad_fn _version device dtype grad grad_fn is_cpu is_cuda is_ipu is_leaf is_maia
    is_meta is_mkldnn is_mps is_mtia is_nested is_quantized is_sparse is_sparse_csr is_vulkan is_xla is_xpu
    itemsize layout name names nbytes ndim output_nr requires_grad retains_grad shape volatile
"""

# Not every version of torch has all of them.
PASSIVE = frozenset(
    [getattr(torch.Tensor, name) for name in _METHODS.split() if hasattr(torch.Tensor, name)]
    + [getattr(torch.Tensor, name).__get__ for name in _PROPERTIES.split() if hasattr(torch.Tensor, name)]
)

EXITS = frozenset(("numpy", "tolist", "item", "__array__"))
"""Functions that take the values of a tensor out of torch: what is computed from them there nobody can follow."""
