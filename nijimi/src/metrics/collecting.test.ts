/** What is kept of streams: samples, summaries of scalars, statistics files. */
import { describe, expect, test } from "vitest";
import { writeNpz } from "../checkpoints/numpy/write-npz.ts";
import { torchGenerator } from "../tensor/random/torch.ts";
import { float32, type Tensor, tensor } from "../tensor/tensor.ts";
import { featureSample } from "./feature-sample.ts";
import { frechetDistance } from "./frechet-distance.ts";
import { moments } from "./moments.ts";
import { scalarSummary } from "./scalar-summary.ts";
import { readStatistics, writeStatistics } from "./statistics-file.ts";
import { measure } from "./streaming.ts";

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Rows (i, −i) named "image i", for the given i. */
const named = (indices: readonly number[]) => ({
  rows: float32(
    [indices.length, 2],
    indices.flatMap((i) => [i, -i]),
  ),
  names: indices.map((i) => `image ${i}`),
});

describe("feature samples", () => {
  test("keep everything below the limit and the right number above it", async () => {
    expect((await measure(featureSample(2, 50), [named(range(20))])).names.length).toBe(20);
    const { rows, names, seen } = await measure(featureSample(2, 50), [named(range(1000))]);
    expect([rows.shape[0], names.length, seen]).toEqual([50, 50, 1000]);
    names.forEach((name, k) => expect(name).toBe(`image ${rows.data[2 * k]}`));
  });

  test("are the same whatever the order, the batches and the merging", async () => {
    const whole = await measure(featureSample(2, 30), [named(range(500))]);
    const backwards = range(500).reverse();
    const metric = featureSample(2, 30);
    const a = await metric.add(metric.start(), named(backwards.slice(0, 123)));
    const b = await metric.add(metric.start(), named(backwards.slice(123)));
    expect(await metric.finish(await metric.merge(a, structuredClone(b)))).toEqual(whole);
    const other = await measure(featureSample(2, 30, { seed: 1 }), [named(range(500))]);
    expect(other.names).not.toEqual(whole.names);
  });

  test("represent the stream", async () => {
    const { rows } = await measure(featureSample(2, 1000), [named(range(10_000))]);
    const mean = rows.data.filter((_, i) => i % 2 === 0).reduce((x, y) => x + y, 0) / 1000;
    expect(Math.abs(mean - 4999.5)).toBeLessThan(3 * (2887 / Math.sqrt(1000)));
  });
});

describe("summaries of scalars", () => {
  const values = [...torchGenerator(1).randn([500]).data].map((value, i) => ({
    name: `image ${i}`,
    value,
  }));

  test("have mean, spread, extremes and an interval of the right width", async () => {
    const summary = await measure(scalarSummary({ extremes: 3 }), [values]);
    const sorted = values.map(({ value }) => value).sort((a, b) => a - b);
    const mean = sorted.reduce((a, b) => a + b, 0) / 500;
    const std = Math.sqrt(sorted.reduce((a, b) => a + (b - mean) ** 2, 0) / 499);
    expect(summary.mean).toBeCloseTo(mean, 12);
    expect(summary.std).toBeCloseTo(std, 12);
    expect(summary.lowest.map(({ value }) => value)).toEqual(sorted.slice(0, 3));
    expect(summary.highest.map(({ value }) => value)).toEqual(sorted.slice(-3).reverse());
    expect(summary.sample).toEqual(sorted);
    const half = (1.96 * std) / Math.sqrt(500);
    expect(Math.abs(summary.interval.high - summary.interval.low - 2 * half)).toBeLessThan(
      0.15 * 2 * half,
    );
    expect(Math.abs(summary.interval.low - (mean - half))).toBeLessThan(0.15 * half);
  });

  test("do not depend on order or merging", async () => {
    const metric = scalarSummary({ resamples: 50 });
    const whole = await measure(metric, [values]);
    const parts = [values.slice(0, 77), values.slice(77).reverse()];
    const [a, b] = await Promise.all(parts.map((part) => metric.add(metric.start(), part)));
    const merged = await metric.finish(await metric.merge(b, a));
    expect(merged.mean).toBeCloseTo(whole.mean, 12);
    expect(merged.std).toBeCloseTo(whole.std, 12);
    expect(merged.interval.low).toBeCloseTo(whole.interval.low, 12);
    expect(merged.lowest).toEqual(whole.lowest);
    expect(merged.sample).toEqual(whole.sample);
  });

  test("refuse NaN by name", async () => {
    await expect(measure(scalarSummary(), [[{ name: "a.png", value: NaN }]])).rejects.toThrow(
      /a\.png is NaN/,
    );
  });
});

describe("statistics files", () => {
  const features: Tensor = torchGenerator(1).randn([40, 6]);

  test("come back as they were", async () => {
    const statistics = await measure(moments(6), [features]);
    const spatial = await measure(moments(6), [torchGenerator(2).randn([40, 6])]);
    const computedWith = "inception-v3, clean";
    const back = await readStatistics(writeStatistics({ statistics, spatial, computedWith }));
    expect(back).toEqual({ statistics, spatial, computedWith });
    expect(await frechetDistance(back.statistics, statistics)).toBeCloseTo(0, 9);
  });

  test("are the same bytes for the same numbers", async () => {
    const statistics = await measure(moments(6), [features]);
    expect(writeStatistics({ statistics })).toEqual(writeStatistics({ statistics }));
  });

  test("of other tools need mu and sigma that fit", async () => {
    const mu = tensor("float64", [2], Float64Array.of(1, 2));
    const sigma = tensor("float32", [2, 2], Float32Array.of(1, 0, 0, 1));
    const { statistics } = await readStatistics(writeNpz({ mu, sigma }));
    expect(statistics).toEqual({
      dimensions: 2,
      mean: Float64Array.of(1, 2),
      covariance: Float64Array.of(1, 0, 0, 1),
    });
    await expect(readStatistics(writeNpz({ mu, feats: sigma }))).rejects.toThrow(/holds mu, feats/);
    await expect(readStatistics(writeNpz({ mu: sigma, sigma }))).rejects.toThrow(/mu is \[2,2\]/);
    const bad = tensor("float64", [2], Float64Array.of(1, NaN));
    await expect(readStatistics(writeNpz({ mu: bad, sigma }))).rejects.toThrow(/NaN/);
  });
});
