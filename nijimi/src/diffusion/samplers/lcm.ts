/**
 * Latent consistency sampling: Luo et al. 2023, "Latent Consistency Models" (arXiv:2310.04378),
 * algorithm 3: jump to x0, noise again to the next level, repeat. The network's boundary condition
 * (c_skip, c_out) is part of the denoiser.
 */
import { combine } from "./arithmetic.ts";
import { beginLoop, checkRange } from "./loop.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link lcm}. */
export interface LcmOptions {
  /** Scale of the added noise. @default 1 */
  readonly sNoise?: number;
}

/**
 * LCM. For distilled consistency networks, 1 to 8 steps; one evaluation a step; stochastic. The
 * last step ends at x0.
 */
export async function* lcm(input: SamplerInput & LcmOptions): SamplerRun {
  const { sNoise = 1 } = input;
  checkRange("lcm", "sNoise", sNoise, 0);
  const loop = beginLoop("lcm", input, { stochastic: loopsNeedNoise(input) });
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const { denoised } = await loop.evaluate(x, from, step);
    x =
      step === loop.steps - 1
        ? denoised
        : combine([to.alpha, denoised], [sNoise * to.std, loop.noise(from, to)]);
    yield loop.finished(step, x, denoised);
  }
}

/** True when there is more than one step. */
function loopsNeedNoise({ sigmas, firstStep = 0 }: SamplerInput): boolean {
  return sigmas.length - firstStep > 2;
}
