/**
 * Running a network on overlapping tiles and blending what comes out: each pixel is the weighted mean of the tiles
 * that hold it, with weights that fall towards a tile's inner edges, so that no seam shows.
 */
import { NijimiError } from "../../errors.ts";
import type { Device } from "../../runtime/engine.ts";
import type { Tensor } from "../../tensor/tensor.ts";

type F32 = Tensor<"float32">;

/** How a large input is cut. */
export interface TileOptions {
  /** Height and width of a tile, in latents. Smaller inputs are not cut. @default 64 */
  readonly size?: number;
  /** What neighbours share. @default 16 */
  readonly overlap?: number;
}

/** Pixels or latents per cell, each way. A decoder's input has 1, its output 8; an encoder's the other way round. */
export interface TileScales {
  readonly input: number;
  readonly output: number;
}

/** What is above this size, in cells each way, is cut unless the caller says otherwise: a decoder's memory grows with it. */
const UNCUT = 128;

/** On WASM, which has 4 GB for everything, a decoder of 512 × 512 pixels does not fit beside the U-Net. */
const WASM_TILES = { size: 32, overlap: 8 } as const;

/** The tiles for an input of so many cells: those asked for, or by its size. */
export function tilesFor(
  [height, width]: readonly [height: number, width: number],
  asked: TileOptions | false | undefined,
  device?: Device,
): TileOptions | undefined {
  if (asked === false) return undefined;
  const largest = Math.max(height, width);
  if (device === "wasm") return asked ?? (largest > WASM_TILES.size ? WASM_TILES : undefined);
  return asked ?? (largest > UNCUT ? {} : undefined);
}

/**
 * @param run network from [1, C, h·input, w·input] to [1, D, h·output, w·output]
 * @param options without them the input is not cut
 * @throws NijimiError `option` for an overlap that does not leave half of a tile
 */
export async function tiled(
  run: (x: F32) => Promise<F32>,
  x: F32,
  { input, output }: TileScales,
  options?: TileOptions,
): Promise<F32> {
  const { size = 64, overlap = 16 } = options ?? {};
  const [height, width] = [x.shape[2] / input, x.shape[3] / input];
  if (options === undefined || (height <= size && width <= size)) return run(x);
  if (!(Number.isInteger(size) && Number.isInteger(overlap) && overlap >= 0 && 2 * overlap <= size))
    throw new NijimiError(
      "option",
      `tiles: overlap must be a whole number from 0 to half the tile's size; got ${overlap} of ${size}.`,
    );
  const [rows, columns] = [Math.min(size, height) * input, Math.min(size, width) * input];
  let sum: F32 | undefined;
  const weights = new Float32Array(height * output * width * output);
  for (const top of origins(height, size, overlap))
    for (const left of origins(width, size, overlap)) {
      const tile = await run(cut(x, top * input, left * input, rows, columns));
      sum ??= empty([1, tile.shape[1], height * output, width * output]);
      paste(sum, weights, tile, top * output, left * output, overlap * output);
    }
  return divide(sum as F32, weights);
}

/** Where tiles begin: evenly spread, so that the last one ends with the input. */
function origins(length: number, size: number, overlap: number): number[] {
  if (length <= size) return [0];
  const count = Math.ceil((length - overlap) / (size - overlap));
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - size)) / (count - 1)));
}

function empty(shape: readonly number[]): F32 {
  return { dtype: "float32", shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
}

function cut(
  { shape: [, channels, height, width], data }: F32,
  top: number,
  left: number,
  rows: number,
  columns: number,
): F32 {
  const out = empty([1, channels, rows, columns]);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < rows; y++) {
      const from = (c * height + top + y) * width + left;
      out.data.set(data.subarray(from, from + columns), (c * rows + y) * columns);
    }
  return out;
}

/** Weight of place `i` of `length`: rises over the overlap from an edge that another tile lies behind. */
function ramp(i: number, length: number, overlap: number, before: boolean, after: boolean): number {
  const rise = (distance: number) => Math.min(1, (distance + 0.5) / overlap);
  return (before && overlap > 0 ? rise(i) : 1) * (after && overlap > 0 ? rise(length - 1 - i) : 1);
}

function paste(
  sum: F32,
  weights: Float32Array,
  tile: F32,
  top: number,
  left: number,
  overlap: number,
): void {
  const [, channels, height, width] = sum.shape;
  const [, , rows, columns] = tile.shape;
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const weight =
        ramp(y, rows, overlap, top > 0, top + rows < height) *
        ramp(x, columns, overlap, left > 0, left + columns < width);
      const at = (top + y) * width + left + x;
      weights[at] += weight;
      for (let c = 0; c < channels; c++)
        sum.data[c * height * width + at] += weight * tile.data[(c * rows + y) * columns + x];
    }
}

/** In place: the picture is large. */
function divide(sum: F32, weights: Float32Array): F32 {
  const { data } = sum;
  for (let i = 0; i < data.length; i++) data[i] /= weights[i % weights.length];
  return sum;
}
