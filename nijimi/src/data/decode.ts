/** The decoder of data sets: any picture that `images/` reads, 16 bits made 8, EXIF orientation applied. */
import { decodeImage } from "../images/codec.ts";
import type { Raster } from "./sample.ts";

/**
 * Pixels of an encoded picture.
 *
 * @throws NijimiError as `decodeImage` does
 */
export async function decodePicture(bytes: Uint8Array): Promise<Raster> {
  const { width, height, channels, data } = await decodeImage(bytes, { bitDepth: 8 });
  return { width, height, channels, data: data as Uint8Array };
}
