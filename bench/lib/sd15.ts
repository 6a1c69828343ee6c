/** Stable Diffusion 1.5 as a diffusers folder describes it, and random weights that suit it; runs in browsers too. */
import {
  AUTOENCODER_KL_VARIANTS,
  autoencoderKl,
  CLIP_TEXT_VARIANTS,
  clipText,
  UNET_2D_CONDITION_VARIANTS,
  unet2dCondition,
} from "nijimi/models";
import { type ParameterSpec, snakeCase } from "nijimi/nn";
import { sizeOf } from "nijimi/tensor";

/** A network's folder: `config.json` and a file of weights. */
export interface NetworkFolder {
  readonly config: object;
  /** Name of the file of weights. */
  readonly weights: string;
  readonly parameters: Readonly<Record<string, ParameterSpec>>;
}

/** `model_index.json` */
export const MODEL_INDEX = {
  _class_name: "StableDiffusionPipeline",
  unet: ["diffusers", "UNet2DConditionModel"],
  vae: ["diffusers", "AutoencoderKL"],
  text_encoder: ["transformers", "CLIPTextModel"],
  scheduler: ["diffusers", "DDIMScheduler"],
};

/** `scheduler/scheduler_config.json` */
export const SCHEDULER = {
  _class_name: "DDIMScheduler",
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
};

export function unetFolder(): NetworkFolder {
  const { sd1 } = UNET_2D_CONDITION_VARIANTS;
  return diffusersFolder("UNet2DConditionModel", sd1, unet2dCondition(sd1).parameters);
}

export function vaeFolder(): NetworkFolder {
  const { sd } = AUTOENCODER_KL_VARIANTS;
  return diffusersFolder("AutoencoderKL", sd, autoencoderKl(sd).whole.parameters);
}

export function textEncoderFolder(): NetworkFolder {
  const text = CLIP_TEXT_VARIANTS["openai-vit-l"];
  return {
    config: { architectures: ["CLIPTextModel"], ...inSnakeCase(text) },
    weights: "model.safetensors",
    parameters: clipText(text).parameters,
  };
}

function diffusersFolder(
  className: string,
  config: object,
  parameters: NetworkFolder["parameters"],
): NetworkFolder {
  return {
    config: { _class_name: className, ...inSnakeCase(config) },
    weights: "diffusion_pytorch_model.safetensors",
    parameters,
  };
}

function inSnakeCase(config: object): object {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [snakeCase(key), value]));
}

/** Mean and standard deviation of a parameter's random values, such that activations keep their size. */
export function distributionOf(
  name: string,
  shape: readonly number[],
): { readonly mean: number; readonly deviation: number } {
  const isGain = shape.length === 1 && name.endsWith("weight");
  return {
    mean: isGain ? 1 : 0,
    deviation: shape.length > 1 ? (sizeOf(shape) / shape[0]) ** -0.5 : 0.02,
  };
}
