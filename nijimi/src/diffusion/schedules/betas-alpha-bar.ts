/**
 * Betas from a curve ᾱ(u), u ∈ [0, 1]: β_t = min(1 − ᾱ((t+1)/T) / ᾱ(t/T), β_max).
 *
 * - "cosine": Nichol & Dhariwal 2021 (Improved DDPM, arXiv:2102.09672), eq. 17; diffusers'
 *   "squaredcos_cap_v2".
 * - "exponential": ᾱ = e^{−12u}, as in diffusers.
 * - "laplace": log-SNR with a Laplace distribution (Hang & Gu 2024, arXiv:2407.03297), in
 *   diffusers' form, whose curve is √(snr/(1+snr)), the square root of the paper's ᾱ.
 */
import { checkNumber, checkSteps } from "./check.ts";

/** ᾱ as a function of the fraction of the process that has passed. */
export type AlphaBarCurve = (u: number) => number;

/** β_t = min(1 − ᾱ((t+1)/T) / ᾱ(t/T), maxBeta). */
export function betasFromAlphaBar(
  steps: number,
  alphaBar: AlphaBarCurve,
  { maxBeta = 0.999 } = {},
): Float64Array {
  checkSteps("betasFromAlphaBar", steps);
  checkNumber("betasFromAlphaBar", "maxBeta", maxBeta, { above: 0 });
  return Float64Array.from({ length: steps }, (_, t) =>
    Math.min(1 - alphaBar((t + 1) / steps) / alphaBar(t / steps), maxBeta),
  );
}

/** ᾱ(u) = cos²((u + s)/(1 + s)·π/2). */
export function cosineAlphaBar(u: number, s = 0.008): number {
  return Math.cos(((u + s) / (1 + s)) * (Math.PI / 2)) ** 2;
}

/** ᾱ(u) = e^{−12u}. */
export function exponentialAlphaBar(u: number): number {
  return Math.exp(-12 * u);
}

/** √(snr/(1+snr)) with log snr = −½·sign(½ − u)·ln(1 − 2|½ − u| + 10⁻⁶). */
export function laplaceAlphaBar(u: number): number {
  const side = u > 0.5 ? -1 : 1;
  const snr = Math.exp(-0.5 * side * Math.log(1 - 2 * Math.abs(0.5 - u) + 1e-6));
  return Math.sqrt(snr / (1 + snr));
}

/** Improved DDPM's cosine betas. */
export function cosineBetas(steps: number, { s = 0.008, maxBeta = 0.999 } = {}): Float64Array {
  return betasFromAlphaBar(steps, (u) => cosineAlphaBar(u, s), { maxBeta });
}
