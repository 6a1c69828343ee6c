/**
 * CLIP's layouts against transformers' CLIPModel, CLIPTextModel and CLIPVisionModel: openai/CLIP and
 * open_clip share one (`transformer.resblocks.0.attn.in_proj_weight`), in which queries, keys and values are
 * one matrix and the two projections are stored the other way round.
 */
import type { KeyMap, ModuleRule, Rule } from "./key-map.ts";

const BLOCK: readonly Rule[] = [
  { foreign: "ln_1", ours: "layer_norm1" },
  { foreign: "ln_2", ours: "layer_norm2" },
  { foreign: "mlp.c_fc", ours: "mlp.fc1" },
  { foreign: "mlp.c_proj", ours: "mlp.fc2" },
  { foreign: "attn.out_proj", ours: "self_attn.out_proj" },
  {
    foreign: "attn.in_proj_weight",
    ours: ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
  },
  {
    foreign: "attn.in_proj_bias",
    ours: ["self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"],
  },
];

const TURNED: readonly Rule[] = [{ foreign: "", ours: "", transform: [{ kind: "transpose" }] }];

/** The text tower: `layers` blocks are mapped, the others are left over (Stable Diffusion 2 does not use its last). */
export function clipTextMap(layers: number): KeyMap {
  return [
    { foreign: "token_embedding", ours: "text_model.embeddings.token_embedding" },
    { foreign: "positional_embedding", ours: "text_model.embeddings.position_embedding.weight" },
    ...blocks("transformer.resblocks", "text_model.encoder.layers", layers),
    { foreign: "ln_final", ours: "text_model.final_layer_norm" },
    { foreign: "text_projection", ours: "text_projection.weight", rules: TURNED },
  ];
}

/** The image tower when it is a vision transformer. */
export function clipVisionMap(layers: number): KeyMap {
  return [
    { foreign: "class_embedding", ours: "vision_model.embeddings.class_embedding" },
    { foreign: "conv1", ours: "vision_model.embeddings.patch_embedding" },
    { foreign: "positional_embedding", ours: "vision_model.embeddings.position_embedding.weight" },
    { foreign: "ln_pre", ours: "vision_model.pre_layrnorm" },
    ...blocks("transformer.resblocks", "vision_model.encoder.layers", layers),
    { foreign: "ln_post", ours: "vision_model.post_layernorm" },
    { foreign: "proj", ours: "visual_projection.weight", rules: TURNED },
  ];
}

/** transformers' own names as they stand in single files; old files lack `text_model`. */
export const TRANSFORMERS_TEXT: KeyMap = [
  { foreign: "text_model", ours: "text_model" },
  { foreign: "embeddings", ours: "text_model.embeddings", readOnly: true },
  { foreign: "encoder", ours: "text_model.encoder", readOnly: true },
  { foreign: "final_layer_norm", ours: "text_model.final_layer_norm", readOnly: true },
  { foreign: "text_projection", ours: "text_projection" },
];

function blocks(foreign: string, ours: string, layers: number): ModuleRule[] {
  return Array.from({ length: layers }, (_, i) => ({
    foreign: `${foreign}.${i}`,
    ours: `${ours}.${i}`,
    rules: BLOCK,
  }));
}
