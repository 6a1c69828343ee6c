/** Against sums written out index by index. */
import { expect, test } from "vitest";
import { float32, type Tensor } from "../../tensor/tensor.ts";
import { entryOf } from "../checkpoint.ts";
import { fits, mergeDeltas, readDelta, type FullDelta, type LowRankDelta } from "./delta.ts";
import { kroneckerRank, readHadamard, readKronecker } from "./products.ts";

/** Small numbers without a pattern, the same every time. */
function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));
}

function filled(shape: readonly number[], seed: number): Tensor<"float32"> {
  return float32(
    shape,
    numbers(
      shape.reduce((product, dim) => product * dim, 1),
      seed,
    ),
  );
}

function at({ data, shape }: Tensor<"float32">, ...index: number[]): number {
  return data[index.reduce((offset, i, axis) => offset * shape[axis] + i, 0)];
}

/** Largest difference from a function of the index. */
function error(got: Tensor<"float32">, expected: (...index: number[]) => number): number {
  const index = got.shape.map(() => 0);
  let worst = 0;
  for (const value of got.data) {
    worst = Math.max(worst, Math.abs(value - expected(...index)));
    for (let axis = index.length - 1; axis >= 0 && ++index[axis] === got.shape[axis]; axis--)
      index[axis] = 0;
  }
  return worst;
}

function sum(count: number, term: (i: number) => number): number {
  return Array.from({ length: count }, (_, i) => term(i)).reduce((a, b) => a + b, 0);
}

function lowRank(down: Tensor, up: Tensor, mid?: Tensor): LowRankDelta {
  const rank = down.shape[0];
  return {
    kind: "low-rank",
    down: entryOf(down),
    up: entryOf(up),
    mid: mid && entryOf(mid),
    rank,
    alpha: rank / 2,
    scale: 0.5,
  };
}

test("a low-rank delta is scale · up · down in the parameter's shape", async () => {
  const [down, up] = [filled([2, 3, 3, 3], 1), filled([4, 2, 1, 1], 2)];
  const delta = lowRank(down, up);
  expect(fits(delta, [4, 3, 3, 3])).toBe(true);
  expect(fits(delta, [4, 3, 1, 1])).toBe(false);
  const got = await readDelta(delta, [4, 3, 3, 3]);
  const expected = (o: number, i: number, y: number, x: number) =>
    0.5 * sum(2, (r) => at(up, o, r, 0, 0) * at(down, r, i, y, x));
  expect(error(got, expected)).toBeLessThan(1e-6);
});

test("a core stands between the factors of a convolution", async () => {
  const [down, mid, up] = [
    filled([2, 3, 1, 1], 3),
    filled([2, 2, 3, 3], 4),
    filled([4, 2, 1, 1], 5),
  ];
  const delta = lowRank(down, up, mid);
  expect(fits(delta, [4, 3, 3, 3])).toBe(true);
  const got = await readDelta(delta, [4, 3, 3, 3]);
  const expected = (o: number, i: number, y: number, x: number) =>
    0.5 *
    sum(2, (p) => sum(2, (q) => at(up, o, p, 0, 0) * at(mid, p, q, y, x) * at(down, q, i, 0, 0)));
  expect(error(got, expected)).toBeLessThan(1e-6);
});

test("LoHa is an elementwise product of two products", async () => {
  const [a1, b1, a2, b2] = [
    filled([4, 2], 1),
    filled([2, 3], 2),
    filled([4, 2], 3),
    filled([2, 3], 4),
  ];
  const got = await readHadamard({
    hada_w1_a: entryOf(a1),
    hada_w1_b: entryOf(b1),
    hada_w2_a: entryOf(a2),
    hada_w2_b: entryOf(b2),
  });
  const expected = (o: number, i: number) =>
    sum(2, (r) => at(a1, o, r) * at(b1, r, i)) * sum(2, (r) => at(a2, o, r) * at(b2, r, i));
  expect(error(got, expected)).toBeLessThan(1e-6);
});

test("LoHa of a convolution has cores", async () => {
  const factors = [filled([2, 4], 1), filled([2, 3], 2), filled([2, 4], 3), filled([2, 3], 4)];
  const [a1, b1, a2, b2] = factors;
  const [t1, t2] = [filled([2, 2, 3, 3], 5), filled([2, 2, 3, 3], 6)];
  const got = await readHadamard({
    hada_w1_a: entryOf(a1),
    hada_w1_b: entryOf(b1),
    hada_t1: entryOf(t1),
    hada_w2_a: entryOf(a2),
    hada_w2_b: entryOf(b2),
    hada_t2: entryOf(t2),
  });
  const half =
    (t: typeof t1, a: typeof a1, b: typeof b1) => (o: number, i: number, y: number, x: number) =>
      sum(2, (p) => sum(2, (q) => at(t, p, q, y, x) * at(a, p, o) * at(b, q, i)));
  expect(got.shape).toEqual([4, 3, 3, 3]);
  const expected = (...index: [number, number, number, number]) =>
    half(t1, a1, b1)(...index) * half(t2, a2, b2)(...index);
  expect(
    error(got, (...index) => expected(...(index as [number, number, number, number]))),
  ).toBeLessThan(1e-6);
});

test("LoKr is a Kronecker product, with or without factors", async () => {
  const [w1, a, b] = [filled([2, 3], 1), filled([4, 2], 2), filled([2, 5], 3)];
  const factors = { lokr_w1: entryOf(w1), lokr_w2_a: entryOf(a), lokr_w2_b: entryOf(b) };
  expect(kroneckerRank(factors)).toBe(2);
  const got = await readKronecker(factors);
  expect(got.shape).toEqual([8, 15]);
  const expected = (o: number, i: number) =>
    at(w1, Math.floor(o / 4), Math.floor(i / 5)) * sum(2, (r) => at(a, o % 4, r) * at(b, r, i % 5));
  expect(error(got, expected)).toBeLessThan(1e-6);
});

test("LoKr of a convolution keeps the kernel", async () => {
  const [w1, w2] = [filled([2, 3], 1), filled([2, 1, 3, 3], 2)];
  const got = await readKronecker({ lokr_w1: entryOf(w1), lokr_w2: entryOf(w2) });
  expect(got.shape).toEqual([4, 3, 3, 3]);
  const expected = (o: number, i: number, y: number, x: number) =>
    at(w1, Math.floor(o / 2), i) * at(w2, o % 2, 0, y, x);
  expect(error(got, expected)).toBeLessThan(1e-6);
});

test("merging adds deltas, each with its strength", async () => {
  const base = filled([2, 2], 1);
  const [first, second] = [filled([2, 2], 2), filled([2, 2], 3)];
  const full = (value: Tensor<"float32">): FullDelta => ({
    kind: "full",
    scale: 1,
    read: async () => value,
  });
  const merged = await mergeDeltas(base, [
    { delta: full(first), strength: 0.5 },
    { delta: full(second), strength: -1 },
  ]);
  const expected = (o: number, i: number) =>
    at(base, o, i) + 0.5 * at(first, o, i) - at(second, o, i);
  expect(error(merged as Tensor<"float32">, expected)).toBeLessThan(1e-6);
});

test("DoRA gives every row its learned length", async () => {
  const base = filled([3, 4], 1);
  const magnitude = float32([3, 1], [1, 2, 3]);
  const added = filled([3, 4], 2);
  const delta: FullDelta = {
    kind: "full",
    scale: 1,
    magnitude: entryOf(magnitude),
    read: async () => added,
  };
  const merged = (await mergeDeltas(base, [{ delta, strength: 1 }])) as Tensor<"float32">;
  for (let o = 0; o < 3; o++)
    expect(Math.sqrt(sum(4, (i) => at(merged, o, i) ** 2))).toBeCloseTo(o + 1, 5);
  const untouched = await mergeDeltas(base, [{ delta, strength: 0 }]);
  expect(untouched.data).toEqual(base.data);
});
