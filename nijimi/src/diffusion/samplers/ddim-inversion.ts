/**
 * DDIM run backwards, from a clean image to the noise that DDIM (eta 0) turns into it: Song et al.
 * 2021 (arXiv:2010.02502), §4.3. A step needs ε at the noisier level it goes to and takes ε at the
 * level it comes from; `refinements` solve for the former by fixed-point iteration (AIDI, Pan et
 * al. 2023, arXiv:2309.04907), after which inversion and sampling agree to rounding.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { NijimiError } from "../../errors.ts";
import { combine, epsOf, transfer } from "./arithmetic.ts";
import { ddimStep, targetLevels } from "./ddim.ts";
import { beginLoop } from "./loop.ts";
import type { Level } from "./space.ts";
import type { Prediction, SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link ddimInversion}. */
export interface DdimInversionOptions {
  /**
   * Evaluations spent per step on making the step exact. 0 is the published approximation. @default
   * 0
   */
  readonly refinements?: number;
  /**
   * Level each step goes to, where that is not the level the next one starts from. @default
   * sigmas[i + 1]
   */
  readonly targets?: ArrayLike<number>;
}

/**
 * Inversion of DDIM. `sigmas` rise; x is the clean end. Deterministic; 1 + `refinements`
 * evaluations a step.
 */
export async function* ddimInversion(input: SamplerInput & DdimInversionOptions): SamplerRun {
  const { refinements = 0 } = input;
  if (!(Number.isInteger(refinements) && refinements >= 0))
    throw new NijimiError(
      "option",
      `ddimInversion: refinements must be a whole number ≥ 0; got ${refinements}.`,
    );
  const loop = beginLoop("ddimInversion", input, { direction: "rising" });
  const target = targetLevels("ddimInversion", input.targets, loop.levels, loop.level);
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = target(step);
    let prediction = await loop.evaluate(x, from, step);
    let next =
      prediction.eps || from.std > 0
        ? ddimStep(x, prediction, from, to)
        : combine([to.alpha / from.alpha, x]);
    const rounds = refinements + (!prediction.eps && from.std === 0 ? 1 : 0);
    for (let i = 0; i < rounds; i++) {
      prediction = await loop.evaluate(next, to, step);
      next = refine(x, next, prediction, from, to);
    }
    x = next;
    yield { ...loop.finished(step, x, prediction.denoised), sigma: to.sigma };
  }
}

/** The state from which a sampling step with this prediction would lead back to x. */
function refine(
  x: Tensor<"float32">,
  next: Tensor<"float32">,
  prediction: Prediction,
  from: Level,
  to: Level,
): Tensor<"float32"> {
  if (from.std > 0) return transfer(x, prediction.denoised, from, to);
  return combine([to.alpha / from.alpha, x], [to.std, epsOf(next, prediction, to)]);
}
