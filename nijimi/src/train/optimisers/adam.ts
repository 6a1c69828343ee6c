/**
 * Adam (Kingma & Ba 2015, arXiv:1412.6980) and AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), as torch computes
 * them: p ← p − lr · m̂ / (√v̂ + ε), with decay applied to the parameters before (AdamW) or added to the gradient (Adam).
 */
import { add, div, maximum, mul, neg, pow, sqrt, square, sub } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import type { Optimiser } from "./optimiser.ts";

/** Options of {@link adam} and {@link adamW}. */
export interface AdamOptions {
  /** @default [0.9, 0.999] */
  readonly betas?: readonly [number, number];
  /** @default 1e-8 */
  readonly eps?: number;
  /** @default 0 for Adam, 0.01 for AdamW */
  readonly weightDecay?: number;
  /** Divide by the largest second moment so far. @default false */
  readonly amsgrad?: boolean;
  /** Ascend. @default false */
  readonly maximize?: boolean;
}

/** Adam with decay added to the gradient. */
export function adam(options: AdamOptions = {}): Optimiser {
  return adaptive("adam", false, options);
}

/** Adam with decoupled decay. */
export function adamW(options: AdamOptions = {}): Optimiser {
  return adaptive("adamw", true, { weightDecay: 0.01, ...options });
}

function adaptive(
  name: string,
  decoupled: boolean,
  {
    betas: [beta1, beta2] = [0.9, 0.999],
    eps = 1e-8,
    weightDecay = 0,
    amsgrad = false,
    maximize = false,
  }: AdamOptions,
): Optimiser {
  return {
    name,
    state: amsgrad ? ["m", "v", "vMax"] : ["m", "v"],
    update({ parameters, gradient, state, learningRate, step }) {
      const signed = maximize ? neg(gradient) : gradient;
      const decayed =
        decoupled && weightDecay !== 0
          ? mul(parameters, sub(1, mul(learningRate, weightDecay)))
          : parameters;
      const g =
        !decoupled && weightDecay !== 0 ? add(signed, mul(parameters, weightDecay)) : signed;
      const m = add(mul(state["m"], beta1), mul(g, 1 - beta1));
      const v = add(mul(state["v"], beta2), mul(square(g), 1 - beta2));
      const correction1 = sub(1, pow(beta1, step));
      const correction2 = sqrt(sub(1, pow(beta2, step)));
      const vMax = amsgrad ? maximum(state["vMax"], v) : v;
      const denominator = add(div(sqrt(vMax), correction2), eps);
      const updated = sub(decayed, mul(div(m, denominator), div(learningRate, correction1)));
      const next: Record<string, Sym> = amsgrad ? { m, v, vMax } : { m, v };
      return { parameters: updated, state: next };
    },
  };
}
