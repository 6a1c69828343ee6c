/** Resizing and rearranging of feature maps [N, C, H, W], with torch's names and results. */
import { NijimiError } from "../errors.ts";
import { type Dim, isStatic, multiplyDims, type Shape, showShape } from "../graph/dim.ts";
import { constant, matmul, reshape, resize, transpose } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { resizeMatrix } from "../graph/resize-matrix.ts";
import { float32 } from "../tensor/tensor.ts";

/** Options of {@link interpolate}. */
export interface InterpolateOptions {
  /** Size of the result [H, W]; or `scaleFactor`. */
  readonly size?: readonly [Dim, Dim];
  readonly scaleFactor?: number | readonly [number, number];
  /** @default "nearest" */
  readonly mode?: "nearest" | "bilinear" | "bicubic" | "area";
  /** Corners stay corners (bilinear, bicubic). @default false */
  readonly alignCorners?: boolean;
  /** Widen the filter when shrinking (bilinear, bicubic). @default false */
  readonly antialias?: boolean;
}

/**
 * torch.nn.functional.interpolate for [N, C, H, W].
 *
 * @throws NijimiError `option` when neither or both of size and scaleFactor are given; `shape` when antialiasing or
 * area averaging meets symbolic sizes
 */
export function interpolate(
  x: Sym,
  {
    size,
    scaleFactor,
    mode = "nearest",
    alignCorners = false,
    antialias = false,
  }: InterpolateOptions,
): Sym {
  if ((size === undefined) === (scaleFactor === undefined))
    throw new NijimiError("option", "interpolate: expected either size or scaleFactor.");
  const target = size ?? scaledSize(x.shape, scaleFactor as number | readonly [number, number]);
  const coordinates =
    mode === "nearest" ? "asymmetric" : alignCorners ? "align_corners" : "half_pixel";
  const kind = mode === "bilinear" ? "linear" : mode === "bicubic" ? "cubic" : mode;
  if (kind !== "area" && !antialias) return resize(x, target, kind, coordinates);
  const sizes = [x.shape[2], x.shape[3], ...target];
  if (!isStatic(sizes))
    throw new NijimiError(
      "shape",
      `interpolate: ${mode} needs fixed sizes; got ${showShape(x.shape)} to ${showShape(target)}.`,
    );
  const [height, width, rows, columns] = sizes as number[];
  const along = (inputs: number, outputs: number): Sym =>
    constant(
      float32(
        [outputs, inputs],
        Float32Array.from(resizeMatrix(inputs, outputs, { mode: kind, coordinates, antialias })),
      ),
    );
  return matmul(matmul(along(height, rows), x), transpose(along(width, columns), [1, 0]));
}

function scaledSize(shape: Shape, factor: number | readonly [number, number]): [Dim, Dim] {
  const [vertical, horizontal] = typeof factor === "number" ? [factor, factor] : factor;
  const scaled = (dim: Dim, scale: number): Dim =>
    typeof dim === "number" ? Math.floor(dim * scale) : multiplyDims(dim, scale);
  return [scaled(shape[2], vertical), scaled(shape[3], horizontal)];
}

/** [N, C·r², H, W] → [N, C, r·H, r·W]. */
export function pixelShuffle(x: Sym, r: number): Sym {
  const [n, c, h, w] = x.shape;
  const channels = (c as number) / (r * r);
  const apart = transpose(reshape(x, [n, channels, r, r, h, w]), [0, 1, 4, 2, 5, 3]);
  return reshape(apart, [n, channels, multiplyDims(h, r), multiplyDims(w, r)]);
}

/** [N, C, r·H, r·W] → [N, C·r², H, W]: the inverse of {@link pixelShuffle}. */
export function pixelUnshuffle(x: Sym, r: number): Sym {
  const { apart, n, c, rows, columns } = patches(x, r, "pixelUnshuffle");
  return reshape(transpose(apart, [0, 1, 3, 5, 2, 4]), [n, (c as number) * r * r, rows, columns]);
}

/** torch's unfold with stride = kernel: [N, C, H, W] → [N, C·p², patches], each column one patch. */
export function unfoldPatches(x: Sym, p: number): Sym {
  const { apart, n, c, rows, columns } = patches(x, p, "unfoldPatches");
  return reshape(transpose(apart, [0, 1, 3, 5, 2, 4]), [
    n,
    (c as number) * p * p,
    multiplyDims(rows, columns),
  ]);
}

function patches(x: Sym, p: number, name: string) {
  const [n, c, h, w] = x.shape;
  const count = (dim: Dim): Dim => {
    if (typeof dim === "number" && dim % p !== 0)
      throw new NijimiError(
        "shape",
        `${name}: ${showShape(x.shape)} does not divide into patches of ${p}.`,
      );
    return typeof dim === "number" ? dim / p : dim;
  };
  const [rows, columns] = [count(h), count(w)];
  return { apart: reshape(x, [n, c, rows, p, columns, p]), n, c, rows, columns };
}
