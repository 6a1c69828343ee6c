/**
 * DEIS, log-ρ Adams–Bashforth: Zhang & Chen 2023, "Fast Sampling of Diffusion Models with
 * Exponential Integrator" (arXiv:2204.13902), ρAB-DEIS in log ρ, as diffusers'
 * `DEISMultistepScheduler` has it. ε is extrapolated as a polynomial in λ = −log ρ and the linear
 * part is integrated exactly.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { combine, epsOf, type Term, transfer } from "./arithmetic.ts";
import { exponentialWeights } from "./exponential-weights.ts";
import { beginLoop, checkChoice } from "./loop.ts";
import { firstOrderOnly } from "./ode.ts";
import type { Level } from "./space.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link deis}. */
export interface DeisOptions {
  /** Answers used. @default 2 */
  readonly order?: 1 | 2 | 3;
  /** Lower the order in the last two steps of schedules of fewer than 15. @default true */
  readonly lowerOrderFinal?: boolean;
}

/** DEIS. Order `order`, one evaluation a step; deterministic. */
export async function* deis(input: SamplerInput & DeisOptions): SamplerRun {
  const { order = 2, lowerOrderFinal = true } = input;
  checkChoice("deis", "order", order, [1, 2, 3]);
  const loop = beginLoop("deis", input);
  const history: { readonly at: Level; readonly eps: Tensor<"float32"> }[] = []; // latest first
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const answer = await loop.evaluate(x, from, step);
    history.unshift({ at: from, eps: epsOf(x, answer, from) });
    history.length = Math.min(history.length, order);
    const lowered = lowerOrderFinal && loop.steps < 15 ? loop.steps - step : order;
    const used = history
      .slice(0, Math.max(1, lowered))
      .filter(({ at }) => Number.isFinite(at.lambda));
    if (firstOrderOnly(from, to) || used.length === 0) x = transfer(x, answer.denoised, from, to);
    else {
      const nodes = used.map(({ at }) => to.lambda - at.lambda);
      const weights = exponentialWeights(-1, nodes[0], nodes);
      x = combine(
        [to.alpha / from.alpha, x],
        ...used.map(({ eps }, i): Term => [-to.std * weights[i], eps]),
      );
    }
    yield loop.finished(step, x, answer.denoised);
  }
}
