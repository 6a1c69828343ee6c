/**
 * What every config must satisfy before a network is laid out by it: sizes are whole numbers, lists are lists,
 * and nothing is so deep that laying it out would take for ever.
 */
import { NijimiError } from "../../../errors.ts";
import type { JsonObject, JsonValue } from "../../json.ts";

/** Sizes: a whole number ≥ 1, or a list of them; null where a library allows it. */
const SIZES = new Set([
  "addition_time_embed_dim",
  "attention_head_dim",
  "block_out_channels",
  "channels",
  "conditioning_channels",
  "conditioning_embedding_out_channels",
  "conv_in_kernel",
  "conv_out_kernel",
  "cross_attention_dim",
  "d_ff",
  "d_kv",
  "d_model",
  "decoder_block_out_channels",
  "encoder_block_out_channels",
  "encoder_hid_dim",
  "hidden_size",
  "image_size",
  "in_channels",
  "intermediate_size",
  "latent_channels",
  "max_position_embeddings",
  "norm_num_groups",
  "num_attention_heads",
  "num_channels",
  "num_class_embeds",
  "num_heads",
  "num_vq_embeddings",
  "out_channels",
  "patch_size",
  "projection_class_embeddings_input_dim",
  "projection_dim",
  "time_cond_proj_dim",
  "time_embedding_dim",
  "vocab_size",
  "vq_embed_dim",
]);

/** Numbers of layers: sizes that are loops. */
const DEPTHS = new Set([
  "layers_per_block",
  "num_decoder_blocks",
  "num_encoder_blocks",
  "num_hidden_layers",
  "num_layers",
  "num_res_blocks",
]);

/** Deeper than any network that there is. */
const MAX_DEPTH = 1000;

const NAME_LISTS = ["down_block_types", "up_block_types"];

/** @throws NijimiError `checkpoint` that names the key, what it holds and what it should */
export function checkConfig(config: JsonObject): void {
  for (const [key, value] of Object.entries(config)) {
    if (value === null) continue;
    if (SIZES.has(key) && !holds(value, Number.MAX_SAFE_INTEGER))
      throw refuse(key, "a whole number ≥ 1 or a list of them", value);
    if (DEPTHS.has(key) && !holds(value, MAX_DEPTH))
      throw refuse(key, `a whole number from 1 to ${MAX_DEPTH} or a list of them`, value);
    if (NAME_LISTS.includes(key) && !isNames(value)) throw refuse(key, "a list of names", value);
  }
  const lists = [...NAME_LISTS, "block_out_channels"].filter((key) => Array.isArray(config[key]));
  const lengths = new Set(lists.map((key) => (config[key] as JsonValue[]).length));
  if (lengths.size > 1)
    throw new NijimiError(
      "checkpoint",
      `Config values ${lists.map((key) => `"${key}"`).join(", ")} must be of equal length; got ${[...lengths].join(" and ")}.`,
    );
}

function holds(value: JsonValue, most: number): boolean {
  const list = Array.isArray(value) ? value : [value];
  return (
    list.length > 0 &&
    list.every(
      (item) => Number.isSafeInteger(item) && (item as number) >= 1 && (item as number) <= most,
    )
  );
}

function isNames(value: JsonValue): boolean {
  return (
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string")
  );
}

function refuse(key: string, expected: string, got: JsonValue): NijimiError {
  return new NijimiError(
    "checkpoint",
    `Config value "${key}" must be ${expected}; got ${JSON.stringify(got)}.`,
  );
}
