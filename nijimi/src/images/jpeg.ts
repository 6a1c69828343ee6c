/** JPEG files as segments: finding size and EXIF, putting EXIF in. Pixels are the platform's business. */
import { NijimiError } from "../errors.ts";
import { concatenate, latin1 } from "./bytes.ts";
import { checkSize, type ImageLimits } from "./limits.ts";

export interface JpegSegment {
  /** The byte after FF. */
  readonly marker: number;
  readonly data: Uint8Array;
  /** Where the segment's FF is, and where it ends. */
  readonly start: number;
  readonly end: number;
}

const SOS = 0xda;
const APP1 = 0xe1;
const EXIF = "Exif\0\0";

/** True for bytes that begin as a JPEG. */
export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

/**
 * The segments before the first scan, and that scan's header.
 *
 * @throws NijimiError `format` when a segment is too short, reaches beyond the file, or there is no scan
 */
export function readSegments(bytes: Uint8Array): JpegSegment[] {
  if (!isJpeg(bytes))
    throw new NijimiError("format", "JPEG: the file does not begin with JPEG's signature.");
  const segments: JpegSegment[] = [];
  for (let at = 2; ;) {
    if (bytes[at] !== 0xff)
      throw new NijimiError(
        "format",
        `JPEG: byte ${at} should begin a segment; the file is damaged.`,
      );
    while (bytes[at + 1] === 0xff) at++; // fill bytes
    const marker = bytes[at + 1];
    if (marker === undefined || marker === 0xd9)
      throw new NijimiError(
        "format",
        "JPEG: the file ends before its pixels; it is cut off or damaged.",
      );
    const length = (bytes[at + 2] << 8) | bytes[at + 3];
    if (length < 2 || !(at + 2 + length <= bytes.length))
      throw new NijimiError(
        "format",
        `JPEG: a segment of ${length} bytes at byte ${at} of ${bytes.length}; the file is damaged.`,
      );
    segments.push({
      marker,
      data: bytes.subarray(at + 4, at + 2 + length),
      start: at,
      end: at + 2 + length,
    });
    if (marker === SOS) return segments;
    at += 2 + length;
  }
}

/** What a JPEG says of itself before its pixels. */
export interface JpegHeader {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 colour, 4 CMYK. */
  readonly components: number;
  /** The TIFF structure of its EXIF. */
  readonly exif?: Uint8Array;
}

/** Reads size and EXIF. @throws NijimiError `format` when damaged, `memory` when larger than allowed */
export function readJpegHeader(bytes: Uint8Array, limits: ImageLimits): JpegHeader {
  const segments = readSegments(bytes);
  const frame = segments.find(({ marker }) => isFrame(marker));
  if (!frame || frame.data.length < 6)
    throw new NijimiError(
      "format",
      "JPEG: there is no frame header (SOF) before the pixels; the file is damaged.",
    );
  const [, heightHigh, heightLow, widthHigh, widthLow, components] = frame.data;
  const [width, height] = [(widthHigh << 8) | widthLow, (heightHigh << 8) | heightLow];
  checkSize("JPEG", width, height, limits);
  const exif = segments.find(isExif)?.data.subarray(EXIF.length);
  return { width, height, components, ...(exif && { exif }) };
}

/** SOF0 to SOF15 without the tables and the arithmetic conditioning that lie between them. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

function isExif({ marker, data }: JpegSegment): boolean {
  return marker === APP1 && latin1(data, 0, EXIF.length) === EXIF;
}

/**
 * The file with other EXIF, or without.
 *
 * @throws NijimiError `memory` when it does not fit into a segment (65,527 bytes)
 */
export function withJpegExif(bytes: Uint8Array, exif: Uint8Array | undefined): Uint8Array {
  const segments = readSegments(bytes);
  const kept = segments.filter((segment) => !isExif(segment));
  const head: Uint8Array[] = [bytes.subarray(0, 2)];
  if (exif) {
    const length = 2 + EXIF.length + exif.length;
    if (length > 0xffff)
      throw new NijimiError(
        "memory",
        `JPEG: ${exif.length} bytes of EXIF do not fit; a JPEG holds 65,527. Take PNG for so much text.`,
      );
    head.push(
      Uint8Array.of(0xff, APP1, length >> 8, length & 0xff),
      new TextEncoder().encode(EXIF),
      exif,
    );
  }
  // JFIF wants to be first
  const jfif = kept[0]?.marker === 0xe0 ? [bytes.subarray(kept[0].start, kept[0].end)] : [];
  const rest = kept.slice(jfif.length).map(({ start, end }) => bytes.subarray(start, end));
  return concatenate([
    head[0],
    ...jfif,
    ...head.slice(1),
    ...rest,
    bytes.subarray(segments.at(-1)!.end),
  ]);
}
