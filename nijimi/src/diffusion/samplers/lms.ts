/**
 * Linear multistep (Adams–Bashforth on the actual grid of sigmas): k-diffusion's `sample_lms`.
 * Coefficients are integrals of Lagrange polynomials; Gauss–Legendre quadrature makes them exact,
 * where k-diffusion and diffusers use adaptive quadrature to 1e-4.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { combine, type Term, transfer } from "./arithmetic.ts";
import { beginLoop, checkChoice } from "./loop.ts";
import { advance, slope } from "./ode.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link lms}. */
export interface LmsOptions {
  /** Derivatives used, 1 to 4. @default 4 */
  readonly order?: number;
  /**
   * In a run from the middle of a schedule, weigh the first derivatives as if the steps before had been taken, and leave
   * out their terms: what diffusers does. Such a run starts with wrong steps. @default false
   */
  readonly countSkippedSteps?: boolean;
}

/** LMS. Order `order` once enough steps are behind; one evaluation a step; deterministic. */
export async function* lms(input: SamplerInput & LmsOptions): SamplerRun {
  const { order = 4, countSkippedSteps = false } = input;
  checkChoice("lms", "order", order, [1, 2, 3, 4]);
  const loop = beginLoop("lms", input);
  const sigmas = loop.levels.map(({ sigma }) => sigma);
  let history: Tensor<"float32">[] = []; // latest first
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const { denoised } = await loop.evaluate(x, from, step);
    if (from.sigma === Infinity) x = transfer(x, denoised, from, to);
    else {
      history = [combine(...slope(1, loop.space, x, denoised, from)), ...history].slice(0, order);
      const weighed = countSkippedSteps ? Math.min(step + 1, order) : history.length;
      const weights = multistepWeights(sigmas, step, weighed);
      x = advance(loop.space, x, from, to, ...history.map((d, k): Term => [weights[k], d]));
    }
    yield loop.finished(step, x, denoised);
  }
}

/**
 * ∫ from nodes[step] to nodes[step + 1] of the Lagrange polynomials through the `order` nodes at
 * and before `step`, latest first.
 */
export function multistepWeights(nodes: ArrayLike<number>, step: number, order: number): number[] {
  const start = nodes[step];
  const width = nodes[step + 1] - start;
  return Array.from({ length: order }, (_, j) => {
    const polynomial = (tau: number) => {
      let product = 1;
      for (let k = 0; k < order; k++)
        if (k !== j) product *= (tau - nodes[step - k]) / (nodes[step - j] - nodes[step - k]);
      return product;
    };
    return GAUSS_LEGENDRE_3.reduce(
      (sum, [node, weight]) => sum + weight * width * polynomial(start + node * width),
      0,
    );
  });
}

/** Nodes and weights on [0, 1], exact to degree 5. */
const GAUSS_LEGENDRE_3 = [
  [0.5 - Math.sqrt(0.15), 5 / 18],
  [0.5, 8 / 18],
  [0.5 + Math.sqrt(0.15), 5 / 18],
] as const;
