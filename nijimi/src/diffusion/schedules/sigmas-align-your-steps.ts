/**
 * Levels optimised for a model family (Sabour et al. 2024, "Align Your Steps", arXiv:2404.14507):
 * the published ten-step tables, interpolated log-linearly for other numbers of steps.
 */
import { unknownName } from "../../errors.ts";
import { checkSteps } from "./check.ts";
import type { SigmaConvention } from "./sigmas-karras.ts";
import { appendZero, interpolate, linspace } from "./numbers.ts";

/** The authors' tables of eleven levels, noisy to clean. */
export const ALIGN_YOUR_STEPS_TABLES = {
  "stable-diffusion-1": [
    14.6146412293, 6.4745760956, 3.8636745985, 2.694615152, 1.8841921177, 1.3943805092,
    0.9642583904, 0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582,
  ],
  "stable-diffusion-xl": [
    14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141,
    0.5550693289, 0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582,
  ],
  "stable-video-diffusion": [
    700, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002,
  ],
} as const satisfies Record<string, readonly number[]>;

export type AlignYourStepsModel = keyof typeof ALIGN_YOUR_STEPS_TABLES;

/** The same tables as A1111 and diffusers carry them, rounded to three decimals. */
export const ALIGN_YOUR_STEPS_ROUNDED = {
  "stable-diffusion-1": [
    14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029,
  ],
  "stable-diffusion-xl": [
    14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029,
  ],
  "stable-video-diffusion": ALIGN_YOUR_STEPS_TABLES["stable-video-diffusion"],
} as const satisfies Record<AlignYourStepsModel, readonly number[]>;

/**
 * The authors' ten timesteps of T = 1000 for samplers that count in timesteps (diffusers'
 * `AysSchedules`).
 */
export const ALIGN_YOUR_STEPS_TIMESTEPS = {
  "stable-diffusion-1": [999, 850, 736, 645, 545, 455, 343, 233, 124, 24],
  "stable-diffusion-xl": [999, 845, 730, 587, 443, 310, 193, 116, 53, 13],
} as const satisfies Partial<Record<AlignYourStepsModel, readonly number[]>>;

/**
 * Decreasing positive levels resampled to `count` of them, evenly in index and linearly in log σ;
 * the ends stay.
 */
export function logLinearResample(levels: readonly number[], count: number): Float64Array {
  const xs = linspace(0, 1, levels.length);
  const logs = Float64Array.from(levels, Math.log).reverse();
  return linspace(0, 1, count)
    .map((u) => Math.exp(interpolate(u, xs, logs)))
    .reverse();
}

/**
 * Levels for `steps` steps, ending with 0.
 *
 * @param options `convention`: "comfyui" (and the authors) resamples the exact table to `steps` + 1
 *   levels and puts 0 in place of the last; "a1111" resamples the rounded table to `steps` levels
 *   and adds 0. @default "comfyui"
 */
export function alignYourStepsSigmas(
  steps: number,
  {
    model,
    convention = "comfyui",
  }: { readonly model: AlignYourStepsModel; readonly convention?: SigmaConvention },
): Float64Array {
  checkSteps("alignYourStepsSigmas", steps);
  if (!Object.hasOwn(ALIGN_YOUR_STEPS_TABLES, model))
    throw unknownName(
      "Align Your Steps model",
      String(model),
      Object.keys(ALIGN_YOUR_STEPS_TABLES),
    );
  if (convention === "comfyui")
    return appendZero(logLinearResample(ALIGN_YOUR_STEPS_TABLES[model], steps + 1).slice(0, steps));
  const table = ALIGN_YOUR_STEPS_ROUNDED[model];
  return appendZero(steps === 1 ? [table[0]] : logLinearResample(table, steps));
}
