/** Pictures among the bad input: decoded, and compared with the pixels that lie beside the manifest. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseSafetensors } from "../read-case.ts";
import { decodeImage, toChannels, type Channels, type Image } from "nijimi/images";
import type { Handler } from "./item.ts";

/** Decodes a file. Pixels must agree exactly, or to 3 levels and less than 1 on average where the manifest says so. */
export const readImageFile: Handler = async ({ file, expected }, c) => {
  try {
    const image = await decodeImage(await readFile(path.join(c.folder, file)));
    return {
      loaded: true,
      difference: await difference(
        image,
        path.join(c.folder, "images_expected.safetensors"),
        file,
        expected,
      ),
    };
  } catch (error) {
    return { loaded: false, error };
  }
};

async function difference(
  image: Image,
  reference: string,
  file: string,
  rule: string,
): Promise<string | undefined> {
  const pixels = parseSafetensors(await readFile(reference))[file];
  if (!pixels) return undefined;
  const [height, width, channels] = pixels.shape;
  if (image.width !== width || image.height !== height)
    return `is ${image.width}×${image.height}; expected ${width}×${height}`;
  // Recorded pixels have 8 bits: the upper half of 16.
  const { data } = toChannels(image, channels as Channels);
  const got = data instanceof Uint16Array ? data.map((sample) => sample >> 8) : data;
  const errors = Array.from(got, (sample, i) => Math.abs(sample - Number(pixels.data[i])));
  const [largest, mean] = [
    Math.max(...errors),
    errors.reduce((sum, error) => sum + error, 0) / errors.length,
  ];
  const lossy = /within 3 levels/.test(rule);
  const wrongAlpha =
    /alpha exactly/.test(rule) &&
    errors.some((error, i) => i % channels === channels - 1 && error > 0);
  const fits = lossy ? largest <= 3 && mean < 1 : largest === 0;
  return fits && !wrongAlpha
    ? undefined
    : `differs by up to ${largest}, ${mean.toFixed(2)} on average`;
}
