/**
 * Stable Diffusion's networks in one file under the original names, as CompVis and Stability released them and
 * as most tools read them; ControlNets and autoencoders alike.
 */
import { NijimiError } from "../../../errors.ts";
import type { Entries, Entry } from "../../checkpoint.ts";
import { isJsonObject, type JsonObject } from "../../json.ts";
import { bertMap } from "../authors/bert.ts";
import { autoencoderMap, pyramidOutlineOfConfig } from "../autoencoder.ts";
import { clipTextMap, TRANSFORMERS_TEXT } from "../clip.ts";
import type { Component } from "../component.ts";
import { prefixed, toForeign, type KeyMap } from "../key-map.ts";
import type { LoadedCheckpoint } from "../load.ts";
import { openAIUNetMap } from "../openai-unet.ts";
import { outlineOfConfig } from "../unet-outline.ts";
import { controlNetMap } from "./controlnet.ts";
import { labelsOf } from "./single-file.ts";

/** What is to be written. */
export interface SingleFile {
  readonly entries: Entries;
  /** Strings for the header. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Configs by component, for readers that cannot find them from shapes. */
  readonly architecture: JsonObject;
}

/** Families whose text encoder stands under OpenCLIP's names. */
const OPEN_CLIP = [
  "stable-diffusion-2",
  "stable-diffusion-2-unclip",
  "stable-diffusion-x4-upscaler",
];

/** Stability's names of architectures for the header. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  "stable-diffusion-1": "stable-diffusion-v1",
  "stable-diffusion-2": "stable-diffusion-v2",
  sdxl: "stable-diffusion-xl-v1-base",
  "sdxl-refiner": "stable-diffusion-xl-v1-refiner",
};

/**
 * The tensors of a single file.
 *
 * @throws NijimiError `unsupported` when the original layout has no place for a network
 */
export function toSingleFile(checkpoint: LoadedCheckpoint): SingleFile {
  const entries = Object.create(null) as Record<string, Entry>;
  for (const [name, component] of Object.entries(checkpoint.components)) {
    const map = mapOf(name, component, checkpoint);
    if (!map) continue;
    const written = toForeign(map, component.entries);
    if (written.unmapped.length > 0)
      throw new NijimiError(
        "unsupported",
        `The original layout has no place for ${written.unmapped[0]} of ${name} (${component.className}).`,
      );
    Object.assign(entries, written.entries);
  }
  return { entries, metadata: metadataOf(checkpoint), architecture: architectureFor(checkpoint) };
}

/** Where a component goes; undefined for parts that single files do not hold. */
function mapOf(
  name: string,
  { className, config }: Component,
  { name: file, family, title, components }: LoadedCheckpoint,
): KeyMap | undefined {
  const isPipeline = "unet" in components;
  switch (className) {
    case "UNet2DConditionModel":
      return prefixed(openAIUNetMap(outlineOfConfig(config), labelsOf(config)), {
        foreign: "model.diffusion_model",
      });
    case "ControlNetModel":
      return prefixed(
        controlNetMap(outlineOfConfig(config), hintConvolutions(config), labelsOf(config)),
        { foreign: "control_model" },
      );
    case "AutoencoderKL":
    case "VQModel":
      return prefixed(autoencoderMap(pyramidOutlineOfConfig(config)), {
        foreign: isPipeline ? "first_stage_model" : "",
      });
    case "LDMBertModel":
      return prefixed(bertMap(Number(config.encoder_layers)), { foreign: "cond_stage_model" });
    case "CLIPTextModel":
    case "CLIPTextModelWithProjection":
      return textMap(name, config, family);
    case "StableDiffusionSafetyChecker":
    case "CLIPVisionModelWithProjection":
      return undefined;
    default:
      throw new NijimiError(
        "unsupported",
        `${file} is ${title}; its ${name} (${className}) has no place in a single file of the original layout.`,
      );
  }
}

function textMap(name: string, config: JsonObject, family: string): KeyMap {
  const layers = Number(config.num_hidden_layers);
  if (name === "text_encoder_2")
    return prefixed(clipTextMap(layers), {
      foreign:
        family === "sdxl-refiner"
          ? "conditioner.embedders.0.model"
          : "conditioner.embedders.1.model",
    });
  if (family === "sdxl")
    return prefixed(TRANSFORMERS_TEXT, { foreign: "conditioner.embedders.0.transformer" });
  if (OPEN_CLIP.includes(family))
    return prefixed(clipTextMap(layers), { foreign: "cond_stage_model.model" });
  return prefixed(TRANSFORMERS_TEXT, { foreign: "cond_stage_model.transformer" });
}

function hintConvolutions(config: JsonObject): number {
  const widths = config.conditioning_embedding_out_channels;
  return 2 * (Array.isArray(widths) ? widths.length : 4);
}

function metadataOf({ family, schedulers }: LoadedCheckpoint): Record<string, string> {
  const architecture = ARCHITECTURES[family];
  const prediction = schedulers.scheduler?.prediction_type;
  return {
    format: "pt",
    ...(architecture && {
      "modelspec.sai_model_spec": "1.0.0",
      "modelspec.architecture": architecture,
    }),
    ...(typeof prediction === "string" && {
      "modelspec.prediction_type": prediction === "v_prediction" ? "v" : prediction,
    }),
  };
}

function architectureFor({ components, schedulers }: LoadedCheckpoint): JsonObject {
  const configs = Object.entries(components).map(([name, { config }]) => [name, config] as const);
  const scheduler = schedulers.scheduler;
  return { ...Object.fromEntries(configs), ...(isJsonObject(scheduler) && { scheduler }) };
}
