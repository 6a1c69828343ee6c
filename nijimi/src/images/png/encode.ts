/** Writing PNG: 8 or 16 bits, grey or colour, with or without alpha; each row with the filter that suits it. */
import { zlibSync } from "fflate";
import { hasAlpha, type Image } from "../image.ts";
import { writeChunks, type Chunk } from "./chunks.ts";
import { colourNumber, type PngColour } from "./header.ts";
import { paeth } from "./scanlines.ts";

export interface EncodePngOptions {
  /** zlib's level, 0 to 9. @default 6 */
  readonly level?: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
  /** Chunks between header and pixels: texts, EXIF. @default [] */
  readonly chunks?: readonly Chunk[];
  /** The platform's own zlib. @default fflate */
  readonly deflate?: (data: Uint8Array, level: number) => Uint8Array;
}

/** Encodes an image as PNG, without loss. */
export function encodePng(
  image: Image,
  { level = 6, chunks = [], deflate }: EncodePngOptions = {},
): Uint8Array {
  const { width, height, channels, bitDepth } = image;
  const kind = `${channels < 3 ? "grey" : "rgb"}${hasAlpha(image) ? "-alpha" : ""}` as PngColour;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([bitDepth, colourNumber(kind)], 8);
  const rows = filterRows(image);
  const pixels = deflate?.(rows, level) ?? zlibSync(rows, { level });
  return writeChunks([
    { type: "IHDR", data: header },
    ...chunks,
    { type: "IDAT", data: pixels },
    { type: "IEND", data: new Uint8Array(0) },
  ]);
}

/** Rows with the filter, of five, whose differences sum to the least: the heuristic of PNG's specification. */
function filterRows({ width, height, channels, bitDepth, data }: Image): Uint8Array {
  const distance = (channels * bitDepth) / 8;
  const stride = width * distance;
  const bytes = bitDepth === 8 ? (data as Uint8Array) : bigEndian(data);
  const out = new Uint8Array(height * (stride + 1));
  const candidates = FILTERS.map(() => new Uint8Array(stride));
  let above = new Uint8Array(stride);
  for (let row = 0; row < height; row++) {
    const line = bytes.subarray(row * stride, (row + 1) * stride);
    let [best, least] = [0, Infinity];
    FILTERS.forEach((filter, number) => {
      filter(line, above, distance, candidates[number]);
      const sum = sumOfDifferences(candidates[number]);
      if (sum < least) [best, least] = [number, sum];
    });
    out[row * (stride + 1)] = best;
    out.set(candidates[best], row * (stride + 1) + 1);
    above = line as Uint8Array<ArrayBuffer>;
  }
  return out;
}

type Filter = (line: Uint8Array, above: Uint8Array, distance: number, out: Uint8Array) => void;

/** By number: none, sub, up, average, Paeth. */
const FILTERS: readonly Filter[] = [
  (line, _, __, out) => out.set(line),
  (line, _, distance, out) => {
    out.set(line.subarray(0, distance));
    for (let i = distance; i < line.length; i++) out[i] = line[i] - line[i - distance];
  },
  (line, above, _, out) => {
    for (let i = 0; i < line.length; i++) out[i] = line[i] - above[i];
  },
  (line, above, distance, out) => {
    for (let i = 0; i < distance; i++) out[i] = line[i] - (above[i] >> 1);
    for (let i = distance; i < line.length; i++)
      out[i] = line[i] - ((line[i - distance] + above[i]) >> 1);
  },
  (line, above, distance, out) => {
    for (let i = 0; i < distance; i++) out[i] = line[i] - above[i];
    for (let i = distance; i < line.length; i++)
      out[i] = line[i] - paeth(line[i - distance], above[i], above[i - distance]);
  },
];

/** Differences are bytes taken as signed. */
function sumOfDifferences(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += bytes[i] < 128 ? bytes[i] : 256 - bytes[i];
  return sum;
}

function bigEndian(samples: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(2 * samples.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < samples.length; i++) view.setUint16(2 * i, samples[i]);
  return bytes;
}
