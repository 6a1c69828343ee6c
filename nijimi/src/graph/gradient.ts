/**
 * Reverse-mode differentiation of a trace: walks it backwards once and adds up cotangents.
 * The result is a trace again, so gradients of gradients need nothing else.
 */
import { NijimiError } from "../errors.ts";
import { sameShape, showShape } from "./dim.ts";
import { GRADIENT_RULES } from "./gradient-rules.ts";
import { add, full, scalar } from "./ops.ts";
import type { PrimitiveName, Sym } from "./primitives.ts";
import { topologicalOrder } from "./traverse.ts";

/**
 * Gradients of a scalar with respect to symbolic tensors of its trace.
 *
 * @param loss scalar []
 * @param wrt parameters, inputs or any inner tensors
 * @returns one gradient per element of `wrt`, of its shape; zeros where the loss does not depend on it
 * @throws NijimiError `shape` when `loss` is not a scalar
 * @example
 * const [dw] = gradients(mean(square(sub(matmul(x, w), y))), [w]);
 */
export function gradients(loss: Sym, wrt: readonly Sym[]): Sym[] {
  if (loss.shape.length !== 0)
    throw new NijimiError(
      "shape",
      `gradients: the loss must be a scalar []; got ${showShape(loss.shape)}. Reduce it with mean() or sum().`,
    );
  return vectorJacobianProduct([loss], [scalar(1, loss.dtype)], wrt);
}

/**
 * Σᵢ cotangentᵢ · ∂outputᵢ/∂wrt: the general form of {@link gradients}.
 *
 * @param cotangents one per output, of its shape
 */
export function vectorJacobianProduct(
  outputs: readonly Sym[],
  cotangents: readonly Sym[],
  wrt: readonly Sym[],
): Sym[] {
  const order = topologicalOrder(outputs);
  const relevant = dependentsOf(order, new Set(wrt));
  const collected = new Map<Sym, Sym>();
  const accumulate = (sym: Sym, cotangent: Sym): void => {
    if (!relevant.has(sym)) return;
    if (!sameShape(sym.shape, cotangent.shape))
      throw new NijimiError(
        "shape",
        `gradient of ${sym.primitive}: cotangent ${showShape(cotangent.shape)} for ${showShape(sym.shape)}.`,
      );
    const before = collected.get(sym);
    collected.set(sym, before === undefined ? cotangent : add(before, cotangent));
  };
  outputs.forEach((output, i) => accumulate(output, cotangents[i]));
  for (const sym of order.toReversed()) {
    const cotangent = collected.get(sym);
    if (cotangent === undefined || !sym.inputs.some((input) => relevant.has(input))) continue;
    const rule = GRADIENT_RULES[sym.primitive] as (
      g: Sym,
      node: Sym<PrimitiveName>,
    ) => readonly (Sym | undefined)[];
    rule(cotangent, sym).forEach((given, i) => {
      if (given !== undefined) accumulate(sym.inputs[i], given);
    });
  }
  return wrt.map((sym) => collected.get(sym) ?? full(sym.shape, 0, sym.dtype));
}

/** The symbols that depend on any of `sources`, themselves included; nothing passes a stopGradient. */
function dependentsOf(order: readonly Sym[], sources: ReadonlySet<Sym>): ReadonlySet<Sym> {
  const dependents = new Set<Sym>();
  for (const sym of order)
    if (
      sources.has(sym) ||
      (sym.primitive !== "stopGradient" && sym.inputs.some((input) => dependents.has(input)))
    )
      dependents.add(sym);
  return dependents;
}
