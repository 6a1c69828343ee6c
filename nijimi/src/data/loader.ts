/** Loading for training: a described set, batches made ahead of the step. */
import {
  batches,
  type Batch,
  type BatchOptions,
  type DataPosition,
  type DecodeImage,
} from "./batches.ts";
import { decodePicture } from "./decode.ts";
import { openDataset, type DatasetSpec } from "./open-dataset.ts";

export interface LoaderOptions extends BatchOptions {
  /** Threads that read, decode and augment; 0 does it in the calling thread. Browsers use none. @default 1 */
  readonly workers?: number;
  /** Batches that are kept ready. @default 4 */
  readonly ahead?: number;
  /** Decoder, when `workers` is 0. @default the platform's */
  readonly decode?: DecodeImage;
}

/**
 * Batches of a described set. They are the same whatever the number of workers.
 *
 * @param from where to go on. @default the beginning
 * @example
 * const options = { batchSize: 64, image: { size: 128, background: [255, 255, 255] }, seed: 1 } as const;
 * for await (const batch of loadBatches({ kind: "folder", path: "photos" }, options, checkpoint.data)) …
 */
export async function* loadBatches(
  dataset: DatasetSpec,
  options: LoaderOptions,
  from: DataPosition = { epoch: 0, batch: 0 },
): AsyncGenerator<Batch> {
  const { batchesInWorkers } = await import("#data");
  const { workers = 1 } = options;
  if (workers > 0) yield* batchesInWorkers(dataset, options, from);
  else yield* batches(await openDataset(dataset), options.decode ?? decodePicture, options, from);
}
