/** A PNG's rows: inflating them within bounds, and undoing the filter of each. */
import { Unzlib } from "fflate";
import { NijimiError } from "../../errors.ts";

/** How much compressed data is inflated at a time, which can become a thousand times as much: little for small pictures. */
function stepFor(size: number): number {
  return Math.min(65_536, Math.max(512, size >> 6));
}

/**
 * The first `size` bytes of what zlib streams in pieces inflate to. What comes after them is ignored, so that a
 * bomb takes no more memory than the picture.
 *
 * @throws NijimiError `format` when the data are no zlib stream or too short
 */
export function inflateBounded(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const out = new Uint8Array(size);
  const step = stepFor(size);
  let filled = 0;
  const stream = new Unzlib((part) => {
    out.set(part.subarray(0, size - filled), filled);
    filled = Math.min(size, filled + part.length);
  });
  try {
    for (const piece of pieces)
      for (let at = 0; at < piece.length && filled < size; at += step)
        stream.push(piece.subarray(at, at + step));
    if (filled < size) stream.push(new Uint8Array(0), true);
  } catch (cause) {
    throw new NijimiError(
      "format",
      `PNG: the compressed data are damaged: ${(cause as Error).message}.`,
      { cause },
    );
  }
  if (filled < size)
    throw new NijimiError(
      "format",
      `PNG: ${filled} bytes of pixels; the header promises ${size}. The file is damaged.`,
    );
  return out;
}

/**
 * Undoes the filters of `rows` rows in place. Each is a byte that names the filter, and then `stride` bytes.
 *
 * @param from where the first row begins
 * @param pixelBytes distance, at least 1, to the same byte of the pixel to the left
 * @throws NijimiError `format` for a filter that does not exist
 */
export function unfilter(
  data: Uint8Array,
  from: number,
  rows: number,
  stride: number,
  pixelBytes: number,
): void {
  for (let row = 0; row < rows; row++) {
    const start = from + row * (stride + 1);
    const line = data.subarray(start + 1, start + 1 + stride);
    const above = row === 0 ? undefined : data.subarray(start - stride, start);
    UNFILTER[data[start]]?.(line, above ?? new Uint8Array(stride), pixelBytes);
    if (data[start] > 4)
      throw new NijimiError(
        "format",
        `PNG: row ${row} has filter ${data[start]}; expected 0 to 4. The file is damaged.`,
      );
  }
}

type Unfilter = (line: Uint8Array, above: Uint8Array, distance: number) => void;

/** By number: none, sub, up, average, Paeth. */
const UNFILTER: readonly (Unfilter | undefined)[] = [
  undefined,
  (line, _, distance) => {
    for (let i = distance; i < line.length; i++) line[i] += line[i - distance];
  },
  (line, above) => {
    for (let i = 0; i < line.length; i++) line[i] += above[i];
  },
  (line, above, distance) => {
    for (let i = 0; i < line.length; i++)
      line[i] += ((i < distance ? 0 : line[i - distance]) + above[i]) >> 1;
  },
  (line, above, distance) => {
    for (let i = 0; i < distance && i < line.length; i++) line[i] += above[i];
    for (let i = distance; i < line.length; i++)
      line[i] += paeth(line[i - distance], above[i], above[i - distance]);
  },
];

/** Of left, up and upper left the one nearest to left + up − upper left. */
export function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - corner - corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
