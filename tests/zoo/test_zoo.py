"""Each model of the zoo is traced, compared with the truth, and left as it was found; also when its forward raises."""

from __future__ import annotations

import pytest

from zoo.case import Case
from zoo.judge import silent
from zoo.registry import FAMILIES
from zoo.results import Result, result, stopped

pytestmark = pytest.mark.filterwarnings(
    # Torch says so in any forward without gradients that has a reentrant checkpoint in it.
    "ignore:None of the inputs have requires_grad=True:UserWarning",
)

EXCUSED: dict[str, tuple[str, str]] = {
    "on_another_thread": (
        "hooks tell which module runs on which thread, but not which tensor the other thread took",
        "ran on other threads and are not shown: 'one'",
    ),
    "backward_inside": (
        "what backward() left in .grad is not followed to the layers that it came from",
        "no recorded way leads from 'one' to an output",
    ),
}
"""Case -> (why it is not correct, what its warning says of it). Whatever is not named here must be correct."""

ROWS = [
    "loop_data_dependent",
    "branch_on_value",
    "rnn_unrolled_new_zeros",
    "rnn_unrolled",
    "nested_containers_in_out",
    "dict_in_out",
    "namedtuple_in_out",
    "dataclass_out",
    "dataclass_in",
    "dataclass_between_modules",
    "kwargs_only",
    "kwarg_name_clash",
    "optional_none_and_flags",
    "complex_fft",
    "torch_complex_op",
    "stochastic_normal",
    "stochastic_bernoulli",
    "as_tensor_midway",
    "buffer_only_module",
    "param_only_branch",
    "hypernetwork",
    "no_input_module",
    "model_without_inputs",
    "inplace_chain",
    "setitem_scatter",
    "out_kwarg",
    "unused_output_and_dead_branch",
    "same_tensor_twice",
    "scalar_and_list_output",
    "modules_in_python_list",
    "weight_norm",
    "hooks_present",
    "checkpoint_reentrant",
    "vmap_func",
    "functional_call",
    "inference_mode_inside",
    "grad_inside_forward",
    "autocast_inside",
    "detach_and_numpy",
    "data_attr_and_item",
    "generator_argument",
    "state_on_self",
    "data_parallel",
    "script_submodule",
    "traced_submodule",
    "script_model",
    "script_function",
    "compiled_model",
    "compiled_submodule",
    "exported_module",
    "quantized_dynamic",
    "meta_device",
    "sparse_input",
    "packed_sequence",
    "early_exit_exception",
    "mixture_of_experts",
    "self_recursion",
    "calls_forward_directly",
    "cond_hop",
    "tensor_subclass_param",
    "compiled_inplace",
    "deeply_nested_60",
]
"""The hand-written cases of which it was measured that some tracer gets them wrong."""

CASES = [pytest.param(case, id=f"{family}-{case.name}") for family, cases in FAMILIES.items() for case in cases]


def test_the_registry_has_every_measured_case_and_no_name_twice() -> None:
    names = {family: [case.name for case in cases] for family, cases in FAMILIES.items()}
    assert set(ROWS) <= set(names["torture"])
    assert len(names["transformers"]) >= 60
    for family, given in names.items():
        assert len(set(given)) == len(given), family


@pytest.mark.parametrize("case", CASES)
def test_the_trace_is_correct(case: Case) -> None:
    outcome = result(case)
    assert outcome.error is None, repr(outcome.error)
    assert outcome.graph is not None
    faults = "\n".join(map(str, outcome.faults))
    if case.name not in EXCUSED:
        assert not faults, f"{faults}\nwarnings: {outcome.graph.warnings}"
    else:
        why, phrase = EXCUSED[case.name]
        assert faults, f"{case.name} is correct now: it needs no excuse ({why})"
        assert any(phrase in warning for warning in outcome.graph.warnings), outcome.graph.warnings


@pytest.mark.parametrize("case", CASES)
def test_everything_is_as_before(case: Case) -> None:
    assert result(case).changes == []


@pytest.mark.parametrize("case", CASES)
def test_a_forward_that_raises_gives_the_part_that_ran_and_leaves_everything_as_before(case: Case) -> None:
    outcome = stopped(case)
    if outcome is None:
        pytest.skip("no module in it can be made to raise")
    assert outcome.error is None, repr(outcome.error)
    assert outcome.changes == []
    graph = outcome.graph
    assert graph is not None
    assert graph.stopped_in == outcome.expected[-1]
    assert any("StopError: on purpose" in warning for warning in graph.warnings), graph.warnings
    root = result(case).truth.root
    if case.name not in EXCUSED:
        shown = [node.id for node in graph.nodes.values() if node.kind == "module" and node.id != root]
        assert shown == outcome.expected


def test_of_all_traces_99_percent_are_correct_and_none_is_silently_wrong() -> None:
    outcomes = {case.name: result(case) for cases in FAMILIES.values() for case in cases}
    correct = [name for name, outcome in outcomes.items() if _correct(outcome)]
    unsaid = [name for name, outcome in outcomes.items() if _silently_wrong(outcome)]
    assert unsaid == []
    assert len(correct) >= 0.99 * len(outcomes)


def _correct(outcome: Result) -> bool:
    return outcome.graph is not None and not outcome.faults


def _silently_wrong(outcome: Result) -> bool:
    return outcome.graph is not None and bool(silent(outcome.graph, outcome.faults))
