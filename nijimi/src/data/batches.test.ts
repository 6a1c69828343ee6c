import { describe, expect, test } from "vitest";
import { batches, type Batch, type BatchOptions, type DataPosition } from "./batches.ts";
import { epochOrder, permutation } from "./order.ts";
import type { Dataset, Raster, RawSample, StreamedDataset } from "./sample.ts";
import { mixture, samplesInMemory } from "./sources/derived.ts";

/** Pictures of one pixel whose red is the index. */
function samples(size: number, prefix = ""): RawSample[] {
  return Array.from({ length: size }, (_, i) => ({
    key: `${prefix}${i}`,
    image: Uint8Array.of(i),
    caption: `number ${i}`,
    label: i,
  }));
}

const indexed = (size: number) => samplesInMemory("numbers", samples(size));

/** Shards of 7; how often each was read is counted. */
function streamed(
  size: number,
  sizesKnown = false,
): StreamedDataset & { readonly reads: number[] } {
  const all = samples(size);
  const shards = Array.from({ length: Math.ceil(size / 7) }, (_, i) => all.slice(7 * i, 7 * i + 7));
  const reads = shards.map(() => 0);
  return {
    kind: "streamed",
    name: "stream",
    shards: shards.length,
    shardSize: (shard) => (sizesKnown ? shards[shard].length : undefined),
    async *stream(shard) {
      reads[shard]++;
      yield* shards[shard];
    },
    reads,
  };
}

/** Decodes the made-up pictures; those listed are broken. */
const decode =
  (broken: readonly number[] = []) =>
  async ([value]: Uint8Array): Promise<Raster> => {
    if (broken.includes(value)) throw new Error("unexpected end of data");
    return { width: 1, height: 1, channels: 3, data: Uint8Array.of(value, 0, 0) };
  };

const base = { batchSize: 4, image: { size: 1 }, seed: 5, epochs: 1 } as const;

async function run(
  dataset: Dataset,
  options: Partial<BatchOptions> = {},
  from?: DataPosition,
  broken: readonly number[] = [],
): Promise<Batch[]> {
  const result: Batch[] = [];
  for await (const batch of batches(
    dataset,
    decode(broken),
    { ...base, block: 10, ...options },
    from,
  ))
    result.push(batch);
  return result;
}

const keys = (list: readonly Batch[]) => list.flatMap((batch) => batch.keys);
const sorted = (list: readonly string[]) => list.map(Number).sort((a, b) => a - b);
const numbers = (n: number) => Array.from({ length: n }, (_, i) => i);

describe.each<[string, () => Dataset]>([
  ["indexed", () => indexed(40)],
  ["streamed", () => streamed(40)],
  ["streamed, sizes known", () => streamed(40, true)],
])("%s sets", (_, make) => {
  test("an epoch has every sample once, in another order every epoch and seed", async () => {
    const list = await run(make(), { epochs: 2 });
    const [first, second] = [keys(list.slice(0, 10)), keys(list.slice(10))];
    expect(sorted(first)).toEqual(numbers(40));
    expect(sorted(second)).toEqual(numbers(40));
    expect(first).not.toEqual(second);
    expect(keys(await run(make(), { seed: 6 }))).not.toEqual(first);
    expect(keys(await run(make(), { shuffle: false }))).toEqual(numbers(40).map(String));
  });

  test("going on from any place gives the rest of the same sequence", async () => {
    const whole = await run(make(), { epochs: 2 });
    for (const at of [0, 3, 9, 13])
      expect(await run(make(), { epochs: 2 }, whole[at].next)).toEqual(whole.slice(at + 1));
  });

  test("several processes share every batch of one process", async () => {
    const one = await run(make(), { batchSize: 8 });
    const two = await Promise.all(
      [0, 1].map((index) => run(make(), { rank: { index, count: 2 } })),
    );
    expect(one.map((batch) => batch.keys)).toEqual(
      two[0].map((batch, i) => [...batch.keys, ...two[1][i].keys]),
    );
  });

  test("workers that take turns make the batches of one", async () => {
    const one = await run(make(), { epochs: 2 });
    const three = await Promise.all(
      [0, 1, 2].map((offset) => run(make(), { epochs: 2, every: { step: 3, offset } })),
    );
    expect(one.map((_, i) => three[i % 3][Math.floor(i / 3)])).toEqual(one);
  });

  test("broken pictures are named and replaced, the same way whenever", async () => {
    const broken = [3, 17];
    const list = await run(make(), {}, undefined, broken);
    expect(list.every((batch) => batch.images.shape[0] === 4)).toBe(true);
    const named = list.flatMap((batch) => batch.broken);
    expect(new Set(named.map(({ key }) => key))).toEqual(new Set(["3", "17"]));
    expect(named[0].reason).toMatch(/unexpected end/);
    expect(keys(list)).not.toContain("3");
    expect(await run(make(), {}, list[4].next, broken)).toEqual(list.slice(5));
  });
});

test("known shard sizes let a late start skip shards unread", async () => {
  const set = streamed(70, true);
  await run(set, { shuffle: false }, { epoch: 0, batch: 15 }); // sample 60 is in the block from 60 on, in shard 8
  expect(set.reads.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 0));
});

test("a batch holds what the samples say", async () => {
  const [batch] = await run(indexed(8), { shuffle: false });
  expect(batch.images.shape).toEqual([4, 3, 1, 1]);
  expect([...batch.images.data].filter((_, i) => i % 3 === 0)).toEqual(
    [0, 1, 2, 3].map((v) => Math.fround(v / 127.5 - 1)),
  );
  expect([...batch.labels!.data]).toEqual([0n, 1n, 2n, 3n]);
  expect(batch.captions).toEqual(["number 0", "number 1", "number 2", "number 3"]);
  const bare = samplesInMemory("bare", [{ key: "x", image: Uint8Array.of(1) }]);
  const [without] = await run(bare, { batchSize: 1 });
  expect(without).not.toHaveProperty("labels");
  expect(without).not.toHaveProperty("captions");
});

test("incomplete batches are left out unless asked for", async () => {
  expect(keys(await run(indexed(10)))).toHaveLength(8);
  const list = await run(indexed(10), { dropLast: false });
  expect(list.map((batch) => batch.keys.length)).toEqual([4, 4, 2]);
  await expect(run(indexed(3))).rejects.toThrow(/fewer samples than one batch of 4/);
});

test("augmentation is drawn anew every epoch and the same for a place", async () => {
  const image = {
    width: 4,
    height: 4,
    channels: 1,
    data: Uint8Array.from({ length: 16 }, (_, i) => 16 * i),
  } as const;
  const set = samplesInMemory(
    "pictures",
    Array.from({ length: 4 }, (_, i) => ({ key: `${i}`, image })),
  );
  const options = {
    image: { size: 4, augment: { crop: { area: [0.2, 0.9] as const } } },
    shuffle: false,
    epochs: 2,
  };
  const [first, second] = await run(set, options);
  expect(first.images).not.toEqual(second.images);
  expect((await run(set, options, { epoch: 1, batch: 0 }))[0]).toEqual(second);
});

test("gives up when nothing can be decoded, and when the set itself cannot be read", async () => {
  await expect(run(indexed(8), {}, undefined, numbers(8))).rejects.toThrow(
    /17 pictures.*broken.*unexpected end/s,
  );
  const lost: StreamedDataset = {
    ...streamed(8),
    async *stream() {
      yield samples(1)[0];
      throw new Error("network is gone");
    },
  };
  await expect(run(lost)).rejects.toThrow("network is gone");
});

test("stops when the signal fires", async () => {
  const abort = new AbortController();
  const source = batches(indexed(40), decode(), { ...base, signal: abort.signal });
  await source.next();
  abort.abort();
  await expect(source.next()).rejects.toMatchObject({ code: "cancelled" });
});

test("a mixture keeps its shares; a set larger than its share is seen over several epochs", () => {
  const mixed = mixture(
    [
      { dataset: samplesInMemory("a", samples(4, "a")), weight: 1 },
      { dataset: samplesInMemory("b", samples(20, "b")), weight: 1 },
    ],
    20,
  );
  const epochs = [0, 1].map((epoch) =>
    [...epochOrder(mixed, { seed: 1, epoch })].map((i) => mixed.key(i)),
  );
  for (const list of epochs) {
    expect(list.filter((key) => key.startsWith("a"))).toHaveLength(10);
    expect(new Set(list.filter((key) => key.startsWith("a"))).size).toBe(4);
  }
  expect(new Set(epochs.flat().filter((key) => key.startsWith("b"))).size).toBe(20);
});

test("permutations are uniform", () => {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < 6000; seed++) {
    const order = [...permutation(BigInt(seed), 3)].join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
});
