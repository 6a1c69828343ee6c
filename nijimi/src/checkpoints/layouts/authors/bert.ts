/**
 * The BERT text encoder of latent diffusion (an x-transformers encoder, `transformer.attn_layers.layers.0.1`)
 * against diffusers' LDMBertModel. Attention and feed-forward layers take turns there.
 */
import type { Entries } from "../../checkpoint.ts";
import { renames, type KeyMap } from "../key-map.ts";
import type { FoundConfig } from "../component.ts";
import { shapeOf } from "../stable-diffusion/configs.ts";
import { lastIndex } from "../unet-outline.ts";

const ATTENTION = renames(
  ["to_q", "self_attn.q_proj"],
  ["to_k", "self_attn.k_proj"],
  ["to_v", "self_attn.v_proj"],
  ["to_out", "self_attn.out_proj"],
);

/** @param layers pairs of attention and feed-forward */
export function bertMap(layers: number): KeyMap {
  return [
    { foreign: "transformer.token_emb", ours: "model.embed_tokens" },
    { foreign: "transformer.pos_emb.emb", ours: "model.embed_positions" },
    ...Array.from({ length: layers }, (_, i) => {
      const ours = `model.layers.${i}`;
      const [attention, forward] = [
        `transformer.attn_layers.layers.${2 * i}`,
        `transformer.attn_layers.layers.${2 * i + 1}`,
      ];
      return [
        { foreign: `${attention}.0`, ours: `${ours}.self_attn_layer_norm` },
        { foreign: `${attention}.1`, ours, rules: ATTENTION },
        { foreign: `${forward}.0`, ours: `${ours}.final_layer_norm` },
        { foreign: `${forward}.1.net.0.0`, ours: `${ours}.fc1` },
        { foreign: `${forward}.1.net.2`, ours: `${ours}.fc2` },
      ];
    }).flat(),
    { foreign: "transformer.norm", ours: "model.layer_norm" },
    { foreign: "transformer.to_logits", ours: "to_logits" },
  ];
}

/** LDMBertConfig; heads are 64 wide, as x-transformers has them. */
export function bertConfig(entries: Entries): FoundConfig {
  const [vocabulary, width] = shapeOf(entries, "transformer.token_emb.weight");
  const inner = shapeOf(entries, "transformer.attn_layers.layers.0.1.to_q.weight")[0];
  const config = {
    architectures: ["LDMBertModel"],
    model_type: "ldmbert",
    vocab_size: vocabulary,
    max_position_embeddings: shapeOf(entries, "transformer.pos_emb.emb.weight")[0],
    d_model: width,
    encoder_layers: bertLayers(entries),
    encoder_ffn_dim: shapeOf(entries, "transformer.attn_layers.layers.1.1.net.2.weight")[1],
    encoder_attention_heads: inner / 64,
    head_dim: 64,
    pad_token_id: 0,
  };
  return { config, undetermined: [] };
}

/** Pairs of attention and feed-forward in a file. */
export function bertLayers(entries: Entries): number {
  return (lastIndex(entries, "transformer.attn_layers.layers") + 1) / 2;
}
