/** Clipping of gradients by their global norm, as torch.nn.utils.clip_grad_norm_. */
import { add, div, minimum, mul, sqrt, square, sum } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";

/** g · min(1, maxNorm / (‖g‖ + 1e-6)) and ‖g‖ of a flat gradient. */
export function clipByNorm(
  gradient: Sym,
  maxNorm: number,
): { readonly gradient: Sym; readonly norm: Sym } {
  const norm = sqrt(sum(square(gradient)));
  return { gradient: mul(gradient, minimum(div(maxNorm, add(norm, 1e-6)), 1)), norm };
}
