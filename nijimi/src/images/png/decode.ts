/**
 * Reading PNG: every depth and kind of colour, interlaced or not, transparency by `tRNS`. Gamma and colour profiles
 * are left alone, as Pillow leaves them. The same code in Node and in the browser, whose canvas would round colours
 * under alpha and 16 bits away.
 */
import { NijimiError } from "../../errors.ts";
import { concatenate } from "../bytes.ts";
import { createImage, type Channels, type Image } from "../image.ts";
import type { ImageLimits } from "../limits.ts";
import { readChunks, type Chunk } from "./chunks.ts";
import { readHeader, samplesOf, type PngHeader } from "./header.ts";
import { inflateBounded, unfilter } from "./scanlines.ts";

/** Adam7: first column and row, and distances, of each pass. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Rows of a pass: where its pixels go, and how long its rows are. */
interface Pass {
  readonly left: number;
  readonly top: number;
  readonly across: number;
  readonly down: number;
  readonly width: number;
  readonly height: number;
  /** Bytes of a row without its filter. */
  readonly stride: number;
}

export interface DecodePngOptions extends ImageLimits {
  /** The platform's own zlib: `size` bytes, or undefined where it gives other than that. @default fflate */
  readonly inflate?: (data: Uint8Array, size: number) => Uint8Array | undefined;
}

/**
 * Decodes a PNG. Palettes become colours, depths below 8 become 8, 16 stay 16.
 *
 * @throws NijimiError `format` when the file is damaged, `memory` when the picture is larger than allowed
 */
export function decodePng(bytes: Uint8Array, options: DecodePngOptions = {}): Image {
  const chunks = readChunks(bytes);
  const header = readHeader(chunks, options);
  const pieces = chunks.filter(({ type }) => type === "IDAT").map(({ data }) => data);
  if (pieces.length === 0)
    throw new NijimiError("format", "PNG: there are no pixels (IDAT) in the file.");
  const unknown = chunks.find(
    ({ type }) => /^[A-Z]/.test(type) && !["IHDR", "PLTE", "IDAT", "IEND"].includes(type),
  );
  if (unknown)
    throw new NijimiError(
      "unsupported",
      `PNG: the chunk ${unknown.type} must be understood, and is not known.`,
    );
  const passes = passesOf(header);
  const size = passes.reduce((sum, { height, stride }) => sum + height * (stride + 1), 0);
  const rows = options.inflate?.(concatenate(pieces), size) ?? inflateBounded(pieces, size);
  return colour(header, samples(header, passes, rows), chunks);
}

function passesOf({ width, height, depth, colour: kind, interlaced }: PngHeader): Pass[] {
  const starts = interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const);
  return starts
    .map(([left, top, across, down]) => {
      const [columns, rows] = [
        Math.ceil((width - left) / across),
        Math.ceil((height - top) / down),
      ];
      return {
        left,
        top,
        across,
        down,
        width: columns,
        height: rows,
        stride: Math.ceil((columns * samplesOf(kind) * depth) / 8),
      };
    })
    .filter((pass) => pass.width > 0 && pass.height > 0);
}

/** All samples as numbers in the file's own range, in the picture's order. */
function samples(
  header: PngHeader,
  passes: readonly Pass[],
  rows: Uint8Array,
): Uint8Array | Uint16Array {
  const { width, height, depth } = header;
  const count = samplesOf(header.colour);
  const out =
    depth === 16 ? new Uint16Array(width * height * count) : new Uint8Array(width * height * count);
  let from = 0;
  for (const pass of passes) {
    unfilter(rows, from, pass.height, pass.stride, Math.max(1, (count * depth) >> 3));
    for (let row = 0; row < pass.height; row++, from += pass.stride + 1) {
      const line = rows.subarray(from + 1, from + 1 + pass.stride);
      const target = (pass.top + row * pass.down) * width + pass.left;
      if (pass.across === 1 && depth === 8) out.set(line, target * count);
      else
        for (let column = 0; column < pass.width; column++)
          for (let s = 0; s < count; s++)
            out[(target + column * pass.across) * count + s] = sampleAt(
              line,
              column * count + s,
              depth,
            );
    }
  }
  return out;
}

function sampleAt(line: Uint8Array, index: number, depth: number): number {
  if (depth === 8) return line[index];
  if (depth === 16) return (line[2 * index] << 8) | line[2 * index + 1];
  const bit = index * depth;
  return (line[bit >> 3] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

/** Samples as an image: palette looked up, small depths scaled up, one transparent colour as alpha. */
function colour(
  { width, height, depth, colour: kind }: PngHeader,
  data: Uint8Array | Uint16Array,
  chunks: readonly Chunk[],
): Image {
  const transparency = chunks.find(({ type }) => type === "tRNS")?.data;
  if (kind === "palette")
    return lookUp(
      width,
      height,
      data,
      chunks.find(({ type }) => type === "PLTE")?.data,
      transparency,
    );
  const channels = samplesOf(kind) as Channels;
  const scale = depth < 8 ? 255 / ((1 << depth) - 1) : 1;
  if (!transparency || kind === "grey-alpha" || kind === "rgb-alpha")
    return createImage(
      width,
      height,
      channels,
      scale === 1 ? data : data.map((sample) => sample * scale),
    );
  if (transparency.length < 2 * channels)
    throw new NijimiError(
      "format",
      `PNG: a transparent colour (tRNS) of ${transparency.length} bytes; expected ${2 * channels}.`,
    );
  const key = Array.from(
    { length: channels },
    (_, c) => (transparency[2 * c] << 8) | transparency[2 * c + 1],
  );
  const out =
    depth === 16
      ? new Uint16Array(width * height * (channels + 1))
      : new Uint8Array(width * height * (channels + 1));
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let c = 0; c < channels; c++)
      out[pixel * (channels + 1) + c] = data[pixel * channels + c] * scale;
    const hidden = key.every((value, c) => data[pixel * channels + c] === value);
    out[pixel * (channels + 1) + channels] = hidden ? 0 : depth === 16 ? 65535 : 255;
  }
  return createImage(width, height, (channels + 1) as Channels, out);
}

function lookUp(
  width: number,
  height: number,
  indices: Uint8Array | Uint16Array,
  palette: Uint8Array | undefined,
  transparency: Uint8Array | undefined,
): Image {
  if (!palette || palette.length % 3 !== 0 || palette.length === 0)
    throw new NijimiError(
      "format",
      `PNG: a picture by palette with ${palette ? `a palette of ${palette.length} bytes` : "no palette"}; the file is damaged.`,
    );
  const channels = transparency ? 4 : 3;
  const out = new Uint8Array(width * height * channels);
  indices.forEach((index, pixel) => {
    if (3 * index >= palette.length)
      throw new NijimiError(
        "format",
        `PNG: colour ${index} of a palette of ${palette.length / 3}; the file is damaged.`,
      );
    out.set(palette.subarray(3 * index, 3 * index + 3), pixel * channels);
    if (transparency) out[pixel * channels + 3] = transparency[index] ?? 255;
  });
  return createImage(width, height, channels, out);
}
