/**
 * Images as plain data: rows from top to bottom, pixels from left to right, channels interleaved, alpha not
 * premultiplied, no colour profile (numbers are taken as they are in the file).
 */
import { NijimiError } from "../errors.ts";

/** Grey, grey with alpha, RGB, RGB with alpha. */
export type Channels = 1 | 2 | 3 | 4;

/** Bits of a sample; 8 are kept as bytes, 16 as 16-bit words. */
export type BitDepth = 8 | 16;

/** A picture. `data.length` is width × height × channels. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: Channels;
  readonly bitDepth: BitDepth;
  readonly data: Uint8Array | Uint16Array;
}

/**
 * An image over `data`, which it does not copy; 16 bits when the data are.
 *
 * @throws NijimiError `shape` when the number of samples does not fit
 */
export function createImage(
  width: number,
  height: number,
  channels: Channels,
  data: Uint8Array | Uint16Array,
): Image {
  if (!(Number.isSafeInteger(width) && Number.isSafeInteger(height) && width > 0 && height > 0))
    throw new NijimiError(
      "shape",
      `image: ${width}×${height} is no size; both must be whole and positive.`,
    );
  if (data.length !== width * height * channels)
    throw new NijimiError(
      "shape",
      `image: ${width}×${height} with ${channels} channels needs ${width * height * channels} samples; got ${data.length}.`,
    );
  return { width, height, channels, bitDepth: data instanceof Uint16Array ? 16 : 8, data };
}

/** True for images with alpha. */
export function hasAlpha({ channels }: Image): boolean {
  return channels === 2 || channels === 4;
}

/** Largest value of a sample: 255 or 65535. */
export function maxSample({ bitDepth }: Pick<Image, "bitDepth">): number {
  return bitDepth === 8 ? 255 : 65535;
}

/** The image with 8 or 16 bits a sample; from 16 to 8 by rounding, from 8 to 16 by ×257. */
export function toBitDepth(image: Image, bitDepth: BitDepth): Image {
  if (image.bitDepth === bitDepth) return image;
  const { width, height, channels, data } = image;
  const converted =
    bitDepth === 8
      ? Uint8Array.from(data, (sample) => Math.round(sample / 257))
      : Uint16Array.from(data, (sample) => sample * 257);
  return createImage(width, height, channels, converted);
}

/**
 * The image with as many channels. Alpha is dropped, not blended (see {@link flatten}), or added as opaque; colour
 * becomes grey by ITU-R 601-2 luma with Pillow's rounding.
 */
export function toChannels(image: Image, channels: Channels): Image {
  if (image.channels === channels) return image;
  const { width, height, data } = image;
  const [from, colour] = [image.channels, channels >= 3];
  const alpha = channels === 2 || channels === 4;
  const top = maxSample(image);
  const out = sampleArray(image, width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const at = pixel * from;
    const to = pixel * channels;
    if (!colour) out[to] = from < 3 ? data[at] : luma(data[at], data[at + 1], data[at + 2]);
    else for (let c = 0; c < 3; c++) out[to + c] = from < 3 ? data[at] : data[at + c];
    if (alpha) out[to + channels - 1] = hasAlpha(image) ? data[at + from - 1] : top;
  }
  return createImage(width, height, channels, out);
}

/** The image on a background of one colour, without alpha. @param background samples of the image's own depth */
export function flatten(image: Image, background: readonly number[]): Image {
  if (!hasAlpha(image)) return image;
  const { width, height, channels, data } = image;
  const colours = (channels - 1) as Channels;
  if (background.length !== colours)
    throw new NijimiError(
      "shape",
      `flatten: a background of ${background.length} samples; the image has ${colours} colour channels.`,
    );
  const top = maxSample(image);
  const out = sampleArray(image, width * height * colours);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const alpha = data[pixel * channels + colours] / top;
    for (let c = 0; c < colours; c++)
      out[pixel * colours + c] = Math.round(
        data[pixel * channels + c] * alpha + background[c] * (1 - alpha),
      );
  }
  return createImage(width, height, colours, out);
}

/**
 * A rectangle of the image; what lies outside the image is black, or transparent.
 *
 * @param left may be negative
 * @param top may be negative
 */
export function crop(
  image: Image,
  left: number,
  top: number,
  width: number,
  height: number,
): Image {
  const { channels, data } = image;
  const out = sampleArray(image, width * height * channels);
  const [from, to] = [Math.max(0, left), Math.min(image.width, left + width)];
  for (let y = Math.max(0, -top); y < Math.min(height, image.height - top) && from < to; y++) {
    const row = (y + top) * image.width;
    out.set(
      data.subarray((row + from) * channels, (row + to) * channels),
      (y * width + from - left) * channels,
    );
  }
  return createImage(width, height, channels, out);
}

/** Zeroed samples of the image's depth. */
export function sampleArray(
  { bitDepth }: Pick<Image, "bitDepth">,
  length: number,
): Uint8Array | Uint16Array {
  return bitDepth === 8 ? new Uint8Array(length) : new Uint16Array(length);
}

/** Pillow's `convert("L")`. */
function luma(red: number, green: number, blue: number): number {
  return Math.floor((red * 19595 + green * 38470 + blue * 7471 + 0x8000) / 65536);
}
