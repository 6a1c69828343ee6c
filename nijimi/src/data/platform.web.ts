/** What loading needs of a browser: its own decoder. Batches are made in the thread that asks for them. */
import { NijimiError } from "../errors.ts";
import { batches } from "./batches.ts";
import { openDataset } from "./open-dataset.ts";
import type { Platform } from "./platform.ts";

/** Decodes a picture with the browser's codecs, without colour conversion. */
export const decodePicture: Platform["decodePicture"] = async (bytes) => {
  const options: ImageBitmapOptions = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(
    new Blob([bytes as Uint8Array<ArrayBuffer>]),
    options,
  ).catch((cause: unknown) => {
    throw new NijimiError("format", "The browser cannot decode this picture.", { cause });
  });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context)
    throw new NijimiError("device", "This browser gives no 2D canvas to decode pictures with.");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { width, height, channels: 4, data: context.getImageData(0, 0, width, height).data };
};

export const batchesInWorkers: Platform["batchesInWorkers"] = async function* (
  spec,
  options,
  from,
) {
  yield* batches(await openDataset(spec), options.decode ?? decodePicture, options, from);
};
