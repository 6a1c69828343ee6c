/** A feed over pictures that are changed at random while they are trained on. */
import type { Batch } from "../../data/batches.ts";
import { loadBatches } from "../../data/loader.ts";
import type { DatasetSpec } from "../../data/open-dataset.ts";
import type { ImageOptions } from "../../data/transform/options.ts";
import type { HostTensors } from "../compile-program.ts";
import { type Draws, type Feed, feedFrom } from "../feed.ts";
import type { BuildContext } from "../recipe.ts";

/** What is trained on. */
export interface TrainingImages {
  readonly training: DatasetSpec;
  readonly image: ImageOptions;
  /** Random changes while training; figures look at pictures without them. */
  readonly augment: NonNullable<ImageOptions["augment"]>;
}

/** The order of batches, their size, and who loads which. */
export interface ImageFeedOptions extends Pick<BuildContext, "rank" | "workers"> {
  readonly seed: number;
  readonly batchSize: number;
}

/**
 * The feed.
 *
 * @param prepare tensors of the program from a loaded batch
 */
export function imageFeed(
  { training, image, augment }: TrainingImages,
  prepare: (batch: Batch, draws: Draws) => HostTensors,
  { seed, batchSize, rank, workers }: ImageFeedOptions,
): Feed {
  const options = { batchSize, image: { ...image, augment }, seed, rank, workers };
  return feedFrom((from) => loadBatches(training, options, from), prepare, {
    seed,
    batchSize,
    rank,
  });
}
