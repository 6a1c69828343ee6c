/**
 * Batches as a program wants them. Whatever is random in a batch (noise, timesteps, dropped captions) is drawn from
 * streams named by the sample's place in the data: nothing has to be remembered to resume, and several processes that
 * share a batch draw what one process would.
 */
import type { Batch, BrokenSample, DataPosition } from "../data/batches.ts";
import type { HostTensors } from "./compile-program.ts";
import { deriveSeed } from "../tensor/random/derive.ts";
import { type TorchGenerator, torchGenerator } from "../tensor/random/torch.ts";

/** A batch of a program. */
export interface FeedBatch {
  readonly tensors: HostTensors;
  /** Samples in it, of this process. */
  readonly size: number;
  /** Where to go on after it. */
  readonly next: DataPosition;
  readonly epoch: number;
  readonly broken: readonly BrokenSample[];
}

/** Batches from a place in the data on, without end. */
export type Feed = (from: DataPosition) => AsyncIterable<FeedBatch>;

/** A share of the processes that train together. */
export interface Rank {
  readonly index: number;
  readonly count: number;
}

/** One process alone. */
export const ALONE: Rank = { index: 0, count: 1 };

/** What a batch is prepared with. */
export interface Draws {
  /** The stream of each sample, in the order of the batch. */
  readonly perSample: readonly TorchGenerator[];
}

/** Options of {@link feedFrom}. */
export interface FeedOptions {
  readonly seed: number | bigint;
  /** Samples of a full batch of this process. */
  readonly batchSize: number;
  /** @default alone */
  readonly rank?: Rank;
}

/**
 * A feed over loaded batches.
 *
 * @param load batches of this process from a place on, as `loadBatches` gives them
 * @param prepare tensors of the program from a loaded batch
 * @example
 * const feed = feedFrom((from) => loadBatches(set, options, from), ({ images }, { perSample }) => ({
 *   x: images,
 *   noise: stack(perSample.map((random) => random.randn([4, 16, 16]))),
 *  }), { seed: 1, batchSize: 8 });
 */
export function feedFrom(
  load: (from: DataPosition) => AsyncIterable<Batch>,
  prepare: (batch: Batch, draws: Draws) => HostTensors | Promise<HostTensors>,
  { seed, batchSize, rank = ALONE }: FeedOptions,
): Feed {
  return async function* feed(from) {
    for await (const batch of load(from)) {
      const { epoch, batch: index } = batch.position;
      const size = batch.images.shape[0];
      const first = (index * rank.count + rank.index) * batchSize;
      const perSample = Array.from({ length: size }, (_, i) =>
        torchGenerator(deriveSeed(seed, "draw", epoch, first + i)),
      );
      yield {
        tensors: await prepare(batch, { perSample }),
        size,
        next: batch.next,
        epoch,
        broken: batch.broken,
      };
    }
  };
}
