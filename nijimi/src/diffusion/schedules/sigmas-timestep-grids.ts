/**
 * Levels read off the table of a discrete network, as the user interfaces name them: "simple", "SGM
 * uniform", "DDIM uniform" (ComfyUI, A1111) and "turbo" (A1111). ("Normal" is `normalSigmas`.)
 */
import { roundHalfEven } from "../../internal/round-half-even.ts";
import { checkSteps } from "./check.ts";
import { type DiscreteSigmas, sigmaToTimestep, timestepToSigma } from "./discrete-sigmas.ts";
import { appendZero, linspace } from "./numbers.ts";

/** Every (T/steps)-th level from the last one down, then 0. */
export function simpleSigmas({ sigmas }: DiscreteSigmas, steps: number): Float64Array {
  checkSteps("simpleSigmas", steps);
  const stride = sigmas.length / steps;
  return appendZero(
    Float64Array.from(
      { length: steps },
      (_, i) => sigmas[sigmas.length - 1 - Math.trunc(i * stride)],
    ),
  );
}

/**
 * `steps` evenly spaced timesteps of the T−1 … 0 range without its end, then 0 (Stability's
 * generative-models). `sigmaMin` and `sigmaMax` narrow the range.
 */
export function sgmUniformSigmas(
  table: DiscreteSigmas,
  steps: number,
  { sigmaMin, sigmaMax }: { readonly sigmaMin?: number; readonly sigmaMax?: number } = {},
): Float64Array {
  checkSteps("sgmUniformSigmas", steps);
  const start = sigmaMax === undefined ? table.sigmas.length - 1 : sigmaToTimestep(table, sigmaMax);
  const end = sigmaMin === undefined ? 0 : sigmaToTimestep(table, sigmaMin);
  return appendZero(
    linspace(start, end, steps + 1)
      .slice(0, steps)
      .map((t) => timestepToSigma(table, t)),
  );
}

/**
 * Timesteps 1, 1 + stride, 1 + 2·stride, … with stride ⌊T/steps⌋, noisy first, then 0; may hold one
 * level more than `steps`.
 */
export function ddimUniformSigmas({ sigmas }: DiscreteSigmas, steps: number): Float64Array {
  checkSteps("ddimUniformSigmas", steps);
  const stride = Math.max(Math.floor(sigmas.length / steps), 1);
  return appendZero(sigmas.filter((_, t) => t >= 1 && (t - 1) % stride === 0).reverse());
}

/**
 * Timesteps T·i/steps − 1 for i = steps … 1, then 0: what distilled few-step models were trained
 * on.
 */
export function turboSigmas({ sigmas }: DiscreteSigmas, steps: number): Float64Array {
  checkSteps("turboSigmas", steps);
  const last = sigmas.length - 1;
  const timestep = (i: number) =>
    Math.min(Math.max(roundHalfEven(((steps - i) * (last + 1)) / steps - 1), 0), last);
  return appendZero(Float64Array.from({ length: steps }, (_, i) => sigmas[timestep(i)]));
}
