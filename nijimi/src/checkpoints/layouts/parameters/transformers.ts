/** Parameter tables of transformers' T5 encoder and ViT, for which there are no networks here yet. */
import type { JsonObject } from "../../json.ts";
import { isJsonObject } from "../../json.ts";
import { flag, optionalWhole, whole } from "../config-values.ts";
import { conv2d, linear, norm, type ParameterTable } from "./table.ts";

/** T5EncoderModel; the token table is stored once or under both of its names. */
export function t5EncoderTable(config: JsonObject): ParameterTable {
  const table: ParameterTable = new Map();
  const width = whole(config, "d_model", 512);
  const heads = whole(config, "num_heads", 8);
  const attention = heads * whole(config, "d_kv", 64);
  const inner = whole(config, "d_ff", 2048);
  const gated = flag(
    config,
    "is_gated_act",
    String(config.feed_forward_proj ?? "relu").startsWith("gated-"),
  );
  table.set("shared.weight", [whole(config, "vocab_size", 32128), width]);
  for (let i = 0; i < whole(config, "num_layers", 6); i++) {
    const [first, second] = [`encoder.block.${i}.layer.0`, `encoder.block.${i}.layer.1`];
    for (const name of ["q", "k", "v"])
      linear(table, `${first}.SelfAttention.${name}`, width, attention, false);
    linear(table, `${first}.SelfAttention.o`, attention, width, false);
    if (i === 0)
      table.set(`${first}.SelfAttention.relative_attention_bias.weight`, [
        whole(config, "relative_attention_num_buckets", 32),
        heads,
      ]);
    table.set(`${first}.layer_norm.weight`, [width]);
    for (const name of gated ? ["wi_0", "wi_1"] : ["wi"])
      linear(table, `${second}.DenseReluDense.${name}`, width, inner, false);
    linear(table, `${second}.DenseReluDense.wo`, inner, width, false);
    table.set(`${second}.layer_norm.weight`, [width]);
  }
  table.set("encoder.final_layer_norm.weight", [width]);
  return table;
}

/** ViTModel below a prefix, and the classifier of ViTForImageClassification. */
export function vitTable(config: JsonObject): ParameterTable {
  const table: ParameterTable = new Map();
  const width = whole(config, "hidden_size", 768);
  const inner = whole(config, "intermediate_size", 3072);
  const patch = whole(config, "patch_size", 16);
  const side = Math.floor(whole(config, "image_size", 224) / patch);
  const bias = flag(config, "qkv_bias", true);
  // google-research's models may have no class token, and a layer before the head.
  const hasToken = config.classifier !== "gap";
  if (hasToken) table.set("vit.embeddings.cls_token", [1, 1, width]);
  table.set("vit.embeddings.position_embeddings", [1, side * side + (hasToken ? 1 : 0), width]);
  conv2d(
    table,
    "vit.embeddings.patch_embeddings.projection",
    whole(config, "num_channels", 3),
    width,
    patch,
  );
  for (let i = 0; i < whole(config, "num_hidden_layers", 12); i++) {
    const layer = `vit.encoder.layer.${i}`;
    for (const name of ["query", "key", "value"])
      linear(table, `${layer}.attention.attention.${name}`, width, width, bias);
    linear(table, `${layer}.attention.output.dense`, width, width);
    linear(table, `${layer}.intermediate.dense`, width, inner);
    linear(table, `${layer}.output.dense`, inner, width);
    norm(table, `${layer}.layernorm_before`, width);
    norm(table, `${layer}.layernorm_after`, width);
  }
  norm(table, "vit.layernorm", width);
  const representation = optionalWhole(config, "representation_size");
  if (representation !== undefined) linear(table, "vit.pooler.dense", width, representation);
  const classes = isJsonObject(config.id2label) ? Object.keys(config.id2label).length : 2;
  if (classes > 0) linear(table, "classifier", representation ?? width, classes);
  return table;
}
