/** Several pictures of one size as one: contact sheets, training previews. */
import { NijimiError } from "../errors.ts";
import {
  createImage,
  maxSample,
  sampleArray,
  toBitDepth,
  toChannels,
  type Channels,
  type Image,
} from "./image.ts";

export interface GridOptions {
  /** Pictures in a row. @default the square root of their number, rounded up */
  readonly columns?: number;
  /** Pixels between pictures. @default 0 */
  readonly gap?: number;
  /** Grey of gaps and empty places, 0 (black) to 1 (white). @default 1 */
  readonly background?: number;
}

/**
 * Tiles images row by row. Channels and depth become those of the richest image.
 *
 * @throws NijimiError `shape` when there is no image or the sizes differ, `option` for a columns or gap that is no count
 * @example
 * const sheet = tileImages(previews, { columns: 4, gap: 2 });
 */
export function tileImages(images: readonly Image[], options: GridOptions = {}): Image {
  const { columns = Math.ceil(Math.sqrt(images.length)), gap = 0, background = 1 } = options;
  const [first] = images;
  if (!first) throw new NijimiError("shape", "tileImages: there is no image.");
  const { width, height } = first;
  const other = images.find((image) => image.width !== width || image.height !== height);
  if (other)
    throw new NijimiError(
      "shape",
      `tileImages: images of ${width}×${height} and ${other.width}×${other.height}; resize them to one size.`,
    );
  if (!(Number.isSafeInteger(columns) && columns >= 1 && Number.isSafeInteger(gap) && gap >= 0))
    throw new NijimiError(
      "option",
      `tileImages: ${columns} columns with a gap of ${gap}; expected whole numbers from 1 and from 0.`,
    );
  const channels = richestChannels(images);
  const bitDepth = images.some((image) => image.bitDepth === 16) ? 16 : 8;
  const rows = Math.ceil(images.length / columns);
  const [outWidth, outHeight] = [columns * (width + gap) - gap, rows * (height + gap) - gap];
  const out = sampleArray({ bitDepth }, outWidth * outHeight * channels).fill(
    Math.round(background * maxSample({ bitDepth })),
  );
  images.forEach((image, i) => {
    const { data } = toChannels(toBitDepth(image, bitDepth), channels);
    const left = (i % columns) * (width + gap);
    const top = Math.floor(i / columns) * (height + gap);
    for (let y = 0; y < height; y++)
      out.set(
        data.subarray(y * width * channels, (y + 1) * width * channels),
        ((top + y) * outWidth + left) * channels,
      );
  });
  return createImage(outWidth, outHeight, channels, out);
}

/** Colour if any has colour, alpha if any has alpha. */
function richestChannels(images: readonly Image[]): Channels {
  const colour = images.some(({ channels }) => channels >= 3);
  const alpha = images.some(({ channels }) => channels % 2 === 0);
  return ((colour ? 3 : 1) + (alpha ? 1 : 0)) as Channels;
}
