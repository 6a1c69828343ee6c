/**
 * Stable Diffusion in one file, under CompVis' and Stability's names: which variant it is, where each network
 * lies in it, and what it is called here.
 */
import { NijimiError } from "../../../errors.ts";
import { toFloat64 } from "../../../tensor/convert.ts";
import type { Entries, Entry, Metadata } from "../../checkpoint.ts";
import type { JsonObject } from "../../json.ts";
import { readOpenAIUNet } from "../authors/unet.ts";
import { mappedComponent, type Component } from "../component.ts";
import { entriesBelow } from "../key-map.ts";
import { openAIUNetMap, type OpenAIUNetOptions } from "../openai-unet.ts";
import { lastIndex, outlineOfEntries } from "../unet-outline.ts";
import {
  architectureOf,
  conditionUNetConfig,
  controlNetConfig,
  type Architecture,
} from "./configs.ts";
import { controlNetMap } from "./controlnet.ts";
import { readImageEncoder, readTextEncoders } from "./encoders.ts";
import { readFirstStage } from "./first-stage.ts";
import {
  latentDiffusionScheduler,
  sdxlScheduler,
  stableDiffusionScheduler,
  upscalerSchedulers,
  type Prediction,
} from "./schedulers.ts";

/** How a single file is read. */
export interface SingleFileOptions {
  /** Configs for networks whose shapes do not tell them. */
  readonly architecture?: Architecture;
  /** Read the running average of the U-Net's weights (`model_ema.*`) where the file has one. @default false */
  readonly ema?: boolean;
  /** What the U-Net predicts, where the file's metadata does not say. @default found out from the weights */
  readonly prediction?: Prediction;
}

/** What a file holds. */
export interface PipelineParts {
  readonly components: Readonly<Record<string, Component>>;
  readonly schedulers: Readonly<Record<string, JsonObject>>;
  /** Tensors that belong to no network. */
  readonly unexpected: readonly string[];
  /** What was concluded rather than read, for people. */
  readonly notes: readonly string[];
}

const UNET = "model.diffusion_model";
const VAE = "first_stage_model";
const EMA = "model_ema";

/** Tensors of a training run that no network needs: tables of the noise schedule, averages, losses. */
const UNUSED =
  /^(betas|alphas_cumprod|alphas_cumprod_prev|sqrt_\w+|log_one_minus_alphas_cumprod|posterior_\w+|logvar|lvlb_weights|scale_factor|denoiser\..*|model_ema\..*|v_pred|ztsnr|low_scale_model\..*|noise_augmentor\.(?!data_).*)$|(^|\.)(position_ids|logit_scale|attn_mask)$|^first_stage_model\.(loss|model_ema)\b/;

/** What latents are multiplied by, where it is not Stable Diffusion's 0.18215. */
const SCALING_FACTORS: Readonly<Record<string, number>> = {
  sdxl: 0.13025,
  "sdxl-refiner": 0.13025,
  "stable-diffusion-x4-upscaler": 0.08333,
};

/** Reads a Stable Diffusion file of a family that `recognise` found. */
export async function readSingleFile(
  family: string,
  entries: Entries,
  metadata: Metadata,
  options: SingleFileOptions = {},
): Promise<PipelineParts> {
  const { architecture } = options;
  const components: Record<string, Component> = {
    unet: readUNet(family, unetEntries(entries, options.ema ?? false), architecture),
  };
  const vae = entriesBelow(VAE, entries);
  if ("decoder.conv_in.weight" in vae)
    components.vae = readFirstStage(
      vae,
      await scalingFactorOf(family, entries),
      architectureOf(architecture, "vae"),
    );
  Object.assign(components, readTextEncoders(family, entries, architecture));
  const image = entriesBelow("embedder.model.visual", entries);
  if ("conv1.weight" in image) components.image_encoder = readImageEncoder(image);
  const { prediction, note } = await findPrediction(family, entries, metadata, options);
  const claimed = [
    `${UNET}.`,
    `${VAE}.`,
    "cond_stage_model.",
    "conditioner.embedders.",
    "embedder.model.visual.",
  ];
  return {
    components,
    schedulers: await findSchedulers(family, prediction, entries, architecture),
    unexpected: Object.keys(entries).filter(
      (name) => !UNUSED.test(name) && !claimed.some((path) => name.startsWith(path)),
    ),
    notes: note ? [note] : [],
  };
}

/** Latent diffusion keeps the factor as a tensor where it was measured on a first batch. */
async function scalingFactorOf(family: string, entries: Entries): Promise<number> {
  if (!("scale_factor" in entries)) return SCALING_FACTORS[family] ?? 0.18215;
  return Number(toFloat64(await entries.scale_factor.read())[0].toPrecision(6));
}

/** Reads a ControlNet under its original names. */
export function readControlNet(entries: Entries, architecture?: Architecture): Component {
  const own = entriesBelow("control_model", entries);
  const foreign = "input_hint_block.0.weight" in own ? own : entries;
  const outline = outlineOfEntries(foreign);
  const hintConvolutions = lastIndex(foreign, "input_hint_block") / 2 + 1;
  const found = controlNetConfig(foreign, outline, architecture);
  const map = controlNetMap(outline, hintConvolutions, labelsOf(found.config));
  return mappedComponent("ControlNetModel", found, foreign, map);
}

/** Reads a U-Net in latent diffusion's layout whose attention is a spatial transformer. */
export function readConditionUNet(entries: Entries, architecture?: JsonObject): Component {
  const outline = outlineOfEntries(entries);
  const found = conditionUNetConfig(entries, outline, architecture);
  return mappedComponent(
    "UNet2DConditionModel",
    found,
    entries,
    openAIUNetMap(outline, labelsOf(found.config)),
  );
}

function readUNet(family: string, entries: Entries, architecture?: Architecture): Component {
  if (!Object.keys(entries).some((name) => name.includes(".transformer_blocks.")))
    return readOpenAIUNet(entries, architecture);
  const config = architectureOf(architecture, "unet");
  const unet = readConditionUNet(entries, config);
  const isV =
    family === "stable-diffusion-2" && unet.config.in_channels === 4 && config === undefined;
  return isV ? { ...unet, config: { ...unet.config, sample_size: 96 } } : unet;
}

/** What `label_emb` embeds, by config. */
export function labelsOf(config: JsonObject): OpenAIUNetOptions {
  if (config.addition_embed_type === "text_time") return { labels: "addition-mlp" };
  return {
    labels:
      config.class_embed_type === "projection" || config.class_embed_type === "timestep"
        ? "class-mlp"
        : "class-table",
  };
}

/** The U-Net's tensors; the running average has its names without dots. */
function unetEntries(entries: Entries, ema: boolean): Entries {
  const own = entriesBelow(UNET, entries);
  if (!ema) return own;
  const averaged = Object.entries(own).map(([name, entry]): [string, Entry | undefined] => {
    const flat = `${EMA}.${`diffusion_model.${name}`.replaceAll(".", "")}`;
    return [name, entries[flat] ?? (flat in entries ? entry : undefined)];
  });
  const absent = averaged.find(([, entry]) => entry === undefined);
  if (absent)
    throw new NijimiError(
      "checkpoint",
      `The file has no running average (${EMA}.*) of ${absent[0]}; read it without ema.`,
    );
  return Object.fromEntries(averaged) as Entries;
}

async function findSchedulers(
  family: string,
  prediction: Prediction,
  entries: Entries,
  architecture?: Architecture,
): Promise<Record<string, JsonObject>> {
  const given = architectureOf(architecture, "scheduler");
  if (given) return { scheduler: given };
  if (family === "stable-diffusion-x4-upscaler") {
    const { scheduler, lowResolution } = upscalerSchedulers();
    return { scheduler, low_res_scheduler: lowResolution };
  }
  if (family.startsWith("sdxl"))
    return { scheduler: sdxlScheduler(prediction, "ztsnr" in entries) };
  if (family === "latent-diffusion" && "betas" in entries)
    return { scheduler: latentDiffusionScheduler(toFloat64(await entries.betas.read())) };
  return { scheduler: stableDiffusionScheduler(prediction) };
}

/**
 * What the U-Net predicts. Nothing in a file need say it; in order of trust: the caller, the architecture,
 * Stability's metadata, a marker tensor, the step count of 2-base's release, and last the weights: the
 * spread of one bias is above 0.09 in v-predicting versions of Stable Diffusion 2 and below it in the others.
 */
async function findPrediction(
  family: string,
  entries: Entries,
  metadata: Metadata,
  options: SingleFileOptions,
): Promise<{ readonly prediction: Prediction; readonly note?: string }> {
  if (options.prediction) return { prediction: options.prediction };
  const stated = String(
    architectureOf(options.architecture, "scheduler")?.prediction_type ??
      metadata["modelspec.prediction_type"] ??
      "",
  );
  if (stated !== "") return { prediction: stated.startsWith("v") ? "v_prediction" : "epsilon" };
  if ("v_pred" in entries) return { prediction: "v_prediction" };
  if (family === "stable-diffusion-x4-upscaler") return { prediction: "v_prediction" };
  if (!family.startsWith("stable-diffusion-2")) return { prediction: "epsilon" };
  if (Number(metadata.global_step) === 875_000) return { prediction: "epsilon" };
  const isPlain = entries[`${UNET}.input_blocks.0.0.weight`]?.shape[1] === 4;
  const bias = entries[`${UNET}.output_blocks.11.1.transformer_blocks.0.norm1.bias`];
  if (!isPlain || bias === undefined) return { prediction: isPlain ? "v_prediction" : "epsilon" };
  const prediction = spreadOf(toFloat64(await bias.read())) > 0.09 ? "v_prediction" : "epsilon";
  return {
    prediction,
    note: `The file does not say what the U-Net predicts; its weights look like ${prediction}.`,
  };
}

/** Standard deviation. */
function spreadOf(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
