/** WebP files as RIFF chunks: finding size, alpha and EXIF, putting EXIF in. Pixels are the platform's business. */
import { NijimiError } from "../errors.ts";
import { concatenate, fourLetters } from "./bytes.ts";
import { checkSize, type ImageLimits } from "./limits.ts";

interface RiffChunk {
  readonly type: string;
  readonly data: Uint8Array;
}

export interface WebpHeader {
  readonly width: number;
  readonly height: number;
  readonly alpha: boolean;
  /** False also for animations, whose frames may be either. */
  readonly lossless: boolean;
  /** The TIFF structure of its EXIF. */
  readonly exif?: Uint8Array;
}

/** Flags of VP8X. */
const EXIF_FLAG = 8;
const ALPHA_FLAG = 16;

/** True for bytes that begin as a WebP. */
export function isWebp(bytes: Uint8Array): boolean {
  return fourLetters(bytes, 0) === "RIFF" && fourLetters(bytes, 8) === "WEBP";
}

/**
 * Reads size, alpha and EXIF.
 *
 * @throws NijimiError `format` when a size reaches beyond the file or a stream's signature is wrong, `memory` when
 * the picture is larger than allowed
 */
export function readWebpHeader(bytes: Uint8Array, limits: ImageLimits): WebpHeader {
  const chunks = readRiff(bytes);
  const extended = chunks.find(({ type }) => type === "VP8X");
  const stream = chunks.find(({ type }) => type === "VP8 " || type === "VP8L" || type === "ANMF");
  if (!stream)
    throw new NijimiError("format", "WebP: there is no picture (VP8, VP8L) in the file.");
  const own = stream.type === "ANMF" ? undefined : readStream(stream);
  const canvas = extended ? readCanvas(extended) : own;
  if (!canvas)
    throw new NijimiError(
      "format",
      "WebP: an animation without its header (VP8X); the file is damaged.",
    );
  checkSize("WebP", canvas.width, canvas.height, limits);
  if (own) checkSize("WebP", own.width, own.height, limits);
  const exif = chunks.find(({ type }) => type === "EXIF")?.data;
  return {
    ...canvas,
    lossless: own?.lossless ?? false,
    ...(exif && { exif: withoutJpegPrefix(exif) }),
  };
}

function readRiff(bytes: Uint8Array): RiffChunk[] {
  if (!isWebp(bytes))
    throw new NijimiError("format", "WebP: the file does not begin with WebP's signature.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = view.getUint32(4, true);
  if (size + 8 > bytes.length)
    throw new NijimiError(
      "format",
      `WebP: the file claims ${size + 8} bytes and has ${bytes.length}; it is cut off.`,
    );
  const chunks: RiffChunk[] = [];
  for (let at = 12; at + 8 <= size + 8;) {
    const length = view.getUint32(at + 4, true);
    if (length > size - at)
      throw new NijimiError(
        "format",
        `WebP: the chunk ${JSON.stringify(fourLetters(bytes, at))} claims ${length} bytes and ${size - at} are left; the file is damaged.`,
      );
    chunks.push({ type: fourLetters(bytes, at), data: bytes.subarray(at + 8, at + 8 + length) });
    at += 8 + length + (length & 1);
  }
  return chunks;
}

function readCanvas({ data }: RiffChunk): WebpHeader {
  if (data.length < 10)
    throw new NijimiError("format", `WebP: a header (VP8X) of ${data.length} bytes; expected 10.`);
  return {
    width: 1 + uint24(data, 4),
    height: 1 + uint24(data, 7),
    alpha: (data[0] & ALPHA_FLAG) !== 0,
    lossless: false,
  };
}

/** The size that a lossy or lossless stream states. */
function readStream({ type, data }: RiffChunk): WebpHeader {
  if (type === "VP8L") {
    if (data.length < 5 || data[0] !== 0x2f)
      throw new NijimiError(
        "format",
        "WebP: the lossless stream does not begin with its signature; the file is damaged.",
      );
    const bits = data[1] | (data[2] << 8) | (data[3] << 16) | (data[4] << 24);
    return {
      width: 1 + (bits & 0x3fff),
      height: 1 + ((bits >>> 14) & 0x3fff),
      alpha: ((bits >>> 28) & 1) === 1,
      lossless: true,
    };
  }
  if (data.length < 10 || data[3] !== 0x9d || data[4] !== 0x01 || data[5] !== 0x2a)
    throw new NijimiError(
      "format",
      "WebP: the lossy stream does not begin with its start code; the file is damaged.",
    );
  return {
    width: (data[6] | (data[7] << 8)) & 0x3fff,
    height: (data[8] | (data[9] << 8)) & 0x3fff,
    alpha: false,
    lossless: false,
  };
}

/** The file with other EXIF, or without. */
export function withWebpExif(bytes: Uint8Array, exif: Uint8Array | undefined): Uint8Array {
  const { width, height, alpha } = readWebpHeader(bytes, { maxPixels: Infinity });
  const chunks = readRiff(bytes).filter(({ type }) => type !== "EXIF");
  const flags =
    (chunks.find(({ type }) => type === "VP8X")?.data[0] ?? (alpha ? ALPHA_FLAG : 0)) & ~EXIF_FLAG;
  const header = new Uint8Array(10);
  header[0] = flags | (exif ? EXIF_FLAG : 0);
  header.set(
    [0, 8, 16].map((shift) => ((width - 1) >> shift) & 0xff),
    4,
  );
  header.set(
    [0, 8, 16].map((shift) => ((height - 1) >> shift) & 0xff),
    7,
  );
  const rest = chunks.filter(({ type }) => type !== "VP8X");
  return writeRiff([
    { type: "VP8X", data: header },
    ...rest,
    ...(exif ? [{ type: "EXIF", data: exif }] : []),
  ]);
}

function writeRiff(chunks: readonly RiffChunk[]): Uint8Array {
  const parts = chunks.flatMap(({ type, data }) => {
    const head = new Uint8Array(8);
    head.set(Array.from(type, (letter) => letter.charCodeAt(0)));
    new DataView(head.buffer).setUint32(4, data.length, true);
    return [head, data, new Uint8Array(data.length & 1)];
  });
  const head = new TextEncoder().encode("RIFF\0\0\0\0WEBP");
  const out = concatenate([head, ...parts]);
  new DataView(out.buffer).setUint32(4, out.length - 8, true);
  return out;
}

/** Some writers put JPEG's prefix before the TIFF structure. */
function withoutJpegPrefix(exif: Uint8Array): Uint8Array {
  return fourLetters(exif, 0) === "Exif" ? exif.subarray(6) : exif;
}

function uint24(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
}
