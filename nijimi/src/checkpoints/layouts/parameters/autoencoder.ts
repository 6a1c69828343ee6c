/** Parameter tables of diffusers' AutoencoderKL, VQModel and AutoencoderTiny. */
import type { JsonObject } from "../../json.ts";
import { residual, selfAttention } from "./blocks.ts";
import { flag, names, whole, wholes } from "../config-values.ts";
import { conv2d, norm, type ParameterTable } from "./table.ts";

const DOWN = ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"] as const;
const UP = ["UpDecoderBlock2D", "AttnUpDecoderBlock2D"] as const;
const NO_TIME = { time: 0 };

/** AutoencoderKL: the encoder gives mean and log-variance. */
export function autoencoderKlTable(config: JsonObject): ParameterTable {
  const table: ParameterTable = new Map();
  const latent = whole(config, "latent_channels", 4);
  encoder(table, config, 2 * latent);
  decoder(table, config, latent);
  if (flag(config, "use_quant_conv", true)) conv2d(table, "quant_conv", 2 * latent, 2 * latent, 1);
  if (flag(config, "use_post_quant_conv", true))
    conv2d(table, "post_quant_conv", latent, latent, 1);
  return table;
}

/** VQModel: the encoder's output is looked up in a codebook. */
export function vqModelTable(config: JsonObject): ParameterTable {
  const table: ParameterTable = new Map();
  const latent = whole(config, "latent_channels", 3);
  const code = whole(config, "vq_embed_dim", latent);
  encoder(table, config, latent);
  conv2d(table, "quant_conv", latent, code, 1);
  table.set("quantize.embedding.weight", [whole(config, "num_vq_embeddings", 256), code]);
  conv2d(table, "post_quant_conv", code, latent, 1);
  decoder(table, config, latent);
  return table;
}

/** AutoencoderTiny (TAESD): residual blocks of three convolutions without norms. */
export function autoencoderTinyTable(config: JsonObject): ParameterTable {
  const table: ParameterTable = new Map();
  tinyEncoder(table, config);
  tinyDecoder(table, config);
  return table;
}

function encoder(table: ParameterTable, config: JsonObject, output: number): void {
  const types = names(config, "down_block_types", "block type", DOWN);
  const channels = wholes(config, "block_out_channels", types.length);
  const layers = whole(config, "layers_per_block", 1);
  conv2d(table, "encoder.conv_in", whole(config, "in_channels", 3), channels[0], 3);
  types.forEach((type, i) => {
    const path = `encoder.down_blocks.${i}`;
    for (let j = 0; j < layers; j++) {
      residual(
        table,
        `${path}.resnets.${j}`,
        j === 0 ? channels[Math.max(i - 1, 0)] : channels[i],
        channels[i],
        NO_TIME,
      );
      if (type === "AttnDownEncoderBlock2D")
        selfAttention(table, `${path}.attentions.${j}`, channels[i]);
    }
    if (i < types.length - 1)
      conv2d(table, `${path}.downsamplers.0.conv`, channels[i], channels[i], 3);
  });
  ends(
    table,
    config,
    "encoder",
    channels[channels.length - 1],
    channels[channels.length - 1],
    output,
  );
}

function decoder(table: ParameterTable, config: JsonObject, latent: number): void {
  const types = names(config, "up_block_types", "block type", UP);
  const channels = wholes(config, "block_out_channels", types.length).toReversed();
  const layers = whole(config, "layers_per_block", 1) + 1;
  conv2d(table, "decoder.conv_in", latent, channels[0], 3);
  types.forEach((type, i) => {
    const path = `decoder.up_blocks.${i}`;
    for (let j = 0; j < layers; j++) {
      residual(
        table,
        `${path}.resnets.${j}`,
        j === 0 ? channels[Math.max(i - 1, 0)] : channels[i],
        channels[i],
        NO_TIME,
      );
      if (type === "AttnUpDecoderBlock2D")
        selfAttention(table, `${path}.attentions.${j}`, channels[i]);
    }
    if (i < types.length - 1)
      conv2d(table, `${path}.upsamplers.0.conv`, channels[i], channels[i], 3);
  });
  ends(
    table,
    config,
    "decoder",
    channels[0],
    channels[channels.length - 1],
    whole(config, "out_channels", 3),
  );
}

/** The middle block, and the norm and convolution at the end. */
function ends(
  table: ParameterTable,
  config: JsonObject,
  path: string,
  middle: number,
  last: number,
  output: number,
): void {
  residual(table, `${path}.mid_block.resnets.0`, middle, middle, NO_TIME);
  if (flag(config, "mid_block_add_attention", true))
    selfAttention(table, `${path}.mid_block.attentions.0`, middle);
  residual(table, `${path}.mid_block.resnets.1`, middle, middle, NO_TIME);
  norm(table, `${path}.conv_norm_out`, last);
  conv2d(table, `${path}.conv_out`, last, output, 3);
}

function tinyLists(config: JsonObject, side: "encoder" | "decoder", fallback: readonly number[]) {
  const given = config[`num_${side}_blocks`];
  const counts = Array.isArray(given) ? (given as number[]) : fallback;
  return { counts, channels: wholes(config, `${side}_block_out_channels`, counts.length, 64) };
}

function tinyBlock(
  table: ParameterTable,
  path: string,
  input: number,
  output: number,
  pool = false,
): void {
  conv2d(table, `${path}.conv.0`, input, output, 3);
  conv2d(table, `${path}.conv.2`, output, output, 3);
  conv2d(table, `${path}.conv.4`, output, output, 3);
  if (input !== output) conv2d(table, `${path}.skip`, input, output, 1, false);
  if (!pool) return;
  conv2d(table, `${path}.pool.0`, output, 4 * output, 1, false);
  norm(table, `${path}.pool.1`, 4 * output);
  conv2d(table, `${path}.pool.3`, 4 * output, output, 1, false);
}

function tinyEncoder(table: ParameterTable, config: JsonObject): void {
  const { counts, channels } = tinyLists(config, "encoder", [1, 3, 3, 3]);
  const pool = flag(config, "use_midblock_gn", false);
  let n = 0;
  const next = () => `encoder.layers.${n++}`;
  counts.forEach((count, i) => {
    if (i === 0) conv2d(table, next(), whole(config, "in_channels", 3), channels[0], 3);
    else conv2d(table, next(), channels[i], channels[i], 3, false);
    for (let j = 0; j < count; j++)
      tinyBlock(table, next(), channels[i], channels[i], pool && i === counts.length - 1);
  });
  conv2d(table, next(), channels[channels.length - 1], whole(config, "latent_channels", 4), 3);
}

/** Layer 1 is an activation; between levels stand an upsampling without parameters and a convolution. */
function tinyDecoder(table: ParameterTable, config: JsonObject): void {
  const { counts, channels } = tinyLists(config, "decoder", [3, 3, 3, 1]);
  const pool = flag(config, "use_midblock_gn", false);
  conv2d(table, "decoder.layers.0", whole(config, "latent_channels", 4), channels[0], 3);
  let n = 2;
  counts.forEach((count, i) => {
    const isLast = i === counts.length - 1;
    for (let j = 0; j < count; j++)
      tinyBlock(table, `decoder.layers.${n++}`, channels[i], channels[i], pool && i === 0);
    if (!isLast) n++;
    conv2d(
      table,
      `decoder.layers.${n++}`,
      channels[i],
      isLast ? whole(config, "out_channels", 3) : channels[i],
      3,
      isLast,
    );
  });
}
