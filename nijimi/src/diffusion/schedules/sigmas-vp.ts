/**
 * Noise levels of the continuous variance-preserving process of Song et al. 2021 (arXiv:2011.13456)
 * on an even grid of times: σ(t) = √(exp(β_d·t²/2 + β_min·t) − 1), t from 1 to ε (k-diffusion's
 * `get_sigmas_vp`; EDM, table 1).
 */
import { checkNumber, checkSteps } from "./check.ts";
import { appendZero, linspace } from "./numbers.ts";

/** σ(t) of the VP process. */
export function vpSigma(t: number, { betaD = 19.9, betaMin = 0.1 } = {}): number {
  return Math.sqrt(Math.expm1((betaD * t * t) / 2 + betaMin * t));
}

/** `steps` levels from t = 1 to t = `epsilon`, then 0. */
export function vpSigmas(
  steps: number,
  { betaD = 19.9, betaMin = 0.1, epsilon = 1e-3 } = {},
): Float64Array {
  checkSteps("vpSigmas", steps);
  for (const [name, value] of Object.entries({ betaD, betaMin, epsilon }))
    checkNumber("vpSigmas", name, value, { above: 0 });
  return appendZero(linspace(1, epsilon, steps).map((t) => vpSigma(t, { betaD, betaMin })));
}
