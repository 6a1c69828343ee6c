/**
 * FreeU (Si et al. 2023, arXiv:2309.11497): on the way up, half of the backbone's channels are made stronger and the
 * lowest frequencies of the skip connection weaker. diffusers' form: the scales do not depend on the features.
 */
import type { Dim } from "../../graph/dim.ts";
import {
  add,
  cast,
  concat,
  cos,
  dimension,
  div,
  iota,
  mean,
  mul,
  reshape,
  sin,
  slice,
  sub,
} from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";

/** Factors of a level. */
export interface FreeUScales {
  /** Of the first half of the backbone's channels; a scalar. */
  readonly backbone: Sym;
  /** Of the skip connection's lowest frequencies; a scalar. */
  readonly skip: Sym;
}

/** Backbone and skip connection of one residual block, scaled. */
export function freeU(h: Sym, skip: Sym, scales: FreeUScales): readonly [h: Sym, skip: Sym] {
  const channels = h.shape[1] as number;
  const half = Math.floor(channels / 2);
  const stronger = mul(slice(h, 1, 0, half), scales.backbone);
  const low = mul(lowestFrequencies(skip), sub(scales.skip, 1));
  return [concat([stronger, slice(h, 1, half, channels)], 1), add(skip, low)];
}

/**
 * The part of x [N, C, H, W] with wave numbers −1 and 0 each way, the square around the centre of a shifted spectrum
 * that "threshold 1" means. Of real values it is the projection on the cosines and sines of these waves.
 */
function lowestFrequencies(x: Sym): Sym {
  const [, , height, width] = x.shape;
  const y = reshape(angles(height), [1, 1, height, 1]);
  const z = reshape(angles(width), [1, 1, 1, width]);
  const average = (value: Sym): Sym => mean(value, { axes: [2, 3], keepDims: true });
  const waves = [y, z, add(y, z)].flatMap((angle) => [cos(angle), sin(angle)]);
  return waves.reduce((sum, wave) => add(sum, mul(wave, average(mul(x, wave)))), average(x));
}

/** 2π·i / n for i < n. */
function angles(length: Dim): Sym {
  const places = cast(iota(length), "float32");
  return div(mul(places, 2 * Math.PI), cast(dimension(length), "float32"));
}
