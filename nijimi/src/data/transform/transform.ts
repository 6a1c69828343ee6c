/** From decoded pictures to planes in [−1, 1]: composite, crop and resize, flip, warp, colour. */
import { NijimiError } from "../../errors.ts";
import { deriveSeed } from "../../tensor/random/derive.ts";
import { mt19937 } from "../../tensor/random/mt19937.ts";
import type { Raster } from "../sample.ts";
import { jitterColor } from "./color.ts";
import { outputSize, type AugmentOptions, type ImageOptions } from "./options.ts";
import { mapPlanes, toMask, toPlanes, type Planes } from "./planes.ts";
import { resample, type Box } from "./resample.ts";
import { applyWarp, drawWarp } from "./warp.ts";

/** A sample's pictures, channel after channel. */
export interface Prepared {
  /** [C, H, W], −1…1. */
  readonly image: Float32Array;
  /** [C, H, W] in −1…1, or class indices [1, H, W] for masks. */
  readonly target?: Float32Array;
}

const WHITE = [255, 255, 255] as const;

/**
 * Prepares the pictures of one sample.
 *
 * @param seed decides all random changes
 */
export function prepare(
  image: Raster,
  target: Raster | undefined,
  options: ImageOptions,
  seed: bigint,
): Prepared {
  const { channels = 3, background = WHITE, augment = {} } = options;
  const [height, width] = outputSize(options);
  const draw = uniformDraws(seed);
  const place = drawPlacement(augment, draw);
  const warp = drawWarp(augment, width, height, draw, normalDraws(draw));
  const change = (x: Planes, isMask: boolean): Planes => {
    const filled = fit(x, options, place, isMask);
    const flipped = flip(filled, place.flipped, place.upsideDown);
    return warp ? applyWarp(flipped, warp, isMask) : flipped;
  };
  const first = change(toPlanes(image, channels, background), false);
  if (augment.color) jitterColor(first, augment.color, draw);
  if (!target) return { image: toUnit(first) };
  const isMask = options.target === "mask";
  const second = change(isMask ? toMask(target) : toPlanes(target, channels, background), isMask);
  return { image: toUnit(first), target: isMask ? second.planes[0] : toUnit(second) };
}

/** Random choices that do not depend on the size of the picture. */
interface Placement {
  /** Share of the area and relative width ÷ height of a random crop. */
  readonly crop?: { readonly area: number; readonly ratio: number };
  /** Where the cut falls, 0…1 along both axes. */
  readonly x: number;
  readonly y: number;
  readonly flipped: boolean;
  readonly upsideDown: boolean;
}

function drawPlacement(
  { flip: mirrored = 0, flipVertical = 0, crop, position }: AugmentOptions,
  draw: () => number,
): Placement {
  // Everything is drawn whatever is used, so that switching one change on leaves the others as they were.
  const [a, b, x, y, h, v] = [draw(), draw(), draw(), draw(), draw(), draw()];
  const anywhere = position === "random" || crop !== undefined;
  const [low, high] = crop?.ratio ?? [1, 1];
  return {
    ...(crop && {
      crop: {
        area: crop.area[0] + a * (crop.area[1] - crop.area[0]),
        ratio: low * (high / low) ** b,
      },
    }),
    x: anywhere ? x : 0.5,
    y: anywhere ? y : 0.5,
    flipped: h < mirrored,
    upsideDown: v < flipVertical,
  };
}

/** The picture at the size of the result. */
function fit(x: Planes, options: ImageOptions, place: Placement, isMask: boolean): Planes {
  const [height, width] = outputSize(options);
  const filter = isMask ? "nearest" : (options.filter ?? "bicubic");
  const to = (box: Box, w: number, h: number): Planes =>
    mapPlanes(x, w, h, (plane) =>
      clampPlane(resample(plane, x.width, x.height, box, w, h, filter), plane),
    );
  const whole = { left: 0, top: 0, width: x.width, height: x.height };
  if (options.fit === "stretch") return to(whole, width, height);
  if (options.fit === "pad") {
    const scale = Math.min(width / x.width, height / x.height);
    const [w, h] = [
      Math.max(1, Math.round(x.width * scale)),
      Math.max(1, Math.round(x.height * scale)),
    ];
    return pad(to(whole, w, h), options, isMask);
  }
  return to(cropBox(x, width / height, place), width, height);
}

/** The largest box of the result's shape, or the drawn share of the picture. */
function cropBox({ width, height }: Planes, shape: number, { crop, x, y }: Placement): Box {
  const aspect = shape * (crop?.ratio ?? 1);
  const largest = Math.min(width, height * aspect);
  const wanted = crop ? Math.sqrt(crop.area * width * height * aspect) : largest;
  const w = Math.min(largest, wanted);
  const h = w / aspect;
  return { left: (width - w) * x, top: (height - h) * y, width: w, height: h };
}

function pad(x: Planes, options: ImageOptions, isMask: boolean): Planes {
  const [height, width] = outputSize(options);
  const background = options.background ?? WHITE;
  const [left, top] = [Math.floor((width - x.width) / 2), Math.floor((height - x.height) / 2)];
  const planes = x.planes.map((plane, channel) => {
    const fill =
      isMask || channel === 3
        ? 0
        : x.planes.length === 1
          ? (background[0] + background[1] + background[2]) / 3
          : background[channel];
    const out = new Float32Array(width * height).fill(fill);
    for (let row = 0; row < x.height; row++)
      out.set(plane.subarray(row * x.width, (row + 1) * x.width), (top + row) * width + left);
    return out;
  });
  return { width, height, planes };
}

function flip(x: Planes, mirrored: boolean, upsideDown: boolean): Planes {
  if (!mirrored && !upsideDown) return x;
  const { width, height } = x;
  return mapPlanes(x, width, height, (plane) => {
    const out = new Float32Array(plane.length);
    for (let row = 0; row < height; row++) {
      const from = (upsideDown ? height - 1 - row : row) * width;
      const line = plane.subarray(from, from + width);
      out.set(mirrored ? line.toReversed() : line, row * width);
    }
    return out;
  });
}

/** Filters with negative lobes overshoot; pictures end at 0 and 255. */
function clampPlane(plane: Float32Array, source: Float32Array): Float32Array {
  if (plane === source) return plane.slice();
  for (let i = 0; i < plane.length; i++) plane[i] = Math.min(255, Math.max(0, plane[i]));
  return plane;
}

function toUnit({ width, height, planes }: Planes): Float32Array {
  const out = new Float32Array(planes.length * width * height);
  for (const [channel, plane] of planes.entries())
    for (let i = 0; i < plane.length; i++) out[channel * plane.length + i] = plane[i] / 127.5 - 1;
  return out;
}

function uniformDraws(seed: bigint): () => number {
  const engine = mt19937(deriveSeed(seed));
  return () => engine.low53() / 2 ** 53;
}

/** Box–Muller, one value of each pair. */
function normalDraws(uniform: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** @throws NijimiError `option` for values that make no sense */
export function checkImageOptions(options: ImageOptions): void {
  const [height, width] = outputSize(options);
  if (![height, width].every((side) => Number.isInteger(side) && side > 0))
    throw new NijimiError(
      "option",
      `Image size: expected whole numbers above 0; got ${height} × ${width}.`,
    );
  const { crop, elastic } = options.augment ?? {};
  if (crop && !(crop.area[0] > 0 && crop.area[0] <= crop.area[1] && crop.area[1] <= 1))
    throw new NijimiError(
      "option",
      `crop.area: expected two shares 0 < a ≤ b ≤ 1; got ${crop.area.join(", ")}.`,
    );
  if (elastic && !((elastic.grid ?? 3) >= 2))
    throw new NijimiError(
      "option",
      `elastic.grid: expected at least 2 points; got ${elastic.grid}.`,
    );
}
