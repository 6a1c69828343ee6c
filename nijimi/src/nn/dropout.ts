/** Dropout with an explicit stream: the mask is an input of the graph, drawn by the caller. */
import { mul } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";

/**
 * x · mask/(1 − p). The mask holds zeros and ones (one with probability 1 − p) in the shape of x or one that
 * broadcasts to it; undefined means evaluation, where x passes.
 */
export function dropout(x: Sym, p: number, mask: Sym | undefined): Sym {
  return mask === undefined || p === 0 ? x : mul(x, mul(mask, 1 / (1 - p)));
}
