"""Models of Transformers, one of a model type each, made small by one rule and filled with random weights."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from zoo.case import Arguments, Case, given

_NUMBERS = (
    # What the name of a setting looks like, and the most that it may be; the first that fits.
    (r"vocab_size", 99),
    (r"(image|img|input)_size", 32),
    (r"patch_size", 8),
    (r"(max_.*positions?.*|n_positions|n_ctx|max_seq_len)", 64),
    (r"(head_dim|.*_head_dim|d_kv|kv_channels|d_head)", 8),
    (r"(.*key_value.*|num_kv_heads)", 2),
    (r"(.*heads?|linear_num_.*_heads)", 4),
    (r"(.*experts_per_tok(en)?|moe_k|moe_top_?k)", 2),
    (r"(.*num_.*experts|n_routed_experts)", 4),
    (r"(.*intermediate_size|d_ff|d_inner|.*ffn_dim|ffn_hidden_size|n_inner|dim_feedforward|mlp_dim)", 48),
    (r"(.*hidden_size|d_model|n_embd|.*embed_dim|embedding_size|projection_dim|dim|hidden_dim|emb_dim|width)", 32),
    (r"(word_embed_proj_dim|.*lora_rank|lru_width|attention_dim|entity_emb_size)", 32),
    (r"(.*layers|n_layers?|depth|num_hidden_groups)", 2),
    (r"(state_size|num_queries|num_latents|num_query_tokens)", 8),
)
_LISTS: tuple[tuple[str, Callable[[int], int]], ...] = (
    # What the name of a list of settings, one for each stage, looks like, and its member at an index.
    (r"(depths|num_layers|num_block_repeats|encoder_layers|num_blocks)", lambda index: 1),
    (r"(num_attention_heads|num_heads)", lambda index: 2),
    (r"(hidden_sizes|embed_dims?|dims|decoder_hidden_sizes|encoder_hidden_sizes)", lambda index: 16 * (index + 1)),
    (r"(conv_dim|tdnn_dim)", lambda index: 16),
)


def shrunk(config: Any) -> Any:
    """Return ``config`` with all its sizes, and those of the configurations within it, made small."""
    for name, value in list(vars(config).items()):
        if hasattr(value, "to_dict"):
            shrunk(value)
        elif not name.startswith("_"):
            setattr(config, name, _small(name, value))
    return config


def _small(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)) and value and all(type(item) is int for item in value):
        for pattern, member in _LISTS:
            if re.fullmatch(pattern, name):
                return type(value)(map(member, range(len(value))))
    if type(value) is int:
        if name.endswith("token_id"):
            return min(value, 1)
        for pattern, most in _NUMBERS:
            if re.fullmatch(pattern, name):
                return min(value, most)
    return value


def _model(name: str, **settings: Any) -> nn.Module:
    import transformers  # slow: only where a model is built

    transformers.logging.set_verbosity_error()
    kind = getattr(transformers, name)
    config = shrunk(kind.config_class())
    for setting, value in settings.items():
        setattr(config, setting, value)
    return kind(config)


def _ids(*shape: int) -> torch.Tensor:
    return torch.randint(3, 90, shape or (2, 7))


_INPUTS: dict[str, Callable[[], Arguments]] = {
    "ids": lambda: given(input_ids=_ids()),
    "masked ids": lambda: given(input_ids=_ids(), attention_mask=torch.tensor([[1] * 7, [1] * 5 + [0] * 2])),
    "ids to ids": lambda: given(input_ids=_ids(), decoder_input_ids=_ids(2, 5)),
    "labelled ids": lambda: given(input_ids=_ids(), labels=_ids()),
    "image": lambda: given(pixel_values=torch.randn(2, 3, 32, 32)),
    "image and ids": lambda: given(input_ids=_ids(), pixel_values=torch.randn(2, 3, 32, 32)),
    "larger image": lambda: given(pixel_values=torch.randn(1, 3, 64, 64)),
    "sound": lambda: given(input_values=torch.randn(2, 2000)),
    "spectrum": lambda: given(input_features=torch.randn(2, 40, 80)),
    "spectrum to ids": lambda: given(input_features=torch.randn(2, 80, 128), decoder_input_ids=_ids(2, 5)),
}

_MODELS: dict[str, tuple[str, ...]] = {
    # What is given -> the classes.
    "ids": (
        "AlbertModel", "ApertusModel", "AriaTextModel", "BertModel", "BigBirdModel", "BioGptModel", "BitNetModel",
        "BloomModel", "CTRLModel", "CamembertForTokenClassification", "CanineModel", "CohereModel", "ConvBertModel",
        "DPRQuestionEncoder", "DebertaModel", "DebertaV2Model", "DiffLlamaModel",
        "DistilBertForSequenceClassification", "DogeModel", "ElectraModel", "ErnieModel", "FNetModel",
        "FalconForCausalLM", "FalconMambaModel", "FlaubertModel", "FunnelModel", "GPT2LMHeadModel",
        "GPTBigCodeModel", "GPTNeoModel", "GPTNeoXForCausalLM", "Gemma2Model", "Gemma3ForCausalLM", "GemmaModel",
        "GlmModel", "GptOssModel", "GraniteMoeModel", "HeliumModel", "IBertModel", "ImageGPTModel", "JambaModel",
        "JetMoeModel", "LayoutLMModel", "Lfm2Model", "LlamaForCausalLM", "LongformerModel", "LukeModel",
        "MPNetModel", "MambaModel", "MegatronBertModel", "MiniMaxModel", "MistralModel", "MixtralForCausalLM",
        "ModernBertModel", "MptModel", "MraModel", "NystromformerModel", "OPTForCausalLM", "Olmo2Model",
        "OlmoeModel", "OpenAIGPTModel", "PersimmonModel", "Phi3Model", "PhiModel", "Qwen2Model", "Qwen3ForCausalLM",
        "Qwen3MoeModel", "RecurrentGemmaModel", "RemBertModel", "RoFormerModel", "RobertaForQuestionAnswering",
        "RwkvModel", "SqueezeBertModel", "StableLmModel", "Starcoder2Model", "TapasModel", "VisualBertModel",
        "XGLMModel", "XLMModel", "XLNetModel", "YosoModel",
    ),
    "masked ids": (
        "BertForMaskedLM", "LlamaModel", "XLMRobertaModel",
    ),
    "labelled ids": (
        "GPT2LMHeadModel", "RobertaForMaskedLM",
    ),
    "ids to ids": (
        "BartForConditionalGeneration", "BlenderbotModel", "FSMTModel", "LEDModel", "LongT5Model", "M2M100Model",
        "MBartModel", "MarianModel", "NllbMoeModel", "PegasusXModel", "ProphetNetModel", "SwitchTransformersModel",
        "T5ForConditionalGeneration", "UMT5Model",
    ),
    "image": (
        "BeitModel", "CLIPVisionModel", "ConvNextModel", "ConvNextV2Model", "CvtModel", "DPTModel", "DeiTModel",
        "Dinov2WithRegistersModel", "FocalNetModel", "GLPNModel", "MobileNetV2Model", "MobileViTModel",
        "PoolFormerModel", "PvtModel", "PvtV2Model", "RegNetModel", "ResNetForImageClassification",
        "SamVisionModel", "SegformerForSemanticSegmentation", "SwiftFormerModel", "Swinv2Model",
        "ViTForImageClassification", "ViTMAEModel", "VitDetModel",
    ),
    "larger image": (
        "LevitModel", "Swin2SRModel", "SwinModel",
    ),
    "image and ids": (
        "AltCLIPModel", "BlipModel", "CLIPModel", "CLIPSegModel", "ChineseCLIPModel", "GitModel", "GroupViTModel",
        "OwlViTModel", "ViltModel",
    ),
    "sound": (
        "Data2VecAudioModel", "HubertModel", "SEWDModel", "SEWModel", "Wav2Vec2ConformerModel", "Wav2Vec2ForCTC",
        "WavLMModel",
    ),
    "spectrum": (
        "ParakeetEncoder",
    ),
    "spectrum to ids": (
        "WhisperModel",
    ),
}  # fmt: skip

_SETTINGS: dict[str, dict[str, Any]] = {
    # What some need beside the rule.
    "LEDModel": {"attention_window": [4, 4]},
    "LongformerModel": {"attention_window": [4, 4]},
    "SwinModel": {"window_size": 2},
}

CASES = tuple(
    Case(
        name if given_ != "labelled ids" else f"{name} with labels",
        functools.partial(_model, name, **_SETTINGS.get(name, {})),
        _INPUTS[given_],
    )
    for given_, names in _MODELS.items()
    for name in names
)
