/** A feed over samples that are in memory already, such as encoded pictures: batches of their indices. */
import type { DataPosition } from "../../data/batches.ts";
import { epochOrder } from "../../data/order.ts";
import type { IndexedDataset } from "../../data/sample.ts";
import { NijimiError } from "../../errors.ts";
import { deriveSeed } from "../../tensor/random/derive.ts";
import { torchGenerator } from "../../tensor/random/torch.ts";
import type { HostTensors } from "../compile-program.ts";
import { ALONE, type Draws, type Feed, type FeedOptions } from "../feed.ts";

/** A set that gives only its size; its samples lie elsewhere. */
export function indices(name: string, size: number): IndexedDataset {
  return {
    kind: "indexed",
    name,
    size,
    key: String,
    read: async (index) => ({ key: String(index), image: new Uint8Array() }),
  };
}

/**
 * Batches of indices into `dataset` (mixtures included), in the order that loaded batches have.
 *
 * @throws NijimiError `option` when an epoch is smaller than a batch
 */
export function indexedFeed(
  dataset: IndexedDataset,
  prepare: (indices: Uint32Array, draws: Draws) => HostTensors,
  { seed, batchSize, rank = ALONE }: FeedOptions,
): Feed {
  return async function* feed(from: DataPosition) {
    for (let { epoch, batch } = from; ; epoch++, batch = 0) {
      const order = epochOrder(dataset, { seed, epoch });
      const whole = batchSize * rank.count;
      if (order.length < whole)
        throw new NijimiError(
          "option",
          `${dataset.name} has ${order.length} samples; a batch of ${whole} needs as many.`,
        );
      for (; (batch + 1) * whole <= order.length; batch++) {
        const first = batch * whole + rank.index * batchSize;
        const perSample = Array.from({ length: batchSize }, (_, i) =>
          torchGenerator(deriveSeed(seed, "draw", epoch, first + i)),
        );
        yield {
          tensors: prepare(order.slice(first, first + batchSize), { perSample }),
          size: batchSize,
          next: { epoch, batch: batch + 1 },
          epoch,
          broken: [],
        };
      }
    }
  };
}
