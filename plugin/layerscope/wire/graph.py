"""The structure of a model: nodes, edges, folds, and what differs between two."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """One box of the structure: a module call, a function between modules, an input, an output or a parameter."""

    id: str
    """Unique in the graph. For a module it is the layer key: the qualified name, with ``#k`` from its 2nd call on."""
    kind: str
    """``input``, ``output``, ``module``, ``function`` or ``parameter``."""
    module: str = ""
    """Qualified name of the module as ``named_modules()`` gives it, or ""."""
    call: int = 0
    """0 for the first call of the module, 1 for the second, and so on."""
    parent: str | None = None
    """Id of the module node that encloses this one; None at the top (the model itself is no node)."""
    class_name: str = ""
    """Class of the module, e.g. ``Conv2d``; "" for other kinds."""
    op: str = ""
    """Name of the function, e.g. ``add``; "" for other kinds."""
    input_shapes: tuple[tuple[int, ...], ...] = ()
    input_dtypes: tuple[str, ...] = ()
    output_shapes: tuple[tuple[int, ...], ...] = ()
    output_dtypes: tuple[str, ...] = ()
    own_parameters: int = 0
    """Number of parameter elements that the module itself holds."""
    total_parameters: int = 0
    """Number of parameter elements of the module and all modules in it, each counted once."""
    own_bytes: int = 0
    """Bytes of the parameters that the module itself holds."""
    total_bytes: int = 0
    """Bytes of the parameters of the module and all modules in it, each counted once."""
    trainable: bool | None = None
    """True if any of its parameters requires a gradient, False if all are frozen, None if it has none."""
    trainable_parameters: int = 0
    """Number of the elements of ``total_parameters`` that require a gradient."""
    tied: tuple[str, ...] = ()
    """Qualified names of the other parameters in the model that are the same tensor as one of its own."""
    flops: int | None = None
    """Floating-point operations of the matrix products, convolutions and attentions that ran in it, multiplications
    and additions apart (``torch.utils.flop_counter``); None where they are not counted."""
    activation_bytes: int = 0
    """Bytes of the tensors that it returned."""
    extra_repr: str = ""
    """The settings of the module as its ``extra_repr()`` tells them: ``3, 64, kernel_size=(7, 7)``."""
    source: str = ""
    """Where its class is defined: path below the directory it is imported from, and line (``net/block.py:12``)."""
    doc: str = ""
    """First line of the docstring of its class."""


@dataclass(frozen=True)
class Edge:
    """A tensor that flows from one node to another; both have no children."""

    source: str
    target: str
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Fold:
    """Repeated siblings that can be shown as one box: equal modules and functions, equally joined.

    Every name in it stays a name of the graph: a fold is a view of nodes, it replaces none.
    """

    id: str
    """Unique among the ids of nodes and folds."""
    parent: str | None
    """Id of the module node that encloses the members; None at the top."""
    members: tuple[tuple[str, ...], ...]
    """The repetitions in order of execution, two at least; each the ids of one or more siblings (its period), which
    are nodes, or folds that lie in it."""
    label: str
    """What is repeated, and how often: ``layers.0…11 (12)`` for distinct weights, ``cell ×200`` for the same."""
    shared: bool
    """True if all repetitions are calls of the same modules, with the same weights; False if weights are distinct."""
    uniform: bool
    """True if the repetitions also agree in all shapes, dtypes, settings and numbers of parameters; False if only in
    structure: widths may differ, and how often something repeats within them."""


@dataclass(frozen=True)
class ModelGraph:
    """The structure of a model as one forward pass executed it."""

    nodes: dict[str, Node]
    """Node id -> node, in order of execution; a module stands before what it encloses."""
    edges: tuple[Edge, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    class_name: str = ""
    """Class of the traced model."""
    total_parameters: int = 0
    """Number of parameter elements of the model, shared ones once, also of modules that did not run."""
    trainable_parameters: int = 0
    """How many of them require a gradient."""
    warnings: tuple[str, ...] = ()
    """What a reader must know before trusting the picture, in words; empty if nothing."""
    folds: tuple[Fold, ...] = ()
    """What can be folded; no two folds share a member, unless one lies in a member of the other."""
    recorder: str = ""
    """What saw the forward: ``modes`` (function and dispatch modes: modules, functions, flow), ``torchview`` (the
    same), ``modules`` (module calls only), ``static`` (nothing ran: the registered modules); "" if unknown."""
    stopped_in: str | None = None
    """Id of the node in which the forward raised; None if it ended, or raised in the model itself."""
    failure: str = ""
    """What the forward raised and where, in words: the graph shows the part that ran. "" if it ended."""

    def to_dot(self, *, folded: bool = False, depth: int | None = None) -> str:
        """Return the structure as Graphviz DOT: modules are clusters or boxes, node ids are layer keys.

        Args:
            folded: show of each fold its first member only.
            depth: levels of modules that are shown, 1 or more; None shows all.
        """
        from layerscope.structure.dot import to_dot  # the graphviz package is not needed to read or write messages

        return to_dot(self, folded=folded, depth=depth)


@dataclass(frozen=True)
class GraphBlob:
    """A ``ModelGraph`` as it stands in JSON: its nodes in a list, since objects in JavaScript keep no order."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    class_name: str = ""
    total_parameters: int = 0
    trainable_parameters: int = 0
    warnings: tuple[str, ...] = ()
    folds: tuple[Fold, ...] = ()
    recorder: str = ""
    stopped_in: str | None = None
    failure: str = ""


@dataclass(frozen=True)
class NodeComparison:
    """One node of two graphs that were compared, or the two nodes that are taken for the same one."""

    a: str | None
    """Its id in the first graph; None if it was inserted."""
    b: str | None
    """Its id in the second graph; None if it was removed."""
    state: str
    """``same``, ``renamed`` (only the id differs), ``changed``, ``inserted`` or ``removed``."""
    changes: tuple[str, ...] = ()
    """What differs where ``changed``: of ``class``, ``settings`` (its ``extra_repr``), ``shapes``, ``dtypes``,
    ``parameters``, ``trainable`` and ``wiring`` (which nodes feed it; not the order of its arguments)."""


@dataclass(frozen=True)
class Comparison:
    """Two graphs, node by node."""

    nodes: tuple[NodeComparison, ...]
    """In the order of the first graph; behind them what was inserted, in the order of the second."""
