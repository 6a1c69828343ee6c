/**
 * Between the timesteps of a discrete variance-preserving network and the noise levels of a
 * variance-exploding sampler: σ_t = √((1 − ᾱ_t)/ᾱ_t), interpolated linearly in log σ (Karras et al.
 * 2022, appendix C; k-diffusion's `DiscreteSchedule`).
 */
import { NijimiError } from "../../errors.ts";
import { checkSteps } from "./check.ts";
import { appendZero, linspace } from "./numbers.ts";

/** Increasing noise levels of timesteps 0 … T−1. */
export interface DiscreteSigmas {
  readonly sigmas: Float64Array;
  readonly logSigmas: Float64Array;
}

/** σ of a variance-preserving ᾱ; ∞ where ᾱ = 0. */
export function sigmaOfAlphaBar(alphaBar: number): number {
  return Math.sqrt((1 - alphaBar) / alphaBar);
}

/** ᾱ = 1/(1 + σ²). */
export function alphaBarOfSigma(sigma: number): number {
  return 1 / (1 + sigma * sigma);
}

/** A table over given noise levels, which must be positive, finite and increasing. */
export function discreteSigmas(sigmas: ArrayLike<number>): DiscreteSigmas {
  if (sigmas.length === 0)
    throw new NijimiError(
      "option",
      "discreteSigmas: a table needs at least one noise level; got none.",
    );
  for (let t = 0; t < sigmas.length; t++) {
    if (sigmas[t] > (t === 0 ? 0 : sigmas[t - 1]) && sigmas[t] < Infinity) continue;
    const hint =
      sigmas[t] === Infinity ? " A schedule of zero terminal SNR needs terminalAlphaBar." : "";
    throw new NijimiError(
      "option",
      `discreteSigmas: noise levels must be finite, positive and increasing; got ${sigmas[t]} at timestep ${t}.${hint}`,
    );
  }
  const table = Float64Array.from(sigmas);
  return { sigmas: table, logSigmas: table.map(Math.log) };
}

/**
 * The table of a variance-preserving process.
 *
 * @param options `terminalAlphaBar` stands in for a last ᾱ of 0, so that a schedule of zero
 *   terminal SNR has a last level; diffusers uses 2⁻²⁴ (σ = 4096). Without it such a schedule is
 *   refused.
 */
export function discreteSigmasOf(
  alphasCumprod: ArrayLike<number>,
  { terminalAlphaBar = 0 } = {},
): DiscreteSigmas {
  return discreteSigmas(
    Float64Array.from(alphasCumprod, (a) => sigmaOfAlphaBar(a || terminalAlphaBar)),
  );
}

/** σ at a fractional timestep, linear in log σ; timesteps are clamped to [0, T−1]. */
export function timestepToSigma({ logSigmas }: DiscreteSigmas, t: number): number {
  const clamped = Math.min(Math.max(t, 0), logSigmas.length - 1);
  const low = Math.floor(clamped);
  const high = Math.ceil(clamped);
  const w = clamped - low;
  return Math.exp((1 - w) * logSigmas[low] + w * logSigmas[high]);
}

/**
 * The timestep of a noise level, fractional by interpolation in log σ, or the nearest whole one.
 * Levels outside the table give its first or last timestep.
 *
 * @param options `quantize`: the nearest timestep in log σ (the earlier of two equally near)
 *   @default false
 */
export function sigmaToTimestep(
  { logSigmas }: DiscreteSigmas,
  sigma: number,
  { quantize = false } = {},
): number {
  const logSigma = Math.log(sigma);
  const last = logSigmas.length - 1;
  if (last === 0) return 0;
  let low = 0; // the last level ≤ sigma
  let end = last;
  while (end - low > 1) {
    const middle = (low + end) >> 1;
    if (logSigmas[middle] <= logSigma) low = middle;
    else end = middle;
  }
  if (quantize) return logSigma - logSigmas[low] <= logSigmas[low + 1] - logSigma ? low : low + 1;
  const w = (logSigmas[low] - logSigma) / (logSigmas[low] - logSigmas[low + 1]);
  return low + Math.min(Math.max(w, 0), 1);
}

/**
 * Noise levels of `steps` evenly spaced timesteps from T−1 to 0, then 0; all T levels when `steps`
 * is absent. k-diffusion's `get_sigmas`, A1111's "Uniform" and "Normal", ComfyUI's "normal".
 */
export function normalSigmas(table: DiscreteSigmas, steps?: number): Float64Array {
  if (steps === undefined) return appendZero(table.sigmas.toReversed());
  checkSteps("normalSigmas", steps);
  return appendZero(
    linspace(table.sigmas.length - 1, 0, steps).map((t) => timestepToSigma(table, t)),
  );
}
