/** Parameter tables of diffusers' UNet2DModel, UNet2DConditionModel and ControlNetModel. */
import { NijimiError } from "../../../errors.ts";
import type { JsonObject, JsonValue } from "../../json.ts";
import {
  addedAttention,
  residual,
  selfAttention,
  spatialTransformer,
  type TransformerOptions,
} from "./blocks.ts";
import { flag, names, oneOf, optionalWhole, whole, wholes } from "../config-values.ts";
import { conv2d, embeddingMlp, linear, norm, type ParameterTable } from "./table.ts";

const PLAIN = { attention: "none", skip: false, residualSampling: false } as const;
const BLOCKS = {
  Block2D: PLAIN,
  AttnBlock2D: { ...PLAIN, attention: "self" },
  CrossAttnBlock2D: { ...PLAIN, attention: "cross" },
  ResnetsampleBlock2D: { ...PLAIN, residualSampling: true },
  SimpleCrossAttnBlock2D: { attention: "added", skip: false, residualSampling: true },
  SkipBlock2D: { ...PLAIN, skip: true },
  AttnSkipBlock2D: { attention: "self", skip: true, residualSampling: false },
} as const;

type BlockKind = (typeof BLOCKS)[keyof typeof BLOCKS];

const DOWN_TYPES = {
  DownBlock2D: BLOCKS.Block2D,
  AttnDownBlock2D: BLOCKS.AttnBlock2D,
  CrossAttnDownBlock2D: BLOCKS.CrossAttnBlock2D,
  ResnetDownsampleBlock2D: BLOCKS.ResnetsampleBlock2D,
  SimpleCrossAttnDownBlock2D: BLOCKS.SimpleCrossAttnBlock2D,
  SkipDownBlock2D: BLOCKS.SkipBlock2D,
  AttnSkipDownBlock2D: BLOCKS.AttnSkipBlock2D,
} as const satisfies Record<string, BlockKind>;

const UP_TYPES = {
  UpBlock2D: BLOCKS.Block2D,
  AttnUpBlock2D: BLOCKS.AttnBlock2D,
  CrossAttnUpBlock2D: BLOCKS.CrossAttnBlock2D,
  ResnetUpsampleBlock2D: BLOCKS.ResnetsampleBlock2D,
  SimpleCrossAttnUpBlock2D: BLOCKS.SimpleCrossAttnBlock2D,
  SkipUpBlock2D: BLOCKS.SkipBlock2D,
  AttnSkipUpBlock2D: BLOCKS.AttnSkipBlock2D,
} as const satisfies Record<string, BlockKind>;

const MIDDLE_TYPES = [
  "UNetMidBlock2D",
  "UNetMidBlock2DCrossAttn",
  "UNetMidBlock2DSimpleCrossAttn",
] as const;
const DOWN_NAMES = Object.keys(DOWN_TYPES) as (keyof typeof DOWN_TYPES)[];
const UP_NAMES = Object.keys(UP_TYPES) as (keyof typeof UP_TYPES)[];

/** What every block of one network shares. */
interface Shared {
  readonly time: number;
  readonly scaleShift: boolean;
  readonly residualSampling: boolean;
  readonly linearProjection: boolean;
}

interface Level {
  readonly kind: BlockKind;
  readonly channels: number;
  readonly layers: number;
  readonly context: number;
  readonly depths: readonly number[];
  readonly onlyCross: boolean;
}

/** UNet2DModel: DDPM's, ADM's and NCSN++'s networks. */
export function unet2dTable(config: JsonObject): ParameterTable {
  const table: ParameterTable = new Map();
  const types = names(config, "down_block_types", "block type", DOWN_NAMES);
  const channels = wholes(config, "block_out_channels", types.length);
  const layers = whole(config, "layers_per_block", 2);
  const time = whole(config, "time_embedding_dim", 4 * channels[0]);
  const shared: Shared = {
    time,
    scaleShift: config.resnet_time_scale_shift === "scale_shift",
    residualSampling: config.downsample_type === "resnet",
    linearProjection: false,
  };
  const levels = types.map((type, i): Level => ({
    kind: DOWN_TYPES[type],
    channels: channels[i],
    layers,
    context: 0,
    depths: [],
    onlyCross: false,
  }));
  const upTypes = names(config, "up_block_types", "block type", UP_NAMES);
  conv2d(table, "conv_in", whole(config, "in_channels", 3), channels[0], 3);
  const timeType = oneOf(config.time_embedding_type ?? "positional", "time embedding", [
    "positional",
    "fourier",
    "learned",
  ]);
  if (timeType === "fourier") table.set("time_proj.weight", [channels[0]]);
  if (timeType === "learned")
    table.set("time_proj.weight", [whole(config, "num_train_timesteps"), channels[0]]);
  const timeInput = timeType === "fourier" ? 2 * channels[0] : channels[0];
  embeddingMlp(table, "time_embedding", timeInput, time);
  classTable(table, config, timeInput, time);
  encoder(table, levels, channels[0], shared);
  middle2d(table, config, channels[channels.length - 1], shared);
  decoder(
    table,
    levels.toReversed().map((level, i) => ({ ...level, kind: UP_TYPES[upTypes[i]] })),
    { ...shared, residualSampling: config.upsample_type === "resnet" },
  );
  norm(table, "conv_norm_out", channels[0]);
  conv2d(table, "conv_out", channels[0], whole(config, "out_channels", 3), 3);
  return table;
}

/** UNet2DConditionModel: Stable Diffusion's networks, and with other blocks Imagen's and unCLIP's. */
export function unet2dConditionTable(config: JsonObject): ParameterTable {
  const table: ParameterTable = new Map();
  const { levels, shared, context, timeInput, channels } = conditionParts(config);
  const inKernel = whole(config, "conv_in_kernel", 3);
  conv2d(table, "conv_in", whole(config, "in_channels", 4), channels[0], inKernel);
  if (config.time_embedding_type === "fourier") table.set("time_proj.weight", [shared.time / 2]);
  embeddingMlp(table, "time_embedding", timeInput, shared.time);
  const guidance = optionalWhole(config, "time_cond_proj_dim");
  if (guidance !== undefined) linear(table, "time_embedding.cond_proj", guidance, timeInput, false);
  contextProjection(table, config, context);
  classTable(table, config, timeInput, shared.time);
  additionTable(table, config, context, shared.time);
  encoder(table, levels, channels[0], shared);
  middleCondition(table, config, levels[levels.length - 1], shared);
  const upTypes = names(config, "up_block_types", "block type", UP_NAMES);
  const reverse = config.reverse_transformer_layers_per_block;
  const upDepths = Array.isArray(reverse) ? depthsOf(reverse, levels.length, 1) : undefined;
  decoder(
    table,
    levels.toReversed().map((level, i) => ({
      ...level,
      kind: UP_TYPES[upTypes[i]],
      depths: upDepths?.[i] ?? level.depths,
    })),
    shared,
  );
  if (config.norm_num_groups !== null) norm(table, "conv_norm_out", channels[0]);
  conv2d(
    table,
    "conv_out",
    channels[0],
    whole(config, "out_channels", 4),
    whole(config, "conv_out_kernel", 3),
  );
  return table;
}

/** ControlNetModel: the encoder half, the hint's own small network, and a 1×1 convolution per residual. */
export function controlNetTable(config: JsonObject): ParameterTable {
  const table: ParameterTable = new Map();
  const { levels, shared, context, timeInput, channels } = conditionParts(config);
  conv2d(table, "conv_in", whole(config, "in_channels", 4), channels[0], 3);
  embeddingMlp(table, "time_embedding", timeInput, shared.time);
  contextProjection(table, config, context);
  classTable(table, config, timeInput, shared.time);
  additionTable(table, config, context, shared.time);
  hintTable(table, config, channels[0]);
  encoder(table, levels, channels[0], shared);
  let zero = 0;
  const zeroConv = (width: number) =>
    conv2d(table, `controlnet_down_blocks.${zero++}`, width, width, 1);
  zeroConv(channels[0]);
  levels.forEach(({ channels: width, layers }, i) => {
    const residuals = i === levels.length - 1 ? layers : layers + 1;
    for (let j = 0; j < residuals; j++) zeroConv(width);
  });
  const last = channels[channels.length - 1];
  conv2d(table, "controlnet_mid_block", last, last, 1);
  middleCondition(table, config, levels[levels.length - 1], shared);
  return table;
}

function conditionParts(config: JsonObject) {
  for (const [key, value] of [
    ["dual_cross_attention", true],
    ["attention_type", "gated"],
    ["attention_type", "gated-text-image"],
  ] as const)
    if (config[key] === value)
      throw new NijimiError(
        "unsupported",
        `U-Net with "${key}": ${JSON.stringify(value)} is not supported.`,
      );
  const types = names(config, "down_block_types", "block type", DOWN_NAMES);
  const count = types.length;
  const channels = wholes(config, "block_out_channels", count);
  const layers = wholes(config, "layers_per_block", count, 2);
  const contexts = wholes(config, "cross_attention_dim", count, 1280);
  const depths = depthsOf(config.transformer_layers_per_block ?? 1, count, 1);
  const only = config.only_cross_attention;
  const levels = types.map((type, i): Level => ({
    kind: DOWN_TYPES[type],
    channels: channels[i],
    layers: layers[i],
    context: contexts[i],
    depths: depths[i],
    onlyCross: Array.isArray(only) ? only[i] === true : only === true,
  }));
  const isFourier = config.time_embedding_type === "fourier";
  const time = whole(config, "time_embedding_dim", (isFourier ? 2 : 4) * channels[0]);
  const shared: Shared = {
    time,
    scaleShift: config.resnet_time_scale_shift === "scale_shift",
    residualSampling: false,
    linearProjection: flag(config, "use_linear_projection", false),
  };
  return {
    levels,
    shared,
    context: contexts[0],
    channels,
    timeInput: isFourier ? time : channels[0],
  };
}

/** Depth of every transformer of every level: a number, one per level, or one per layer of a level. */
function depthsOf(
  value: JsonValue,
  count: number,
  fallback: number,
): readonly (readonly number[])[] {
  const list = Array.isArray(value)
    ? value
    : Array.from({ length: count }, () => value ?? fallback);
  return list.map((item) => {
    const depths = Array.isArray(item) ? item : [item];
    if (
      list.length === count &&
      depths.every((depth) => Number.isSafeInteger(depth) && (depth as number) >= 0)
    )
      return depths as number[];
    throw new NijimiError(
      "checkpoint",
      `Config value "transformer_layers_per_block" must hold ${count} depths; got ${JSON.stringify(value)}.`,
    );
  });
}

function classTable(
  table: ParameterTable,
  config: JsonObject,
  timeInput: number,
  time: number,
): void {
  const type = config.class_embed_type ?? null;
  if (type === null) {
    const classes = optionalWhole(config, "num_class_embeds");
    if (classes !== undefined) table.set("class_embedding.weight", [classes, time]);
    return;
  }
  const kind = oneOf(type, "class embedding", [
    "timestep",
    "identity",
    "projection",
    "simple_projection",
  ]);
  if (kind === "timestep") embeddingMlp(table, "class_embedding", timeInput, time);
  if (kind === "projection")
    embeddingMlp(
      table,
      "class_embedding",
      whole(config, "projection_class_embeddings_input_dim"),
      time,
    );
  if (kind === "simple_projection")
    linear(table, "class_embedding", whole(config, "projection_class_embeddings_input_dim"), time);
}

function contextProjection(table: ParameterTable, config: JsonObject, context: number): void {
  const input = optionalWhole(config, "encoder_hid_dim");
  if (input === undefined) return;
  const type = oneOf(config.encoder_hid_dim_type ?? "text_proj", "context projection", [
    "text_proj",
    "text_image_proj",
    "image_proj",
  ]);
  if (type === "text_proj") linear(table, "encoder_hid_proj", input, context);
  if (type === "text_image_proj") {
    linear(table, "encoder_hid_proj.image_embeds", context, 10 * context);
    linear(table, "encoder_hid_proj.text_proj", input, context);
  }
  if (type === "image_proj") {
    linear(table, "encoder_hid_proj.image_embeds", input, 32 * context);
    norm(table, "encoder_hid_proj.norm", context);
  }
}

function additionTable(
  table: ParameterTable,
  config: JsonObject,
  context: number,
  time: number,
): void {
  if (config.addition_embed_type === undefined || config.addition_embed_type === null) return;
  const type = oneOf(config.addition_embed_type, "added embedding", [
    "text",
    "text_time",
    "image",
    "text_image",
  ]);
  const text = whole(config, "encoder_hid_dim", context);
  if (type === "text_time")
    embeddingMlp(
      table,
      "add_embedding",
      whole(config, "projection_class_embeddings_input_dim"),
      time,
    );
  if (type === "text") {
    norm(table, "add_embedding.norm1", text);
    table.set("add_embedding.pool.positional_embedding", [1, text]);
    for (const name of ["k_proj", "q_proj", "v_proj"])
      linear(table, `add_embedding.pool.${name}`, text, text);
    linear(table, "add_embedding.proj", text, time);
    norm(table, "add_embedding.norm2", time);
  }
  if (type === "text_image") {
    linear(table, "add_embedding.text_proj", context, time);
    norm(table, "add_embedding.text_norm", time);
    linear(table, "add_embedding.image_proj", context, time);
  }
  if (type === "image") {
    linear(table, "add_embedding.image_proj", text, time);
    norm(table, "add_embedding.image_norm", time);
  }
}

/** The hint's pyramid: a pair of convolutions per width, the second at half the resolution. */
function hintTable(table: ParameterTable, config: JsonObject, channels: number): void {
  const given = config.conditioning_embedding_out_channels;
  const widths = Array.isArray(given)
    ? wholes(config, "conditioning_embedding_out_channels", given.length)
    : [16, 32, 96, 256];
  const path = "controlnet_cond_embedding";
  conv2d(table, `${path}.conv_in`, whole(config, "conditioning_channels", 3), widths[0], 3);
  widths.slice(1).forEach((width, i) => {
    conv2d(table, `${path}.blocks.${2 * i}`, widths[i], widths[i], 3);
    conv2d(table, `${path}.blocks.${2 * i + 1}`, widths[i], width, 3);
  });
  conv2d(table, `${path}.conv_out`, widths[widths.length - 1], channels, 3);
}

function attend(
  table: ParameterTable,
  path: string,
  j: number,
  level: Level,
  shared: Shared,
): void {
  const { kind, channels, context, depths, onlyCross } = level;
  if (kind.attention === "self") selfAttention(table, path, channels);
  if (kind.attention === "added") addedAttention(table, path, channels, context, onlyCross);
  if (kind.attention !== "cross") return;
  const options: TransformerOptions = {
    depth: depths.length === 1 ? depths[0] : depths[j],
    context,
    onlyCross,
    linearProjection: shared.linearProjection,
  };
  spatialTransformer(table, path, channels, options);
}

function encoder(
  table: ParameterTable,
  levels: readonly Level[],
  width: number,
  shared: Shared,
): void {
  let input = width;
  levels.forEach((level, i) => {
    const path = `down_blocks.${i}`;
    const { kind, channels, layers } = level;
    for (let j = 0; j < layers; j++) {
      residual(table, `${path}.resnets.${j}`, j === 0 ? input : channels, channels, shared);
      attend(table, `${path}.attentions.${j}`, j, level, shared);
    }
    input = channels;
    if (i === levels.length - 1) return;
    if (kind.skip) {
      residual(table, `${path}.resnet_down`, channels, channels, {
        ...shared,
        alwaysShortcut: true,
      });
      conv2d(table, `${path}.skip_conv`, 3, channels, 1);
    } else if (kind.residualSampling || (shared.residualSampling && kind.attention === "self"))
      residual(table, `${path}.downsamplers.0`, channels, channels, shared);
    else conv2d(table, `${path}.downsamplers.0.conv`, channels, channels, 3);
  });
}

/** Levels from the deepest to the widest; each takes one skip per layer, the last of them from the level before. */
function decoder(table: ParameterTable, levels: readonly Level[], shared: Shared): void {
  let input = levels[0].channels;
  levels.forEach((level, i) => {
    const path = `up_blocks.${i}`;
    const { kind, channels, layers } = level;
    const skipOfLast = levels[Math.min(i + 1, levels.length - 1)].channels;
    for (let j = 0; j <= layers; j++) {
      const skip = j === layers ? skipOfLast : channels;
      residual(
        table,
        `${path}.resnets.${j}`,
        (j === 0 ? input : channels) + skip,
        channels,
        shared,
      );
      if (!kind.skip || j === 0) attend(table, `${path}.attentions.${j}`, j, level, shared);
    }
    input = channels;
    if (i === levels.length - 1) return;
    if (kind.skip) {
      residual(table, `${path}.resnet_up`, channels, channels, { ...shared, alwaysShortcut: true });
      conv2d(table, `${path}.skip_conv`, channels, 3, 3);
      norm(table, `${path}.skip_norm`, channels);
    } else if (kind.residualSampling || (shared.residualSampling && kind.attention === "self"))
      residual(table, `${path}.upsamplers.0`, channels, channels, shared);
    else conv2d(table, `${path}.upsamplers.0.conv`, channels, channels, 3);
  });
}

function middle2d(
  table: ParameterTable,
  config: JsonObject,
  channels: number,
  shared: Shared,
): void {
  if (config.mid_block_type === null) return;
  oneOf(config.mid_block_type ?? "UNetMidBlock2D", "middle block type", ["UNetMidBlock2D"]);
  residual(table, "mid_block.resnets.0", channels, channels, shared);
  if (flag(config, "add_attention", true)) {
    selfAttention(table, "mid_block.attentions.0", channels);
    // With scale and shift the middle's attention has no norm, unless its groups are given.
    if (shared.scaleShift && (config.attn_norm_num_groups ?? null) === null)
      for (const part of ["weight", "bias"])
        table.delete(`mid_block.attentions.0.group_norm.${part}`);
  }
  residual(table, "mid_block.resnets.1", channels, channels, shared);
}

function middleCondition(
  table: ParameterTable,
  config: JsonObject,
  deepest: Level,
  shared: Shared,
): void {
  if (config.mid_block_type === null) return;
  const type = oneOf(
    config.mid_block_type ?? "UNetMidBlock2DCrossAttn",
    "middle block type",
    MIDDLE_TYPES,
  );
  const { channels } = deepest;
  residual(table, "mid_block.resnets.0", channels, channels, shared);
  if (type === "UNetMidBlock2D") return;
  const kind =
    type === "UNetMidBlock2DCrossAttn" ? BLOCKS.CrossAttnBlock2D : BLOCKS.SimpleCrossAttnBlock2D;
  const onlyCross =
    config.mid_block_only_cross_attention === true && type === "UNetMidBlock2DSimpleCrossAttn";
  attend(table, "mid_block.attentions.0", 0, { ...deepest, kind, onlyCross }, shared);
  residual(table, "mid_block.resnets.1", channels, channels, shared);
}
