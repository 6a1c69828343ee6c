/** Pixels of JPEG, WebP and AVIF in Node: sharp (libvips), an optional dependency. PNG needs only Node's zlib. */
import { deflateSync, inflateSync } from "node:zlib";
import { readFile, writeFile } from "node:fs/promises";
import type sharp from "sharp";
import type { Sharp, SharpOptions } from "sharp";
import { NijimiError } from "../errors.ts";
import { createImage, type Channels } from "./image.ts";
import { readJpegHeader } from "./jpeg.ts";
import type { PixelDecoder, PixelEncoder, Zlib } from "./platform.ts";

/** Decodes as stored: no orientation, no colour conversion except of inks. */
export const decodePixels: PixelDecoder = async (bytes, { format, maxPixels }) => {
  const load = await loadSharp();
  const isCmyk = format === "jpeg" && readJpegHeader(bytes, { maxPixels }).components === 4;
  try {
    const source = load(bytes, {
      failOn: "error",
      limitInputPixels: maxPixels,
      ignoreIcc: true,
      pages: 1,
    } satisfies SharpOptions);
    // Asked for sRGB, sharp takes CMYK through a printer's profile.
    const stored = isCmyk
      ? source.pipelineColourspace("cmyk").toColourspace("cmyk")
      : source.toColourspace("srgb");
    const { data, info } = await stored
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    const samples = new Uint8Array(data.buffer, data.byteOffset, data.length);
    return isCmyk
      ? createImage(info.width, info.height, 3, inksToRgb(samples))
      : createImage(info.width, info.height, info.channels as Channels, samples);
  } catch (cause) {
    throw new NijimiError(
      "format",
      `${format}: the picture does not decode: ${(cause as Error).message.replace(/\s+/g, " ").trim()}.`,
      { cause },
    );
  }
};

/** What of the light inks leave, as in Pillow and in browsers: R = 255 · (1 − c) · (1 − k), and so on. */
function inksToRgb(inks: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((inks.length / 4) * 3);
  for (let at = 0, to = 0; at < inks.length; at += 4) {
    const white = 255 - inks[at + 3];
    for (let ink = 0; ink < 3; ink++)
      rgb[to++] = white - Math.round((inks[at + ink] * white) / 255);
  }
  return rgb;
}

export const encodePixels: PixelEncoder = async (image, { format, quality, lossless, xmp }) => {
  const load = await loadSharp();
  const { width, height, channels, data } = image;
  const source = load(data as Uint8Array, { raw: { width, height, channels } });
  const pixels = channels < 3 ? source.toColourspace("b-w") : source;
  const encoded = await encoder(xmp === undefined ? pixels : pixels.withXmp(xmp), {
    format,
    quality,
    lossless,
  }).toBuffer();
  return new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length);
};

function encoder(pixels: Sharp, { format, quality, lossless }: Parameters<PixelEncoder>[1]): Sharp {
  if (format === "jpeg") return pixels.jpeg({ quality, chromaSubsampling: "4:4:4" });
  if (format === "webp") return pixels.webp({ quality, lossless, exact: true });
  return pixels.avif({ quality, lossless, chromaSubsampling: "4:4:4" });
}

async function loadSharp(): Promise<typeof sharp> {
  try {
    return (await import("sharp")).default;
  } catch (cause) {
    throw new NijimiError(
      "device",
      "JPEG, WebP and AVIF in Node need sharp, which is not installed: npm install sharp. PNG works without.",
      { cause },
    );
  }
}

/** Node's zlib is several times faster than JavaScript. */
export const zlib: Zlib = {
  inflate(data, size) {
    try {
      const inflated = inflateSync(data, { maxOutputLength: size });
      return inflated.length === size ? inflated : undefined;
    } catch {
      return undefined; // damaged, or longer than it should be: the portable way knows what to say
    }
  },
  deflate: (data, level) => deflateSync(data, { level }),
};

/** @throws NijimiError `file` when the file cannot be read */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new NijimiError("file", `image: ${path} cannot be read: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

/** @throws NijimiError `file` when the file cannot be written */
export async function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes);
  } catch (cause) {
    throw new NijimiError(
      "file",
      `image: ${path} cannot be written: ${(cause as Error).message}.`,
      { cause },
    );
  }
}
