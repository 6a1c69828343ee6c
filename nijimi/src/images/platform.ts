/** What images need of the platform. `codec.node.ts` and `codec.web.ts` have it; the import condition "#images" chooses. */
import type { Image } from "./image.ts";
import type { ImageFormat } from "./probe.ts";

/** Formats whose pixels the platform codes; PNG is our own. */
export type PlatformFormat = Exclude<ImageFormat, "png">;

/** Decodes pixels as stored, 8 bits a sample, orientation not applied, alpha not premultiplied. */
export type PixelDecoder = (
  bytes: Uint8Array,
  info: { readonly format: PlatformFormat; readonly alpha: boolean; readonly maxPixels: number },
) => Promise<Image>;

/** Encodes pixels of 8 bits; no alpha for JPEG. */
export type PixelEncoder = (
  image: Image,
  options: {
    readonly format: PlatformFormat;
    /** 1 to 100. */
    readonly quality: number;
    readonly lossless: boolean;
    /** An XMP packet, where the platform can put one in. */
    readonly xmp?: string;
  },
) => Promise<Uint8Array>;

/** The platform's own zlib, where it has a synchronous one. */
export interface Zlib {
  /** Inflates to exactly `size` bytes; undefined where that fails. */
  inflate(data: Uint8Array, size: number): Uint8Array | undefined;
  deflate(data: Uint8Array, level: number): Uint8Array;
}
