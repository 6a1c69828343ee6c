/** What a picture is made with when a request does not say: the model's own words, else what is usual. */
import type { Pipeline } from "./pipeline.ts";

const STEPS = 25;
const GUIDANCE_SCALE = 7.5;
const GUIDANCE_SCALE_SDXL = 5;
const GUIDANCE_SCALE_LCM = 8.5;

/** Keys of `model_index.json` that a model states its defaults under. Other programs pass over them. */
export const DEFAULT_KEYS = {
  steps: "default_steps",
  guidanceScale: "default_guidance_scale",
} as const;

/**
 * Steps and guidance scale (uncond + scale·(cond − uncond)) of a pipeline.
 *
 * @param isDistilled the U-Net is told the scale (latent consistency models) @default false
 */
export function samplingDefaults(
  { settings, isSdxl }: Pick<Pipeline, "settings" | "isSdxl">,
  isDistilled = false,
): { readonly steps: number; readonly guidanceScale: number } {
  const own = (key: string, usual: number): number => {
    const value = settings[key];
    return typeof value === "number" && value > 0 ? value : usual;
  };
  const usual = isDistilled ? GUIDANCE_SCALE_LCM : isSdxl ? GUIDANCE_SCALE_SDXL : GUIDANCE_SCALE;
  return {
    steps: Math.max(1, Math.round(own(DEFAULT_KEYS.steps, STEPS))),
    guidanceScale: own(DEFAULT_KEYS.guidanceScale, usual),
  };
}
