/**
 * Pictures of any kind as RGB from 0 to 255: grey becomes three equal channels, transparency is laid over white.
 * Both change what a network sees, so they are counted and reported.
 */
import type { Raster } from "../../data/sample.ts";
import { NijimiError } from "../../errors.ts";
import { tensor, type Tensor } from "../../tensor/tensor.ts";

/** A picture of interleaved 8-bit RGB. */
export interface Rgb {
  readonly width: number;
  readonly height: number;
  /** [height × width × 3] */
  readonly data: Uint8Array;
}

/** What a picture was before. */
export interface PictureKind {
  readonly isGrey: boolean;
  /** Not just an alpha channel, but one that is not opaque everywhere. */
  readonly isTransparent: boolean;
}

/** What there is to report about a picture. */
export function kindOf({ channels, data }: Raster): PictureKind {
  const hasAlpha = channels === 2 || channels === 4;
  let isTransparent = false;
  for (let i = channels - 1; hasAlpha && !isTransparent && i < data.length; i += channels)
    isTransparent = data[i] !== 255;
  return { isGrey: channels < 3, isTransparent };
}

/** A picture as RGB. @throws NijimiError `shape` when the number of samples does not fit the size */
export function toRgb({ width, height, channels, data }: Raster): Rgb {
  const pixels = width * height;
  if (pixels === 0 || data.length !== pixels * channels)
    throw new NijimiError(
      "shape",
      `A picture of ${width}×${height} with ${channels} channels needs ${pixels * channels} samples; got ${data.length}.`,
    );
  if (channels === 3)
    return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
  const out = new Uint8Array(pixels * 3);
  const hasAlpha = channels !== 1;
  for (let pixel = 0; pixel < pixels; pixel++) {
    const at = pixel * channels;
    const cover = hasAlpha ? data[at + channels - 1] / 255 : 1;
    for (let c = 0; c < 3; c++) {
      const value = data[channels < 3 ? at : at + c];
      out[pixel * 3 + c] = Math.round(value * cover + 255 * (1 - cover));
    }
  }
  return { width, height, data: out };
}

/** Pictures of one size as uint8 [N, 3, H, W]. */
export function stackRgb(pictures: readonly Rgb[]): Tensor<"uint8"> {
  const [{ width, height }] = pictures;
  const pixels = width * height;
  const out = new Uint8Array(pictures.length * 3 * pixels);
  pictures.forEach(({ data }, n) => {
    for (let c = 0; c < 3; c++) {
      const plane = (n * 3 + c) * pixels;
      for (let i = 0; i < pixels; i++) out[plane + i] = data[i * 3 + c];
    }
  });
  return tensor("uint8", [pictures.length, 3, height, width], out);
}

/** Positions of pictures by size, in order of first appearance. */
export function groupBySize(pictures: readonly Rgb[]): number[][] {
  const groups = new Map<string, number[]>();
  pictures.forEach(({ width, height }, i) => {
    const key = `${width}×${height}`;
    groups.set(key, [...(groups.get(key) ?? []), i]);
  });
  return [...groups.values()];
}
