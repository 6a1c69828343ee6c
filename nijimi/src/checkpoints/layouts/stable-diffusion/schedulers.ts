/** Scheduler configs of the released Stable Diffusion models, as their diffusers folders have them. */
import type { JsonObject } from "../../json.ts";
import { header } from "./configs.ts";

/** What a network was trained to predict. */
export type Prediction = "epsilon" | "v_prediction";

const NOISE = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  num_train_timesteps: 1000,
  trained_betas: null,
  steps_offset: 1,
} as const;

/** Stable Diffusion 1 and 2: PNDM for noise predictions, DDIM for v-predictions. */
export function stableDiffusionScheduler(prediction: Prediction): JsonObject {
  const shared = {
    ...NOISE,
    clip_sample: false,
    set_alpha_to_one: false,
    prediction_type: prediction,
  };
  return prediction === "epsilon"
    ? { ...header("PNDMScheduler"), ...shared, skip_prk_steps: true }
    : { ...header("DDIMScheduler"), ...shared };
}

/** SDXL and its refiner. A v-predicting variant may ask for noise without any signal at the last timestep. */
export function sdxlScheduler(prediction: Prediction, zeroTerminalSnr: boolean): JsonObject {
  return {
    ...header("EulerDiscreteScheduler"),
    ...NOISE,
    prediction_type: prediction,
    interpolation_type: "linear",
    use_karras_sigmas: false,
    timestep_spacing: zeroTerminalSnr ? "trailing" : "leading",
    rescale_betas_zero_snr: zeroTerminalSnr,
  };
}

/** The x4 upscaler: one schedule for the picture, one for the noise on the low-resolution input. */
export function upscalerSchedulers(): {
  readonly scheduler: JsonObject;
  readonly lowResolution: JsonObject;
} {
  const noise = { ...NOISE, beta_start: 0.0001, beta_end: 0.02 };
  return {
    scheduler: {
      ...header("DDIMScheduler"),
      ...noise,
      clip_sample: false,
      set_alpha_to_one: false,
      prediction_type: "v_prediction",
    },
    lowResolution: {
      ...header("DDPMScheduler"),
      ...noise,
      steps_offset: 0,
      clip_sample: true,
      variance_type: "fixed_small",
    },
  };
}

/**
 * Latent diffusion's own models: the noise schedule is in the file, step by step. The usual one, linear in the
 * square root, is named; any other is given as it is.
 *
 * @param betas the file's table
 */
export function latentDiffusionScheduler(betas: ArrayLike<number>): JsonObject {
  const count = betas.length;
  // The table is in float32; the config it came from had a few digits.
  const [start, end] = [betas[0], betas[count - 1]].map((beta) => Number(beta.toPrecision(6)));
  const scaled = Array.from(
    { length: count },
    (_, t) => (Math.sqrt(start) + (t / (count - 1)) * (Math.sqrt(end) - Math.sqrt(start))) ** 2,
  );
  const isScaled = scaled.every((beta, t) => Math.abs(beta - betas[t]) <= 1e-5 * end);
  return {
    ...header("DDIMScheduler"),
    num_train_timesteps: count,
    ...(isScaled
      ? { beta_start: start, beta_end: end, beta_schedule: "scaled_linear" }
      : { trained_betas: Array.from(betas) }),
    clip_sample: false,
    set_alpha_to_one: false,
    steps_offset: 1,
    prediction_type: "epsilon",
  };
}
