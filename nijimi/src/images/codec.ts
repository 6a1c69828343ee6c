/**
 * Files to images and back. PNG is coded here, the same in Node and in the browser; the pixels of the other formats by
 * sharp or by the browser, after their headers were checked here.
 */
import { decodePixels, encodePixels, readBytes, writeBytes, zlib } from "#images";
import { NijimiError, unknownName } from "../errors.ts";
import { flatten, hasAlpha, toBitDepth, toChannels, type BitDepth, type Image } from "./image.ts";
import { withJpegExif } from "./jpeg.ts";
import { MAX_PIXELS, type ImageLimits } from "./limits.ts";
import { metadataChunks, metadataExif, metadataXmp, type MetadataTexts } from "./metadata/write.ts";
import { applyOrientation } from "./orientation.ts";
import type { PlatformFormat } from "./platform.ts";
import { decodePng } from "./png/decode.ts";
import { encodePng } from "./png/encode.ts";
import { IMAGE_FORMATS, probeImage, type ImageFormat, type ImageInfo } from "./probe.ts";
import { withWebpExif } from "./webp.ts";

export interface DecodeOptions extends ImageLimits {
  /** Turn the picture as its EXIF says. @default true */
  readonly orient?: boolean;
  /** Convert to 8 or 16 bits; by default the file's own. */
  readonly bitDepth?: BitDepth;
}

/**
 * Decodes a PNG, JPEG, WebP or AVIF; which one it is, its first bytes say. Colour profiles are ignored, as in Pillow.
 *
 * @throws NijimiError `format` for damaged files, `unsupported` for other formats, `memory` for pictures larger than allowed
 * @example
 * const image = await decodeImage(await readFile("cat.png"));
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<Image> {
  const { orient = true, bitDepth, maxPixels = MAX_PIXELS } = options;
  const info = probeImage(bytes, { maxPixels });
  const stored =
    info.format === "png"
      ? decodePng(bytes, { maxPixels, ...(zlib && { inflate: zlib.inflate }) })
      : await decodeOther(bytes, info, maxPixels);
  const turned = orient ? applyOrientation(stored, info.orientation) : stored;
  return bitDepth === undefined ? turned : toBitDepth(turned, bitDepth);
}

/** Without its EXIF, which browsers would turn it by; with the channels that the header states. */
async function decodeOther(
  bytes: Uint8Array,
  { format, channels, orientation }: ImageInfo,
  maxPixels: number,
): Promise<Image> {
  const without = { jpeg: withJpegExif, webp: withWebpExif, avif: (file: Uint8Array) => file }[
    format as PlatformFormat
  ];
  const plain = orientation === 1 ? bytes : without(bytes, undefined);
  const image = await decodePixels(plain, {
    format: format as PlatformFormat,
    alpha: channels === undefined || channels === 4,
    maxPixels,
  });
  return toChannels(image, channels ?? image.channels);
}

export interface EncodeOptions {
  /** @default "png" */
  readonly format?: ImageFormat;
  /** Of lossy formats, 1 to 100. @default 92 */
  readonly quality?: number;
  /** WebP and AVIF without loss. @default false */
  readonly lossless?: boolean;
  /** zlib's level for PNG. @default 6 */
  readonly level?: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
  /** What formats without alpha show through it, RGB of 8 bits. @default white */
  readonly background?: readonly [red: number, green: number, blue: number];
  /** Texts to write into the file, such as `recipeTexts(recipe)`. */
  readonly metadata?: MetadataTexts;
}

/**
 * Encodes an image. Formats other than PNG hold 8 bits a sample; JPEG has no alpha.
 *
 * @throws NijimiError `option` for unknown options, `unsupported` where the platform does not write the format
 * @example
 * const bytes = await encodeImage(image, { format: "webp", quality: 90, metadata: recipeTexts(recipe) });
 */
export async function encodeImage(image: Image, options: EncodeOptions = {}): Promise<Uint8Array> {
  const {
    format = "png",
    quality = 92,
    lossless = false,
    level = 6,
    background = [255, 255, 255],
    metadata,
  } = options;
  if (!IMAGE_FORMATS.includes(format)) throw unknownName("image format", format, IMAGE_FORMATS);
  if (!(quality >= 1 && quality <= 100))
    throw new NijimiError("option", `encodeImage: quality is ${quality}; expected 1 to 100.`);
  if (format === "png")
    return encodePng(image, {
      level,
      chunks: metadata ? metadataChunks(metadata) : [],
      ...(zlib && { deflate: zlib.deflate }),
    });
  const eight = toBitDepth(image, 8);
  if (format === "jpeg") {
    if (lossless)
      throw new NijimiError("option", "encodeImage: JPEG is never lossless; take PNG or WebP.");
    const opaque = hasAlpha(eight) ? flatten(toChannels(eight, 4), background) : eight;
    const bytes = await encodePixels(opaque, { format, quality, lossless });
    return metadata ? withJpegExif(bytes, metadataExif(metadata)) : bytes;
  }
  const xmp = metadata && format === "avif" ? { xmp: metadataXmp(metadata) } : {};
  const bytes = await encodePixels(toChannels(eight, hasAlpha(eight) ? 4 : 3), {
    format,
    quality,
    lossless,
    ...xmp,
  });
  return metadata && format === "webp" ? withWebpExif(bytes, metadataExif(metadata)) : bytes;
}

/** Reads a picture from a file (Node) or an address (browser). */
export async function readImage(path: string, options: DecodeOptions = {}): Promise<Image> {
  return decodeImage(await readBytes(path), options);
}

/**
 * Writes a picture to a file; the format is the name's ending unless given.
 *
 * @throws NijimiError `option` for an ending that names no format, `file` when the file cannot be written
 */
export async function writeImage(
  path: string,
  image: Image,
  options: EncodeOptions = {},
): Promise<void> {
  await writeBytes(
    path,
    await encodeImage(image, { ...options, format: options.format ?? formatOfName(path) }),
  );
}

/** The format that a file's name asks for. */
export function formatOfName(name: string): ImageFormat {
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1].toLowerCase() ?? "";
  const format = ending === "jpg" || ending === "jfif" ? "jpeg" : ending;
  if (!(IMAGE_FORMATS as readonly string[]).includes(format))
    throw unknownName("image file ending", ending, [...IMAGE_FORMATS, "jpg"]);
  return format as ImageFormat;
}
