/**
 * Seamless tiling: convolutions that see the opposite edge beyond an edge, so that the picture continues when it is
 * laid beside itself. Nothing but the convolutions' surroundings changes.
 */
import { unknownName } from "../../errors.ts";
import { sameDim, subtractDims } from "../../graph/dim.ts";
import { concat, slice } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import type { Interceptor } from "../../nn/layer.ts";

/** Which edges meet. */
export const SEAMLESS_AXES = ["x", "y", "both"] as const;

export type SeamlessAxes = (typeof SEAMLESS_AXES)[number];

const [HEIGHT, WIDTH] = [2, 3];

/**
 * Wraps every convolution: the input is continued by its opposite edge, convolved with the layer's own padding, and
 * what that padding touched is cut off again.
 */
export function seamless(axes: SeamlessAxes): Interceptor {
  if (!SEAMLESS_AXES.includes(axes)) throw unknownName("seamless", axes, SEAMLESS_AXES);
  const wrapped = axes === "both" ? [HEIGHT, WIDTH] : [axes === "x" ? WIDTH : HEIGHT];
  return ({ layer, args }, proceed) => {
    const kernel = layer.parameters["weight"]?.shape.slice(2) ?? [];
    if (layer.kind !== "conv2d" || kernel.every((size) => size === 1)) return proceed(...args);
    const x = args[0] as Sym;
    const margin = Math.max(...kernel) - 1; // divisible by a stride of 2 for 3×3
    const y = proceed(wrapped.reduce((h, axis) => continued(h, axis, margin), x)) as Sym;
    return wrapped.reduce((h, axis) => {
      const strided = !sameDim(subtractDims(y.shape[axis], x.shape[axis]), 2 * margin);
      return trimmed(h, axis, strided ? margin / 2 : margin);
    }, y);
  };
}

/** The last `margin` before, the first `margin` after. */
function continued(x: Sym, axis: number, margin: number): Sym {
  const size = x.shape[axis];
  return concat(
    [slice(x, axis, subtractDims(size, margin), size), x, slice(x, axis, 0, margin)],
    axis,
  );
}

function trimmed(x: Sym, axis: number, margin: number): Sym {
  return slice(x, axis, margin, subtractDims(x.shape[axis], margin));
}
