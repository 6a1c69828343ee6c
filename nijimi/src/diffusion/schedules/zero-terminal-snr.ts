/**
 * Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed"
 * (arXiv:2305.08891), algorithm 1: shift and scale √ᾱ so that the last one is 0 and the first
 * stays. The last β becomes 1, σ_T becomes ∞.
 */
import { checkBetas } from "./check.ts";

/** Betas whose last timestep holds no signal. */
export function rescaleZeroTerminalSnr(betas: ArrayLike<number>): Float64Array {
  checkBetas("rescaleZeroTerminalSnr", betas);
  const roots = new Float64Array(betas.length); // √ᾱ
  let alphaBar = 1;
  for (let t = 0; t < betas.length; t++) roots[t] = Math.sqrt((alphaBar *= 1 - betas[t]));
  const first = roots[0];
  const last = roots[roots.length - 1];
  const shifted = roots.map((root) => ((root - last) * first) / (first - last));
  return shifted.map((root, t) => 1 - (t === 0 ? root ** 2 : (root / shifted[t - 1]) ** 2));
}
