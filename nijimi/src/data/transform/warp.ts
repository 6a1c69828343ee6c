/**
 * Turning and elastic deformation as one displacement field: every pixel of the result looks up a place in the
 * picture, bilinearly (masks: the nearest pixel); beyond the edge the picture is mirrored, as U-Net's authors do.
 */
import type { AugmentOptions } from "./options.ts";
import type { Planes } from "./planes.ts";
import { resample } from "./resample.ts";

/** Where every pixel of the result comes from. */
export interface Warp {
  readonly x: Float32Array;
  readonly y: Float32Array;
}

/** A random warp, or undefined when none is asked for. */
export function drawWarp(
  { rotate = 0, elastic }: AugmentOptions,
  width: number,
  height: number,
  uniform: () => number,
  normal: () => number,
): Warp | undefined {
  if (rotate === 0 && !elastic) return undefined;
  const angle = ((uniform() * 2 - 1) * rotate * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const field = () =>
    elastic ? displacement(elastic.sigma, elastic.grid ?? 3, width, height, normal) : undefined;
  const [dx, dy] = [field(), field()];
  const x = new Float32Array(width * height);
  const y = new Float32Array(width * height);
  const [cx, cy] = [(width - 1) / 2, (height - 1) / 2];
  for (let row = 0, i = 0; row < height; row++)
    for (let column = 0; column < width; column++, i++) {
      x[i] = cx + cos * (column - cx) - sin * (row - cy) + (dx?.[i] ?? 0);
      y[i] = cy + sin * (column - cx) + cos * (row - cy) + (dy?.[i] ?? 0);
    }
  return { x, y };
}

/** Normal numbers on a coarse grid, interpolated bicubically to every pixel. */
function displacement(
  sigma: number,
  grid: number,
  width: number,
  height: number,
  normal: () => number,
): Float32Array {
  const coarse = Float32Array.from({ length: grid * grid }, () => sigma * normal());
  return resample(
    coarse,
    grid,
    grid,
    { left: 0, top: 0, width: grid, height: grid },
    width,
    height,
    "bicubic",
  );
}

/** The picture looked up along a warp. */
export function applyWarp({ width, height, planes }: Planes, warp: Warp, nearest: boolean): Planes {
  const out = planes.map(() => new Float32Array(width * height));
  if (nearest) lookUpNearest(planes, out, width, height, warp);
  else lookUpBilinear(planes, out, width, height, warp);
  return { width, height, planes: out };
}

function lookUpNearest(
  planes: readonly Float32Array[],
  out: readonly Float32Array[],
  width: number,
  height: number,
  { x, y }: Warp,
): void {
  for (let i = 0; i < x.length; i++) {
    const at = mirror(Math.round(y[i]), height) * width + mirror(Math.round(x[i]), width);
    for (let p = 0; p < planes.length; p++) out[p][i] = planes[p][at];
  }
}

/** Places and weights are found once for all planes: this is where most of a turned picture's time goes. */
function lookUpBilinear(
  planes: readonly Float32Array[],
  out: readonly Float32Array[],
  width: number,
  height: number,
  { x, y }: Warp,
): void {
  for (let i = 0; i < x.length; i++) {
    const left = Math.floor(x[i]);
    const top = Math.floor(y[i]);
    const fx = x[i] - left;
    const fy = y[i] - top;
    const x0 = mirror(left, width);
    const x1 = mirror(left + 1, width);
    const y0 = mirror(top, height) * width;
    const y1 = mirror(top + 1, height) * width;
    for (let p = 0; p < planes.length; p++) {
      const plane = planes[p];
      const upper = plane[y0 + x0] * (1 - fx) + plane[y0 + x1] * fx;
      const lower = plane[y1 + x0] * (1 - fx) + plane[y1 + x1] * fx;
      out[p][i] = upper * (1 - fy) + lower * fy;
    }
  }
}

/** …2 1 0 1 2 … n−2 n−1 n−2 … : the edge itself is not repeated. */
function mirror(index: number, size: number): number {
  if (index >= 0 && index < size) return index;
  const period = Math.max(1, 2 * (size - 1));
  const wrapped = ((index % period) + period) % period;
  return wrapped < size ? wrapped : period - wrapped;
}
