/**
 * An early check of a training: one batch, seen again and again, must be learnt. Where it is not, the network, the
 * loss, the gradient or the rate is wrong, and hours of training would show the same.
 */
import { NijimiError } from "../errors.ts";
import type { Feed, FeedBatch } from "./feed.ts";
import { train } from "./loop.ts";
import { initialVectors, mapRecord, type Player, type Program } from "./program.ts";
import type { ProgramOptions } from "./compile-program.ts";
import type { RandomSource } from "../nn/initializers.ts";
import { DATA_START } from "./state.ts";

/** Options of {@link checkOneBatch}. */
export interface OneBatchOptions extends ProgramOptions {
  readonly feed: Feed;
  /** Initial values, by player. */
  readonly randomFor: (player: string) => RandomSource;
  /** Times that the batch is seen. @default 60 */
  readonly updates?: number;
  /** Updates of the whole training: the largest rate of them is used. */
  readonly planned: number;
  readonly signal?: AbortSignal;
  readonly now: () => number;
}

/** What became of the first player's loss. */
export interface OneBatch {
  readonly first: number;
  readonly last: number;
  readonly updates: number;
}

/** The loss must fall at least to this share of its first value. */
const LEARNT = 0.8;

/**
 * Trains on the first batch alone, from initial values.
 *
 * @throws NijimiError `numeric` when its loss does not fall, or is not finite
 * @example
 * const { first, last } = await checkOneBatch(program, { feed, planned: 10_000, randomFor, now });
 */
export async function checkOneBatch(
  program: Program,
  { feed, randomFor, updates = 60, planned, ...options }: OneBatchOptions,
): Promise<OneBatch> {
  const losses: number[] = [];
  const steady = {
    ...program,
    players: mapRecord(program.players, (own) => steadily(own, planned)),
  };
  const vectors = initialVectors(program, randomFor);
  for await (const event of train(steady, {
    ...options,
    feed: repeated(feed),
    start: { update: 0, samples: 0, position: DATA_START, vectors },
    updates,
  }))
    if (event.type === "step-end") losses.push(Object.values(event.losses)[0]);
  const [first, last] = [losses[0], Math.min(...losses.slice(-5))];
  if (!(last <= LEARNT * first))
    throw new NijimiError(
      "numeric",
      `One batch, seen ${updates} times, is not learnt: the loss goes from ${first.toPrecision(4)} to ${last.toPrecision(4)}; expected at most ${(LEARNT * first).toPrecision(4)}. Look at the data, the loss and the learning rate.`,
    );
  return { first, last, updates };
}

/** The first batch without end. */
function repeated(feed: Feed): Feed {
  return async function* again(from) {
    let only: FeedBatch | undefined;
    for await (const batch of feed(from)) {
      only = batch;
      break;
    }
    while (only !== undefined) yield only;
  };
}

/** With the largest of its rates, without warm-up and fall. */
function steadily(player: Player, planned: number): Player {
  const places = Array.from({ length: 20 }, (_, i) => Math.floor((i * planned) / 20));
  const rate = Math.max(...places.map((update) => player.learningRate(update)));
  return { ...player, learningRate: () => rate };
}
