/**
 * Configs of Stable Diffusion's networks, read from the shapes of a single file.
 *
 * Shapes tell everything but the numbers of heads and groups. Those are known for the widths that were
 * released; for any other width an `architecture.json` beside the file gives them, or they stay undetermined.
 */
import { NijimiError } from "../../../errors.ts";
import type { Entries } from "../../checkpoint.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { pyramidOutline } from "../autoencoder.ts";
import type { FoundConfig } from "../component.ts";
import { lastIndex, type UNetOutline } from "../unet-outline.ts";

/** Configs by component, as an `architecture.json` holds them: `{ unet: {…}, vae: {…}, … }`. */
export type Architecture = JsonObject;

/** Version of diffusers whose configs these are. */
const DIFFUSERS_VERSION = "0.35.2";

/** Widths of the released U-Nets: SD 1 and 2, SDXL, its refiner, the x4 upscaler. */
const RELEASED_WIDTHS = [
  "320,640,1280,1280",
  "320,640,1280",
  "384,768,1536,1536",
  "256,512,512,1024",
];

/** The part of an architecture that describes one component. */
export function architectureOf(
  architecture: Architecture | undefined,
  name: string,
): JsonObject | undefined {
  const part = architecture?.[name];
  return isJsonObject(part) ? part : undefined;
}

/** UNet2DConditionModel's config for a U-Net in latent diffusion's layout with spatial transformers. */
export function conditionUNetConfig(
  entries: Entries,
  outline: UNetOutline,
  architecture?: JsonObject,
): FoundConfig {
  const [channels, inputs] = shapeOf(entries, "input_blocks.0.0.weight");
  const outputs = entries["out.2.weight"]?.shape[0];
  const fromShapes = {
    in_channels: inputs,
    ...(outputs === undefined ? {} : { out_channels: outputs }),
  };
  if (architecture)
    return known({ ...header("UNet2DConditionModel"), ...architecture, ...fromShapes });
  const widths = outline.levels.map((level) => level.channels);
  const isReleased = RELEASED_WIDTHS.includes(String(widths));
  const linear = firstTransformer(entries, "proj_in.weight").shape.length === 2;
  const context = firstTransformer(entries, "transformer_blocks.0.attn2.to_k.weight").shape[1];
  const isUpscaler = "label_emb.weight" in entries;
  const labels = entries["label_emb.0.0.weight"]?.shape;
  const heads = linear && !isUpscaler ? widths.map((width) => width / 64) : 8;
  const config = {
    ...header("UNet2DConditionModel"),
    ...fromShapes,
    act_fn: "silu",
    ...(isReleased ? { attention_head_dim: heads } : {}),
    block_out_channels: widths,
    center_input_sample: false,
    cross_attention_dim: context,
    down_block_types: outline.levels.map(({ attention }) =>
      attention ? "CrossAttnDownBlock2D" : "DownBlock2D",
    ),
    up_block_types: outline.levels
      .toReversed()
      .map(({ attention }) => (attention ? "CrossAttnUpBlock2D" : "UpBlock2D")),
    mid_block_type: "UNetMidBlock2DCrossAttn",
    downsample_padding: 1,
    flip_sin_to_cos: true,
    freq_shift: 0,
    layers_per_block: outline.levels[0].layers,
    mid_block_scale_factor: 1,
    norm_eps: 1e-5,
    ...(hasPublishedGroups(widths) ? { norm_num_groups: PUBLISHED_GROUPS } : {}),
    only_cross_attention: onlyCrossAttention(entries, outline, channels),
    sample_size: context === 2048 || context === 1280 ? 128 : 64,
    transformer_layers_per_block: transformerDepths(outline),
    use_linear_projection: linear,
    ...(isUpscaler ? { num_class_embeds: shapeOf(entries, "label_emb.weight")[0] } : {}),
    ...(labels && context !== 1024
      ? {
          addition_embed_type: "text_time",
          addition_time_embed_dim: 256,
          projection_class_embeddings_input_dim: labels[1],
        }
      : {}),
    ...(labels && context === 1024
      ? { class_embed_type: "projection", projection_class_embeddings_input_dim: labels[1] }
      : {}),
  };
  return {
    config,
    undetermined: [
      ...(isReleased ? [] : ["attention_head_dim"]),
      ...(hasPublishedGroups(widths) ? [] : ["norm_num_groups"]),
    ],
  };
}

/** Groups of all published group norms. */
const PUBLISHED_GROUPS = 32;

/** Whether a network of these widths may have them. */
function hasPublishedGroups(widths: readonly number[]): boolean {
  return widths.every((width) => width % PUBLISHED_GROUPS === 0);
}

function known(config: JsonObject): FoundConfig {
  return { config, undetermined: [] };
}

/** The depth of every level's transformers; the last is also the middle's. */
function transformerDepths(outline: UNetOutline): JsonValue {
  const last = outline.levels.length - 1;
  const depths = outline.levels.map(({ depth }, i) =>
    i === last ? outline.middle.depth : depth || 1,
  );
  return depths.every((depth) => depth === depths[0]) ? depths[0] : depths;
}

/** Levels whose first attention looks at the context too: its keys have the context's width, not the level's. */
function onlyCrossAttention(entries: Entries, outline: UNetOutline, channels: number): JsonValue {
  let n = 1;
  const flags = outline.levels.map(({ layers, channels: width }) => {
    const keys = entries[`input_blocks.${n}.1.transformer_blocks.0.attn1.to_k.weight`];
    n += layers + 1;
    return keys !== undefined && keys.shape[1] !== (width || channels);
  });
  if (!flags.some(Boolean)) return false;
  // The upscaler's first level has no attention; its published config says true there as well.
  return flags.map((flag, i) => flag || (i === 0 && outline.levels[0].depth === 0));
}

/** AutoencoderKL's config for an autoencoder in latent diffusion's layout. */
export function autoencoderConfig(
  entries: Entries,
  scalingFactor: number,
  architecture?: JsonObject,
): FoundConfig {
  if (architecture) return known({ ...header("AutoencoderKL"), ...architecture });
  const { levels, layers } = pyramidOutline(entries);
  const widths = Array.from(
    { length: levels },
    (_, i) => shapeOf(entries, `encoder.down.${i}.block.0.conv1.weight`)[0],
  );
  const isReleased = hasPublishedGroups(widths);
  const attends = (i: number) => `encoder.down.${i}.attn.0.q.weight` in entries;
  const config = {
    ...header("AutoencoderKL"),
    act_fn: "silu",
    block_out_channels: widths,
    down_block_types: widths.map((_, i) =>
      attends(i) ? "AttnDownEncoderBlock2D" : "DownEncoderBlock2D",
    ),
    up_block_types: widths.map((_, i) =>
      attends(levels - 1 - i) ? "AttnUpDecoderBlock2D" : "UpDecoderBlock2D",
    ),
    in_channels: shapeOf(entries, "encoder.conv_in.weight")[1],
    out_channels: shapeOf(entries, "decoder.conv_out.weight")[0],
    latent_channels: shapeOf(entries, "decoder.conv_in.weight")[1],
    layers_per_block: layers,
    ...(isReleased ? { norm_num_groups: PUBLISHED_GROUPS } : {}),
    sample_size: scalingFactor === 0.13025 ? 1024 : 512,
    scaling_factor: scalingFactor,
    use_quant_conv: "quant_conv.weight" in entries,
    use_post_quant_conv: "post_quant_conv.weight" in entries,
  };
  return { config, undetermined: isReleased ? [] : ["norm_num_groups"] };
}

/** Which text encoder a config is for. */
export interface TextOptions {
  readonly projection: boolean;
  /** Layers that are stored but not used. @default 0 */
  readonly unusedLayers?: number;
  /** OpenCLIP's towers use the exact GELU, OpenAI's the quick one. */
  readonly activation: "gelu" | "quick_gelu";
}

/** CLIPTextModel's config for a text tower under transformers' names. */
export function textConfig(
  entries: Entries,
  options: TextOptions,
  architecture?: JsonObject,
): FoundConfig {
  const className = options.projection ? "CLIPTextModelWithProjection" : "CLIPTextModel";
  const always = { architectures: [className], model_type: "clip_text_model" };
  if (architecture) return known({ ...architecture, ...always });
  const [vocabulary, width] = shapeOf(entries, "text_model.embeddings.token_embedding.weight");
  const isReleased = width % 64 === 0;
  const config = {
    ...always,
    attention_dropout: 0,
    bos_token_id: 49406,
    eos_token_id: 49407,
    pad_token_id: 1,
    hidden_act: options.activation,
    hidden_size: width,
    initializer_factor: 1,
    initializer_range: 0.02,
    intermediate_size: shapeOf(entries, "text_model.encoder.layers.0.mlp.fc1.weight")[0],
    layer_norm_eps: 1e-5,
    max_position_embeddings: shapeOf(entries, "text_model.embeddings.position_embedding.weight")[0],
    ...(isReleased ? { num_attention_heads: width / 64 } : {}),
    num_hidden_layers:
      lastIndex(entries, "text_model.encoder.layers") + 1 - (options.unusedLayers ?? 0),
    projection_dim: options.projection ? shapeOf(entries, "text_projection.weight")[0] : width,
    vocab_size: vocabulary,
  };
  return { config, undetermined: isReleased ? [] : ["num_attention_heads"] };
}

/** ControlNetModel's config: the base's, as far as a ControlNet has it, and the widths of the hint's network. */
export function controlNetConfig(
  entries: Entries,
  outline: UNetOutline,
  architecture?: Architecture,
): FoundConfig {
  const given = architectureOf(architecture, "controlnet") ?? architectureOf(architecture, "unet");
  const base = conditionUNetConfig(entries, outline, given);
  const kept = Object.entries(base.config).filter(([key]) => !NOT_IN_CONTROLNET.has(key));
  const last = lastIndex(entries, "input_hint_block");
  const widths = [shapeOf(entries, "input_hint_block.0.weight")[0]];
  for (let i = 4; i < last; i += 4)
    widths.push(shapeOf(entries, `input_hint_block.${i}.weight`)[0]);
  const config = {
    ...Object.fromEntries(kept),
    ...header("ControlNetModel"),
    conditioning_channels: shapeOf(entries, "input_hint_block.0.weight")[1],
    conditioning_embedding_out_channels: widths,
    controlnet_conditioning_channel_order: "rgb",
    global_pool_conditions: false,
  };
  return { config, undetermined: base.undetermined };
}

const NOT_IN_CONTROLNET = new Set([
  "_class_name",
  "sample_size",
  "center_input_sample",
  "out_channels",
  "up_block_types",
  "dropout",
  "reverse_transformer_layers_per_block",
  "dual_cross_attention",
  "resnet_skip_time_act",
  "resnet_out_scale_factor",
  "time_embedding_type",
  "time_embedding_dim",
  "time_embedding_act_fn",
  "timestep_post_act",
  "time_cond_proj_dim",
  "conv_in_kernel",
  "conv_out_kernel",
  "attention_type",
  "class_embeddings_concat",
  "mid_block_only_cross_attention",
  "cross_attention_norm",
]);

/** The keys with which diffusers begins a config. */
export function header(className: string): JsonObject {
  return { _class_name: className, _diffusers_version: DIFFUSERS_VERSION };
}

/** Shape of a tensor that a layout must have. */
export function shapeOf(entries: Entries, name: string): readonly number[] {
  const entry = entries[name];
  if (entry === undefined)
    throw new NijimiError("checkpoint", `The file has no tensor ${name}; it is incomplete.`);
  return entry.shape;
}

function firstTransformer(entries: Entries, rest: string) {
  const found = Object.keys(entries).find(
    (name) => name.endsWith(`.1.${rest}`) && /^(input_blocks\.\d+|middle_block)\.1\./.test(name),
  );
  if (found === undefined)
    throw new NijimiError(
      "checkpoint",
      `The U-Net has no attention with ${rest}; it is incomplete.`,
    );
  return entries[found];
}
