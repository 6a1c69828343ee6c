/** Resizing images and planes of floats with Pillow's results. */
import { NijimiError, unknownName } from "../../errors.ts";
import { createImage, hasAlpha, sampleArray, type Image } from "../image.ts";
import { FILTERS, tapsOf } from "./filters.ts";
import { resample, type Plane } from "./pillow.ts";

/** Pillow's names, in lower case. */
export const RESIZE_FILTERS = [
  "nearest",
  "box",
  "bilinear",
  "hamming",
  "bicubic",
  "lanczos",
] as const;

export type ResizeFilter = (typeof RESIZE_FILTERS)[number];

/** Left, top, right and bottom edge, in pixels of the input; fractions are allowed. */
export type Box = readonly [left: number, top: number, right: number, bottom: number];

export interface ResizeOptions {
  readonly width: number;
  readonly height: number;
  /** @default "bicubic" */
  readonly filter?: ResizeFilter;
  /** The part to resize. @default the whole image */
  readonly box?: Box;
}

/**
 * `Image.resize` of Pillow: the same samples, for 8 and 16 bits, with alpha premultiplied meanwhile.
 *
 * @throws NijimiError `option` for an unknown filter, a size below 1 or a box outside the image
 * @example
 * const small = resizeImage(image, { width: 256, height: 256, filter: "lanczos" });
 */
export function resizeImage(image: Image, options: ResizeOptions): Image {
  const { filter, box } = checked(image, options);
  const { width, height } = options;
  const whole = box[0] === 0 && box[1] === 0 && box[2] === image.width && box[3] === image.height;
  if (whole && width === image.width && height === image.height) return image;
  if (filter === "nearest") return nearest(image, width, height, box);
  const premultiplied = hasAlpha(image) ? premultiply(image) : image;
  const { data } = resampleBox<Uint8Array | Uint16Array>(premultiplied, width, height, filter, box);
  const resized = createImage(width, height, image.channels, data);
  return hasAlpha(image) ? unpremultiply(resized) : resized;
}

/** The same for floats (Pillow's mode F, one channel at a time): no rounding, no clamping. */
export function resizeFloats(
  plane: Plane<Float32Array>,
  options: ResizeOptions,
): Plane<Float32Array> {
  const { filter, box } = checked(plane, options);
  if (filter === "nearest")
    throw new NijimiError(
      "unsupported",
      "resizeFloats: the filter nearest is for images; take box.",
    );
  return resampleBox(plane, options.width, options.height, filter, box);
}

function resampleBox<T extends Uint8Array | Uint16Array | Float32Array>(
  plane: Plane<T>,
  width: number,
  height: number,
  filter: Exclude<ResizeFilter, "nearest">,
  [left, top, right, bottom]: Box,
): Plane<T> {
  const across = width !== plane.width || left !== 0 || right !== plane.width;
  const down = height !== plane.height || top !== 0 || bottom !== plane.height;
  return resample(
    plane,
    across ? tapsOf(FILTERS[filter], plane.width, left, right, width) : undefined,
    down ? tapsOf(FILTERS[filter], plane.height, top, bottom, height) : undefined,
  );
}

function checked(
  { width: inWidth, height: inHeight }: { readonly width: number; readonly height: number },
  { width, height, filter = "bicubic", box = [0, 0, inWidth, inHeight] }: ResizeOptions,
): { readonly filter: ResizeFilter; readonly box: Box } {
  if (!RESIZE_FILTERS.includes(filter)) throw unknownName("resize filter", filter, RESIZE_FILTERS);
  if (!(Number.isSafeInteger(width) && Number.isSafeInteger(height) && width >= 1 && height >= 1))
    throw new NijimiError(
      "option",
      `resize: to ${width}×${height}; both must be whole and at least 1.`,
    );
  const [left, top, right, bottom] = box.map(Math.fround); // as Pillow keeps them
  if (
    !(
      left >= 0 &&
      top >= 0 &&
      right <= inWidth &&
      bottom <= inHeight &&
      left < right &&
      top < bottom
    )
  )
    throw new NijimiError(
      "option",
      `resize: the box [${box}] is not a part of ${inWidth}×${inHeight}.`,
    );
  return { filter, box: [left, top, right, bottom] };
}

/** For 8 bits Pillow adds up the step, and its error, from pixel to pixel. */
function nearest(
  image: Image,
  width: number,
  height: number,
  [left, top, right, bottom]: Box,
): Image {
  const places = (from: number, to: number, count: number): Int32Array => {
    const step = (to - from) / count;
    const found = new Int32Array(count);
    let sum = from + step * 0.5;
    for (let i = 0; i < count; i++, sum += step)
      found[i] = image.bitDepth === 8 ? sum : (i + 0.5) * step + from;
    return found;
  };
  const [xs, ys] = [places(left, right, width), places(top, bottom, height)];
  const { channels, data } = image;
  const out = sampleArray(image, width * height * channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        out[(y * width + x) * channels + c] =
          data[
            (Math.min(ys[y], image.height - 1) * image.width + Math.min(xs[x], image.width - 1)) *
              channels +
              c
          ];
  return createImage(width, height, channels, out);
}

/** Colour times alpha, with Pillow's rounding for 8 bits. */
function premultiply({ width, height, channels, data, bitDepth }: Image): Image {
  const out = data.slice();
  for (let at = 0; at < data.length; at += channels) {
    const alpha = data[at + channels - 1];
    for (let c = 0; c < channels - 1; c++)
      out[at + c] =
        bitDepth === 8
          ? multiplyDivide255(data[at + c], alpha)
          : Math.round((data[at + c] * alpha) / 65535);
  }
  return createImage(width, height, channels, out);
}

/** Colour divided by alpha; where that is 0 or full, colour as it is. */
function unpremultiply({ width, height, channels, data, bitDepth }: Image): Image {
  const top = bitDepth === 8 ? 255 : 65535;
  const out = data.slice();
  for (let at = 0; at < data.length; at += channels) {
    const alpha = data[at + channels - 1];
    if (alpha === 0 || alpha === top) continue;
    for (let c = 0; c < channels - 1; c++)
      out[at + c] = Math.min(top, Math.floor((top * data[at + c]) / alpha));
  }
  return createImage(width, height, channels, out);
}

/** a · b / 255, rounded. */
function multiplyDivide255(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}
