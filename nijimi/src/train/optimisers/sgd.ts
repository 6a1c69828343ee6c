/** Stochastic gradient descent with momentum, as torch's SGD. */
import { add, less, mul, neg, sub, where } from "../../graph/ops.ts";
import type { Optimiser, Update } from "./optimiser.ts";

/** Options of {@link sgd}. */
export interface SgdOptions {
  /** @default 0 */
  readonly momentum?: number;
  /** The share of a new gradient that the momentum leaves out. @default 0 */
  readonly dampening?: number;
  /** @default 0 */
  readonly weightDecay?: number;
  /** @default false */
  readonly nesterov?: boolean;
  /** Ascend. @default false */
  readonly maximize?: boolean;
}

/** p ← p − lr · b, b ← momentum · b + (1 − dampening) · g; the first b is g itself. */
export function sgd({
  momentum = 0,
  dampening = 0,
  weightDecay = 0,
  nesterov = false,
  maximize = false,
}: SgdOptions = {}): Optimiser {
  return {
    name: "sgd",
    state: momentum === 0 ? [] : ["b"],
    update({ parameters, gradient, state, learningRate, step }): Update {
      const signed = maximize ? neg(gradient) : gradient;
      const g = weightDecay === 0 ? signed : add(signed, mul(parameters, weightDecay));
      if (momentum === 0) return { parameters: sub(parameters, mul(g, learningRate)), state: {} };
      const later = add(mul(state["b"], momentum), mul(g, 1 - dampening));
      const b = dampening === 0 ? later : where(less(step, 1.5), g, later);
      const direction = nesterov ? add(g, mul(b, momentum)) : b;
      return { parameters: sub(parameters, mul(direction, learningRate)), state: { b } };
    },
  };
}
