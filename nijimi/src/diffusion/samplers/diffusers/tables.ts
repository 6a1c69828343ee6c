/**
 * ᾱ and σ of a discrete process as diffusers holds them: in float32. Which whole timestep a noise
 * level falls on depends on those last bits, so they are kept here, unlike in the rest of the
 * library.
 */
import { DIFFUSERS_BETA_SCHEDULES, makeBetas } from "../../schedules/betas.ts";
import { type DiscreteSigmas, sigmaToTimestep } from "../../schedules/discrete-sigmas.ts";
import type { DiffusersOptions } from "./options.ts";

/** Tables over timesteps 0 … T−1. */
export interface DiffusersTables extends DiscreteSigmas {
  readonly betas: Float64Array;
  readonly alphasCumprod: Float64Array;
}

/**
 * What replaces ᾱ_T = 0 of zero terminal SNR in schedulers that divide by it: 2⁻²⁴, so that σ =
 * 4096.
 */
const LEAST_ALPHA_BAR = 2 ** -24;

/**
 * @param divides true for schedulers that replace a last ᾱ of 0 by {@link LEAST_ALPHA_BAR}
 */
export function diffusersTables(options: DiffusersOptions, divides: boolean): DiffusersTables {
  const { fround } = Math;
  const raw = trainingBetas(options);
  const betas = options.rescale_betas_zero_snr ? rescaledBetas(raw) : raw;
  const alphasCumprod = cumulativeAlphas(betas);
  if (options.rescale_betas_zero_snr && divides)
    alphasCumprod[alphasCumprod.length - 1] = LEAST_ALPHA_BAR;
  const sigmas = alphasCumprod.map((a) => fround(Math.sqrt(fround(fround(1 - a) / a))));
  return {
    betas,
    alphasCumprod,
    sigmas,
    logSigmas: sigmas.map((sigma) => fround(Math.log(sigma))),
  };
}

/** β in float32, evenly spaced ones with the last bits of torch's `linspace`. */
function trainingBetas({
  beta_schedule,
  beta_start,
  beta_end,
  num_train_timesteps,
  trained_betas,
}: DiffusersOptions): Float64Array {
  if (!trained_betas && beta_schedule === "linear")
    return torchLinspace(beta_start, beta_end, num_train_timesteps);
  if (!trained_betas && beta_schedule === "scaled_linear")
    return torchLinspace(Math.sqrt(beta_start), Math.sqrt(beta_end), num_train_timesteps).map(
      (root) => Math.fround(root * root),
    );
  return makeBetas({
    schedule: DIFFUSERS_BETA_SCHEDULES[beta_schedule],
    steps: num_train_timesteps,
    betaStart: beta_start,
    betaEnd: beta_end,
    trained: trained_betas,
  }).map(Math.fround);
}

/**
 * torch's `linspace` in float32: steps from both ends, each multiplied and added with one rounding.
 */
export function torchLinspace(start: number, end: number, count: number): Float64Array {
  const { fround } = Math;
  const [a, b] = [fround(start), fround(end)];
  const step = fround(fround(b - a) / (count - 1));
  return Float64Array.from({ length: count }, (_, i) =>
    fround(count === 1 ? a : i < Math.trunc(count / 2) ? a + step * i : b - step * (count - 1 - i)),
  );
}

/** The (fractional) timestep of a level. */
export function timestepOfSigma(tables: DiscreteSigmas, sigma: number): number {
  return sigmaToTimestep(tables, Math.max(sigma, 1e-10));
}

/** Π(1 − β), summed up in float64 and stored in float32, as torch does. */
function cumulativeAlphas(betas: Float64Array): Float64Array {
  let product = 1;
  return betas.map((beta) => Math.fround((product *= Math.fround(1 - beta))));
}

/** Lin et al. 2024 (arXiv:2305.08891), algorithm 1, in float32. */
function rescaledBetas(betas: Float64Array): Float64Array {
  const { fround } = Math;
  const roots = cumulativeAlphas(betas).map((a) => fround(Math.sqrt(a)));
  const first = roots[0];
  const last = roots[roots.length - 1];
  const scale = fround(first / fround(first - last));
  const bars = roots.map((root) => fround(fround(fround(root - last) * scale) ** 2));
  return bars.map((bar, t) => fround(1 - (t === 0 ? bar : fround(bar / bars[t - 1]))));
}
