/** Settings that distilled checkpoints were made for. */
import { unknownName } from "../errors.ts";
import type { Pipeline } from "./pipeline.ts";
import type { GenerationRequest } from "./request.ts";

type Preset = Pick<GenerationRequest, "sampler" | "schedule" | "steps" | "guidanceScale" | "eta">;

/** Presets by the name of the method. */
export const PRESETS = {
  /** Latent consistency models and LCM-LoRA (arXiv:2310.04378, 2311.05556). */
  lcm: { sampler: "LCM", steps: 4, guidanceScale: 1 },
  /** SD-Turbo and SDXL-Turbo: adversarial diffusion distillation (arXiv:2311.17042). */
  turbo: { sampler: "Euler a", schedule: "sgm-uniform", steps: 1, guidanceScale: 1 },
  /** SDXL-Lightning (arXiv:2402.13929), the weights for four steps. */
  lightning: { sampler: "Euler", schedule: "sgm-uniform", steps: 4, guidanceScale: 1 },
  /** Hyper-SD (arXiv:2404.13686) and trajectory consistency (arXiv:2402.19159). */
  tcd: { sampler: "TCD", steps: 4, guidanceScale: 1, eta: 0.3 },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;

/**
 * The settings of a preset, to be spread into a request before one's own.
 *
 * @param pipeline a U-Net that is told the guidance scale, a whole latent consistency model, keeps its own scale
 *
 * @example
 * textToImage(pipeline, { ...preset("turbo", pipeline), prompt: "a red cat" });
 */
export function preset(name: string, pipeline?: Pick<Pipeline, "unet">): Preset {
  if (!Object.hasOwn(PRESETS, name)) throw unknownName("preset", name, Object.keys(PRESETS));
  const { guidanceScale, ...settings } = PRESETS[name as PresetName];
  const keepsScale = pipeline !== undefined && pipeline.unet.config.timeCondProjDim !== null;
  return keepsScale ? settings : { ...settings, guidanceScale };
}
