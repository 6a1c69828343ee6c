/** Metrics over pairs, labels, masks and likelihoods. */
import { describe, expect, test } from "vitest";
import { torchGenerator } from "../tensor/random/torch.ts";
import { float32, int64, type Tensor, tensor } from "../tensor/tensor.ts";
import { topKAccuracy } from "./accuracy.ts";
import {
  bitsPerDimension,
  bitsPerDimensionOfDensity,
  variationalBound,
} from "./bits-per-dimension.ts";
import { bootstrap, bootstrapMean, quantile } from "./bootstrap.ts";
import { clipScores, HESSEL_WEIGHT, pairedCosines, rPrecision } from "./clip-score.ts";
import { meanSquaredError, peakSignalToNoise } from "./peak-signal-to-noise.ts";
import { diceCoefficient, segmentationScores } from "./segmentation.ts";
import { measure } from "./streaming.ts";
import { multiScaleStructuralSimilarity, structuralSimilarity } from "./structural-similarity.ts";

const normal = (n: number, d: number, seed: number): Tensor<"float32"> =>
  torchGenerator(seed).randn([n, d]);
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe("CLIP", () => {
  test("score is the weighted cosine, never negative", () => {
    const images = float32([3, 2], [1, 0, 0, 2, 3, 4]);
    const texts = float32([3, 2], [5, 0, 0, -1, 4, 3]);
    expect([...pairedCosines(images, texts)].map((c) => Number(c.toFixed(12)))).toEqual([
      1, -1, 0.96,
    ]);
    expect([...clipScores(images, texts)].map((c) => Number(c.toFixed(10)))).toEqual([100, 0, 96]);
    expect(clipScores(images, texts, { weight: HESSEL_WEIGHT })[2]).toBeCloseTo(2.4, 12);
  });

  test("R-precision is 1 for matching pairs and chance for unrelated ones", async () => {
    const a = normal(400, 32, 1);
    expect(await rPrecision(a, a)).toEqual({
      imageToText: 1,
      textToImage: 1,
      distractors: 99,
      r: 1,
    });
    const chance = await rPrecision(a, normal(400, 32, 2), { distractors: 9 });
    expect(chance.imageToText).toBeGreaterThan(0.05);
    expect(chance.imageToText).toBeLessThan(0.15);
    const wider = await rPrecision(a, normal(400, 32, 2), { distractors: 9, r: 10 });
    expect(wider.textToImage).toBe(1);
  });

  test("R-precision asks some rows and draws from all", async () => {
    const a = normal(60, 8, 1);
    const broken = float32(
      [60, 8],
      a.data.map((value, i) => (i < 8 ? -value : value)),
    );
    expect((await rPrecision(broken, a, { queries: [0] })).imageToText).toBe(0);
    expect(await rPrecision(broken, a, { queries: [1, 2] })).toMatchObject({
      imageToText: 1,
      distractors: 59,
    });
  });

  test("R-precision counts repeated captions by chance", async () => {
    const same = float32([4, 2], [1, 0, 1, 0, 1, 0, 1, 0]);
    const { imageToText, distractors } = await rPrecision(same, same);
    expect(distractors).toBe(3);
    expect(imageToText).toBeCloseTo(1 / 4, 12);
  });

  test("refuses unpaired and empty embeddings", async () => {
    expect(() => clipScores(normal(2, 3, 1), normal(3, 3, 1))).toThrow(
      /2 image and 3 text embeddings/,
    );
    expect(() => clipScores(float32([1, 2], [0, 0]), float32([1, 2], [1, 0]))).toThrow(
      /row 0 is zero/,
    );
  });
});

describe("image quality", () => {
  /** 8-bit images by a formula: the figures below are what pytorch-msssim gives for them, with its float32 window. */
  const image = (shape: number[], k: number): Tensor<"uint8"> =>
    tensor(
      "uint8",
      shape,
      Uint8Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) =>
        Math.trunc((Math.sin(i * 0.37 + k) * 0.5 + 0.5) * 200 + ((i * 7919 * (k + 1)) % 55)),
      ),
    );
  const noisy = ({ shape, data }: Tensor<"uint8">): Tensor<"uint8"> =>
    tensor(
      "uint8",
      shape,
      data.map((value, i) => Math.min(255, Math.max(0, value + ((i * 31) % 41) - 20))),
    );

  test("PSNR", () => {
    const a = tensor("uint8", [2], Uint8Array.of(0, 10));
    expect(meanSquaredError(a, tensor("uint8", [2], Uint8Array.of(3, 14)))).toBe(12.5);
    expect(peakSignalToNoise(a, tensor("uint8", [2], Uint8Array.of(3, 14)))).toBeCloseTo(
      37.1617,
      4,
    );
    expect(peakSignalToNoise(a, a)).toBe(Infinity);
    const floats = float32([2], [0, 0.5]);
    expect(peakSignalToNoise(floats, float32([2], [0.1, 0.5]), { range: 1 })).toBeCloseTo(
      23.0103,
      4,
    );
    expect(() => peakSignalToNoise(floats, floats)).toThrow(/range is undefined for float32/);
    expect(() => peakSignalToNoise(a, floats)).not.toThrow();
    expect(() => peakSignalToNoise(a, tensor("uint8", [1], Uint8Array.of(1)))).toThrow(
      /images of one size/,
    );
  });

  test("SSIM agrees with pytorch-msssim", () => {
    const [a, b] = [image([3, 40, 33], 0), image([3, 40, 33], 1)];
    expect(structuralSimilarity(a, b)).toBeCloseTo(0.43240030945636726, 6);
    expect(structuralSimilarity(a, noisy(a))).toBeCloseTo(0.9694915155060776, 6);
    expect(structuralSimilarity(a, a)).toBeCloseTo(1, 14);
  });

  test("MS-SSIM agrees with pytorch-msssim, odd sizes included", () => {
    const a = image([1, 171, 164], 0);
    expect(multiScaleStructuralSimilarity(a, noisy(a))).toBeCloseTo(0.9874081323437511, 7);
    expect(() =>
      multiScaleStructuralSimilarity(image([1, 160, 200], 0), image([1, 160, 200], 0)),
    ).toThrow(/161/);
  });
});

describe("top-k accuracy", () => {
  test("counts hits, streams and merges", async () => {
    const scores = float32([3, 3], [0.1, 0.5, 0.4, 0.9, 0.05, 0.05, 0.2, 0.2, 0.6]);
    const labels = int64([3], [2, 0, 1]);
    const metric = topKAccuracy([1, 2, 3]);
    const once = await measure(metric, [{ scores, labels }]);
    expect(once.top1).toBeCloseTo(1 / 3, 12);
    expect(once.top2).toBeCloseTo(2 / 3, 12); // of the equal scores .2 and .2 the lower class comes first
    expect(once.top3).toBe(1);
    const state = metric.add(metric.start(), { scores, labels });
    expect(await metric.finish(await metric.merge(await state, await state))).toEqual(once);
  });

  test("refuses labels that are no class", () => {
    const metric = topKAccuracy();
    expect(() =>
      metric.add(metric.start(), { scores: float32([1, 2], [1, 2]), labels: int64([1], [2]) }),
    ).toThrow(/label 2 of sample 0/);
  });
});

describe("segmentation", () => {
  test("Dice of masks", () => {
    const a = float32([2, 1, 4], [1, 1, 0, 0, 0, 0, 0, 0]);
    const b = float32([2, 1, 4], [1, 0, 0, 0, 0, 0, 0, 0]);
    expect(diceCoefficient(a, b)).toBeCloseTo((2 / 3 + 1) / 2, 6);
    expect(diceCoefficient(a, b, { wholeBatch: true })).toBeCloseTo(2 / 3, 6);
    expect(() => diceCoefficient(a, float32([1], [1]))).toThrow(/equal shapes/);
  });

  test("IoU and Dice by class, absent classes left out of the means", async () => {
    const predicted = tensor("uint8", [6], Uint8Array.of(0, 0, 1, 1, 1, 0));
    const target = tensor("uint8", [6], Uint8Array.of(0, 1, 1, 1, 0, 255));
    const got = await measure(segmentationScores(3, { ignore: 255 }), [{ predicted, target }]);
    expect(got.iou[0]).toBeCloseTo(1 / 3, 12);
    expect(got.iou[1]).toBeCloseTo(2 / 4, 12);
    expect(got.iou[2]).toBeNaN();
    expect(got.dice[1]).toBeCloseTo(4 / 6, 12);
    expect(got.meanIou).toBeCloseTo((1 / 3 + 1 / 2) / 2, 12);
    expect(got.pixelAccuracy).toBeCloseTo(3 / 5, 12);
  });
});

describe("bits per dimension", () => {
  test("of a uniform density over 256 levels is 8", () => {
    // Density of 8-bit noise scaled to [−1, 1]: each value has density 1/2.
    expect(bitsPerDimensionOfDensity(100 * Math.log(1 / 2), 100)).toBeCloseTo(8, 12);
    expect(bitsPerDimension(8 * Math.LN2 * 3, 3)).toBeCloseTo(8, 12);
  });

  test("variational bounds average with their standard error", async () => {
    const metric = variationalBound(3);
    const images = [
      { steps: [1, 2, 3], prior: 0.5 },
      { steps: [2, 2, 2], prior: 0.5 },
      { steps: [0, 1, 2], prior: 0.5 },
    ];
    const { total, standardError, steps, count } = await measure(metric, images);
    expect(total).toBeCloseTo(5.5, 12);
    expect(standardError).toBeCloseTo(Math.sqrt(3) / Math.sqrt(3), 12); // totals 6.5, 6.5, 3.5
    expect([...steps]).toEqual([1, 5 / 3, 7 / 3]);
    expect(count).toBe(3);
    expect(() => metric.add(metric.start(), { steps: [1, NaN, 1], prior: 0 })).toThrow(
      /sum to NaN/,
    );
  });
});

describe("bootstrap", () => {
  test("interval of a mean has the width that the central limit theorem says", async () => {
    const values = torchGenerator(1).randn([400]).data;
    const { low, high, level } = await bootstrapMean(values, { resamples: 2000 });
    const mean = values.reduce((a, b) => a + b, 0) / 400;
    const std = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / 399);
    const half = (1.96 * std) / Math.sqrt(400);
    expect(level).toBe(0.95);
    expect(Math.abs(low - (mean - half))).toBeLessThan(0.1 * half);
    expect(Math.abs(high - (mean + half))).toBeLessThan(0.1 * half);
  });

  test("is the same in every run and differs by seed", async () => {
    const values = range(50);
    expect(await bootstrapMean(values)).toEqual(await bootstrapMean(values));
    expect(await bootstrapMean(values, { seed: 1 })).not.toEqual(await bootstrapMean(values));
    await expect(bootstrap(0, () => 0)).rejects.toThrow(/at least one sample/);
  });

  test("quantiles are NumPy's", () => {
    expect(quantile([1, 2, 4, 8], 0.5)).toBe(3);
    expect(quantile([1, 2, 4, 8], 0.9)).toBeCloseTo(6.8, 12);
  });
});
