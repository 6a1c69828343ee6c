/** Loading in a browser: batches are made in the thread that asks for them. */
import { batches } from "./batches.ts";
import { decodePicture } from "./decode.ts";
import { openDataset } from "./open-dataset.ts";
import type { Platform } from "./platform.ts";

export const batchesInWorkers: Platform["batchesInWorkers"] = async function* (
  spec,
  options,
  from,
) {
  yield* batches(await openDataset(spec), options.decode ?? decodePicture, options, from);
};
