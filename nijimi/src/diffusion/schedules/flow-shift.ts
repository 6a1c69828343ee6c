/**
 * Rectified-flow noise levels and their shift towards noise at higher resolutions (Esser et al.
 * 2024, Stable Diffusion 3, arXiv:2403.03206, section 5.3.2). Here σ ∈ [0, 1] and x_σ = (1 − σ)·x_0
 * + σ·ε.
 */
import { unknownName } from "../../errors.ts";
import { checkNumber } from "./check.ts";

/** Static shift: s·σ/(1 + (s − 1)·σ). */
export function shiftSigma(sigma: number, shift: number): number {
  checkNumber("shiftSigma", "shift", shift, { above: 0 });
  return (shift * sigma) / (1 + (shift - 1) * sigma);
}

/** The kinds of shift that depend on the image size through μ. */
export const DYNAMIC_SHIFTS = ["exponential", "linear"] as const;
export type DynamicShift = (typeof DYNAMIC_SHIFTS)[number];

/**
 * Dynamic shift: m/(m + (1/σ − 1)^p) with m = e^μ ("exponential", Flux) or m = μ ("linear"). 0
 * stays 0.
 */
export function dynamicShiftSigma(
  sigma: number,
  mu: number,
  kind: DynamicShift = "exponential",
  power = 1,
): number {
  checkNumber("dynamicShiftSigma", "mu", mu);
  if (!DYNAMIC_SHIFTS.includes(kind))
    throw unknownName("dynamic shift", String(kind), DYNAMIC_SHIFTS);
  if (sigma === 0) return 0;
  const m = kind === "exponential" ? Math.exp(mu) : mu;
  return m / (m + (1 / sigma - 1) ** power);
}

/**
 * μ for a number of image tokens, linear between two known pairs (Flux, diffusers'
 * `calculate_shift`).
 */
export function shiftMu(
  tokens: number,
  { baseTokens = 256, maxTokens = 4096, baseShift = 0.5, maxShift = 1.15 } = {},
): number {
  return baseShift + ((maxShift - baseShift) / (maxTokens - baseTokens)) * (tokens - baseTokens);
}

/**
 * Stretches decreasing levels so that the last becomes `terminal`: 1 − (1 − σ)·(1 − terminal)/(1 −
 * σ_last) (LTX-Video).
 */
export function stretchToTerminal(sigmas: Float64Array, terminal: number): Float64Array {
  checkNumber("stretchToTerminal", "terminal", terminal, { below: 1 });
  const scale = (1 - sigmas[sigmas.length - 1]) / (1 - terminal);
  return sigmas.map((sigma) => 1 - (1 - sigma) / scale);
}
