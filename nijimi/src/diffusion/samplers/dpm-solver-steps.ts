/**
 * DPM-Solver-1, -2 and -3 (Lu et al. 2022, arXiv:2206.00927, algorithms 1 and 2, eq. 3.7) over an
 * interval of λ, with evaluations at the fractions r1 and r2 of it. Answers are shared between
 * orders, as DPM fast and DPM adaptive need.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { combine, epsOf } from "./arithmetic.ts";
import type { Loop } from "./loop.ts";
import { type Level, sigmaAtLambda } from "./space.ts";

type F32 = Tensor<"float32">;

/** The solver at one state: evaluations are made when first needed and kept. */
export interface DpmSolverAt {
  /** x0 at the start, for previews. */
  denoised(): Promise<F32>;
  /** DPM-Solver-k from here to `to`. */
  step(
    order: 1 | 2 | 3,
    to: Level,
    options?: { readonly r1?: number; readonly r2?: number },
  ): Promise<F32>;
}

/** The solver at state x of level `from`. `step` is what the denoiser is told. */
export function dpmSolverAt(loop: Loop, x: F32, from: Level, step: number): DpmSolverAt {
  const kept = new Map<string, { readonly eps: F32; readonly denoised: F32 }>();
  const evaluate = async (key: string, state: () => F32, at: Level) => {
    const known = kept.get(key);
    if (known) return known;
    const input = state();
    const prediction = await loop.evaluate(input, at, step);
    const found = { eps: epsOf(input, prediction, at), denoised: prediction.denoised };
    kept.set(key, found);
    return found;
  };
  const start = () => evaluate("0", () => x, from);
  const between = (to: Level, r: number) =>
    loop.level(sigmaAtLambda(loop.space, from.lambda + r * (to.lambda - from.lambda)));

  /** x' = (α'/α)x − σ'(e^h − 1)ε − σ'·φ·(ε_r − ε), h = λ' − λ. */
  const move = (to: Level, eps: F32, phi = 0, epsR?: F32) => {
    const first = -to.std * Math.expm1(to.lambda - from.lambda);
    const second = -to.std * phi;
    return epsR
      ? combine([to.alpha / from.alpha, x], [first - second, eps], [second, epsR])
      : combine([to.alpha / from.alpha, x], [first, eps]);
  };

  return {
    denoised: async () => (await start()).denoised,
    async step(order, to, { r1 = order === 2 ? 1 / 2 : 1 / 3, r2 = 2 / 3 } = {}) {
      const h = to.lambda - from.lambda;
      const { eps } = await start();
      if (order === 1) return move(to, eps);
      const s1 = between(to, r1);
      const atR1 = await evaluate(`${to.lambda} ${r1}`, () => move(s1, eps), s1);
      if (order === 2) return move(to, eps, Math.expm1(h) / (2 * r1), atR1.eps);
      const s2 = between(to, r2);
      const phi = (r2 / r1) * (Math.expm1(r2 * h) / (r2 * h) - 1);
      const atR2 = await evaluate(
        `${to.lambda} ${r1} ${r2}`,
        () => move(s2, eps, phi, atR1.eps),
        s2,
      );
      return move(to, eps, (Math.expm1(h) / h - 1) / r2, atR2.eps);
    },
  };
}
