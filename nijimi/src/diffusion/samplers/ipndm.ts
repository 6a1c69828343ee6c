/**
 * iPNDM (Zhang & Chen 2023, arXiv:2204.13902, eq. 33; diffusers' `IPNDMScheduler`): Adams–Bashforth
 * with the coefficients of an equal grid on ε, and DDIM's transfer. Unlike PNDM it starts with
 * lower orders instead of Runge–Kutta steps.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { combine, epsOf, type Term } from "./arithmetic.ts";
import { beginLoop, checkChoice } from "./loop.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Adams–Bashforth coefficients for equal steps, latest first, by order. */
export const ADAMS_BASHFORTH: readonly (readonly number[])[] = [
  [],
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
];

/** Options of {@link ipndm}. */
export interface IpndmOptions {
  /** Answers used. @default 4 */
  readonly order?: 1 | 2 | 3 | 4;
}

/**
 * The smallest α that x is divided by: from pure noise ε says nothing about x0, which is then taken
 * as 0.
 */
const SMALLEST_ALPHA = 1e-8;

/** iPNDM. Order 2 and more on equal grids, 1 on others; one evaluation a step; deterministic. */
export async function* ipndm(input: SamplerInput & IpndmOptions): SamplerRun {
  const { order = 4 } = input;
  checkChoice("ipndm", "order", order, [1, 2, 3, 4]);
  const loop = beginLoop("ipndm", input);
  let history: Tensor<"float32">[] = []; // latest first
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const answer = await loop.evaluate(x, from, step);
    history = [epsOf(x, answer, from), ...history].slice(0, order);
    const eps = combine(...history.map((e, k): Term => [ADAMS_BASHFORTH[history.length][k], e]));
    const keep = to.alpha / Math.max(from.alpha, SMALLEST_ALPHA);
    // α'·(x − σε)/α + σ'·ε; at α = 0 exactly, x = ε and the first part is 0
    x =
      from.alpha === 0
        ? combine([to.std, eps])
        : combine([keep, x], [to.std - keep * from.std, eps]);
    yield loop.finished(step, x, answer.denoised);
  }
}
