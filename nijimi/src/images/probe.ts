/** What a picture's file says of itself, read without decoding it. */
import { NijimiError } from "../errors.ts";
import { isAvif, readAvifHeader } from "./avif.ts";
import { fourLetters } from "./bytes.ts";
import { orientationOf } from "./exif.ts";
import type { Channels } from "./image.ts";
import { isJpeg, readJpegHeader } from "./jpeg.ts";
import type { ImageLimits } from "./limits.ts";
import { isPng, readChunks } from "./png/chunks.ts";
import { readHeader } from "./png/header.ts";
import { isWebp, readWebpHeader } from "./webp.ts";

/** Formats that are read and written. */
export const IMAGE_FORMATS = ["png", "jpeg", "webp", "avif"] as const;

export type ImageFormat = (typeof IMAGE_FORMATS)[number];

export interface ImageInfo {
  readonly format: ImageFormat;
  /** As stored, before orientation is applied. */
  readonly width: number;
  readonly height: number;
  /** Channels of the decoded picture; unknown for AVIF. */
  readonly channels?: Channels;
  /** How EXIF wants it turned, 1 (not at all) to 8. */
  readonly orientation: number;
  /** The TIFF structure of its EXIF. */
  readonly exif?: Uint8Array;
}

/** Formats that are recognised in order to be refused by name. */
const FOREIGN: readonly (readonly [name: string, test: (bytes: Uint8Array) => boolean])[] = [
  ["GIF", (bytes) => fourLetters(bytes, 0) === "GIF8"],
  ["TIFF", (bytes) => ["II*\0", "MM\0*"].includes(fourLetters(bytes, 0))],
  ["BMP", (bytes) => fourLetters(bytes, 0).startsWith("BM")],
  ["HEIC", (bytes) => fourLetters(bytes, 4) === "ftyp"],
  [
    "JPEG XL",
    (bytes) => (bytes[0] === 0xff && bytes[1] === 0x0a) || fourLetters(bytes, 4) === "JXL ",
  ],
  ["SVG", (bytes) => /^\s*<(?:\?xml|svg)/.test(new TextDecoder().decode(bytes.subarray(0, 256)))],
];

/**
 * The format of a file, by its first bytes, whatever its name.
 *
 * @throws NijimiError `unsupported` for other formats by name, `format` for what is no picture
 */
export function formatOf(bytes: Uint8Array): ImageFormat {
  if (isPng(bytes)) return "png";
  if (isJpeg(bytes)) return "jpeg";
  if (isWebp(bytes)) return "webp";
  if (isAvif(bytes)) return "avif";
  const [foreign] = FOREIGN.find(([, test]) => test(bytes)) ?? [];
  if (foreign)
    throw new NijimiError(
      "unsupported",
      `image: the file is a ${foreign}; nijimi reads PNG, JPEG, WebP and AVIF. Convert it first.`,
    );
  throw new NijimiError(
    "format",
    `image: ${bytes.length === 0 ? "the file is empty" : "the file is no picture that nijimi knows"}; expected PNG, JPEG, WebP or AVIF.`,
  );
}

/**
 * Size, format and EXIF of a picture.
 *
 * @throws NijimiError as {@link formatOf}, and `memory` when the picture is larger than allowed
 * @example
 * const { format, width, height } = probeImage(bytes);
 */
export function probeImage(bytes: Uint8Array, limits: ImageLimits = {}): ImageInfo {
  const format = formatOf(bytes);
  switch (format) {
    case "png": {
      const chunks = readChunks(bytes);
      const { width, height, colour } = readHeader(chunks, limits);
      const transparent = chunks.some(({ type }) => type === "tRNS");
      const channels = {
        grey: transparent ? 2 : 1,
        rgb: transparent ? 4 : 3,
        palette: transparent ? 4 : 3,
        "grey-alpha": 2,
        "rgb-alpha": 4,
      } as const;
      return described(
        { format, width, height, channels: channels[colour] },
        chunks.find(({ type }) => type === "eXIf")?.data,
      );
    }
    case "jpeg": {
      const { width, height, components, exif } = readJpegHeader(bytes, limits);
      return described({ format, width, height, channels: components === 1 ? 1 : 3 }, exif);
    }
    case "webp": {
      const { width, height, alpha, exif } = readWebpHeader(bytes, limits);
      return described({ format, width, height, channels: alpha ? 4 : 3 }, exif);
    }
    case "avif":
      return described({ format, ...readAvifHeader(bytes, limits) }, undefined);
  }
}

function described(
  info: Omit<ImageInfo, "orientation" | "exif">,
  exif: Uint8Array | undefined,
): ImageInfo {
  return { ...info, orientation: orientationOf(exif), ...(exif && { exif }) };
}
