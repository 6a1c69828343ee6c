/** Metrics over feature vectors: theory, and figures of torch-fidelity 0.4.0 on features given by a formula. */
import { describe, expect, test } from "vitest";
import { torchGenerator } from "../tensor/random/torch.ts";
import { float32, type Tensor, tensor } from "../tensor/tensor.ts";
import { frechetDistance, frechetDistanceOfFeatures } from "./frechet-distance.ts";
import { inceptionScore, streamingInceptionScore } from "./inception-score.ts";
import { kernelDistance, mmd2 } from "./kernel-distance.ts";
import { memorisation } from "./memorisation.ts";
import { type GaussianStatistics, moments } from "./moments.ts";
import { precisionRecall } from "./precision-recall.ts";
import { measure } from "./streaming.ts";

/** [n, d] of sin(0.61 i + k) + cos(0.013 i² (k + 1)), i counting all elements. */
function formula(n: number, d: number, k: number, scale = 1): Tensor<"float32"> {
  const value = (i: number): number =>
    scale * Math.fround(Math.sin(i * 0.61 + k) + Math.cos(i * i * 0.013 * (k + 1)));
  return float32(
    [n, d],
    Float32Array.from({ length: n * d }, (_, i) => value(i)),
  );
}

const normal = (n: number, d: number, seed: number): Tensor<"float32"> =>
  torchGenerator(seed).randn([n, d]);

function rows(t: Tensor<"float32">, order: readonly number[]): Tensor<"float32"> {
  const d = t.shape[1];
  return float32(
    [order.length, d],
    order.flatMap((i) => [...t.data.subarray(i * d, (i + 1) * d)]),
  );
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);
const shuffled = (n: number): number[] =>
  range(0, n).sort((a, b) => Math.sin(a * 12.9898) - Math.sin(b * 12.9898));

describe("moments", () => {
  const features = formula(50, 6, 0);

  test("are np.mean and np.cov", async () => {
    const { mean, covariance } = await measure(moments(6), [features]);
    for (let i = 0; i < 6; i++) {
      const column = (c: number): number[] => range(0, 50).map((r) => features.data[r * 6 + c]);
      const average = (values: number[]): number =>
        values.reduce((a, b) => a + b, 0) / values.length;
      expect(mean[i]).toBeCloseTo(average(column(i)), 13);
      for (let j = 0; j < 6; j++) {
        const products = range(0, 50).map(
          (r) => (column(i)[r] - mean[i]) * (column(j)[r] - mean[j]),
        );
        expect(covariance[i * 6 + j]).toBeCloseTo((average(products) * 50) / 49, 13);
      }
    }
  });

  test("do not depend on order, batches, chunks or merging", async () => {
    const many = normal(5000, 5, 1);
    const metric = moments(5);
    const whole = await measure(metric, [many]);
    const order = shuffled(5000);
    const batches = range(0, 50).map((b) => rows(many, order.slice(b * 100, (b + 1) * 100)));
    const apart = await metric.merge(
      await batches
        .slice(0, 33)
        .reduce(async (s, b) => metric.add(await s, b), Promise.resolve(metric.start())),
      await batches
        .slice(33)
        .reduce(async (s, b) => metric.add(await s, b), Promise.resolve(metric.start())),
    );
    const merged = await metric.finish(structuredClone(apart));
    expect(merged.count).toBe(5000);
    whole.covariance.forEach((value, i) => expect(merged.covariance[i]).toBeCloseTo(value, 12));
    whole.mean.forEach((value, i) => expect(merged.mean[i]).toBeCloseTo(value, 12));
  });

  test("a state can be finished and continued", async () => {
    const metric = moments(6);
    const state = await metric.add(metric.start(), features);
    await metric.finish(state);
    const twice = await metric.finish(await metric.add(state, features));
    expect(twice.count).toBe(100);
  });

  test("refuse NaN by row, other dimensions and single samples", async () => {
    const bad = float32([2, 2], [1, 2, 3, NaN]);
    await expect(measure(moments(2), [bad])).rejects.toThrow(/row 1, column 1 is NaN/);
    await expect(measure(moments(3), [bad])).rejects.toThrow(/expected \[N, 3\]/);
    await expect(measure(moments(6), [rows(features, [0])])).rejects.toThrow(
      /at least 2 samples; got 1/,
    );
  });
});

describe("Fréchet distance", () => {
  test("of diagonal Gaussians is the closed form", async () => {
    const gaussian = (mean: number[], std: number[]): GaussianStatistics => ({
      dimensions: mean.length,
      mean: Float64Array.from(mean),
      covariance: Float64Array.from({ length: mean.length ** 2 }, (_, i) =>
        i % (mean.length + 1) === 0 ? std[i / (mean.length + 1)] ** 2 : 0,
      ),
    });
    const a = gaussian([0, 1, 2], [1, 2, 0]);
    const b = gaussian([1, 1, 4], [3, 0.5, 0]);
    expect(await frechetDistance(a, b)).toBeCloseTo(1 + 4 + 2 ** 2 + 1.5 ** 2, 12);
  });

  test.each([
    [200, 40],
    [20, 40],
  ])("of %i samples of %i dimensions with themselves in another order is zero", async (n, d) => {
    const features = normal(n, d, 3);
    expect(
      Math.abs(await frechetDistanceOfFeatures(features, rows(features, shuffled(n)))),
    ).toBeLessThan(1e-9);
  });

  test("grows with the shift of the mean and is symmetric", async () => {
    const a = normal(300, 10, 1);
    const shifted = (by: number): Tensor<"float32"> =>
      float32(
        [300, 10],
        a.data.map((value) => value + by),
      );
    expect(await frechetDistanceOfFeatures(a, shifted(2))).toBeCloseTo(40, 4);
    const b = normal(12, 10, 2);
    const [ab, ba] = [await frechetDistanceOfFeatures(a, b), await frechetDistanceOfFeatures(b, a)];
    expect(Math.abs(ab - ba)).toBeLessThan(1e-9);
  });

  test("refuses statistics of different networks", async () => {
    await expect(frechetDistanceOfFeatures(normal(9, 4, 1), normal(9, 5, 1))).rejects.toThrow(
      /4 and 5 dimensions/,
    );
  });
});

describe("kernel distance", () => {
  const [a, b] = [formula(50, 16, 0), formula(60, 16, 1)];

  test("draws torch-fidelity's subsets and gives its KID", async () => {
    const options = { subsets: 5, subsetSize: 20 };
    const kid = await kernelDistance(a, b, options);
    expect(kid.mean).toBeCloseTo(0.16367454528808595, 6);
    expect(kid.std).toBeCloseTo(0.41373460553136904, 6);
    const rbf = await kernelDistance(a, b, { ...options, kernel: "rbf" });
    expect(rbf.mean).toBeCloseTo(0.007988891260664665, 6);
    expect(rbf.std).toBeCloseTo(0.01582338111335705, 6);
  });

  test("is unbiased: near zero for two sets of one distribution, whatever their sizes", async () => {
    const estimates = await Promise.all(
      range(0, 40).map((seed) => mmd2(normal(30, 4, 2 * seed), normal(45, 4, 2 * seed + 1))),
    );
    const mean = estimates.reduce((x, y) => x + y, 0) / 40;
    const std = Math.sqrt(estimates.reduce((x, y) => x + (y - mean) ** 2, 0) / 40);
    expect(Math.abs(mean)).toBeLessThan((3 * std) / Math.sqrt(40));
    expect(estimates.some((value) => value < 0)).toBe(true);
  });

  test("refuses subsets larger than a set and unknown kernels", async () => {
    await expect(kernelDistance(a, b, { subsetSize: 55 })).rejects.toThrow(/subsets of 55 samples/);
    await expect(kernelDistance(a, b, { kernel: "linear" as "rbf" })).rejects.toThrow(
      /Unknown kernel "linear"/,
    );
  });
});

describe("Inception Score", () => {
  test("of contiguous splits is torch-fidelity's", () => {
    const { mean, std } = inceptionScore(formula(50, 16, 0, 2), { splits: 3 });
    expect(mean).toBeCloseTo(2.6108788111938677, 6);
    expect(std).toBeCloseTo(0.04060072020632773, 6);
  });

  test("is 1 for equal predictions and the number of classes for certain, balanced ones", async () => {
    const same = float32(
      [20, 5],
      range(0, 100).map((i) => i % 5),
    );
    expect(inceptionScore(same, { splits: 2 }).mean).toBeCloseTo(1, 12);
    const certain = float32(
      [20, 5],
      range(0, 100).map((i) => (i % 5 === Math.floor(i / 5) % 5 ? 1000 : 0)),
    );
    expect(inceptionScore(certain, { splits: 2 }).mean).toBeCloseTo(5, 12);
  });

  test("streamed, does not depend on order or merging", async () => {
    const logits = formula(300, 8, 1, 2);
    const metric = streamingInceptionScore(8, { splits: 4 });
    const whole = await measure(metric, [logits]);
    const order = shuffled(300);
    const parts = [order.slice(0, 100), order.slice(100)].map((part) =>
      metric.add(metric.start(), rows(logits, part)),
    );
    const merged = await metric.finish(await metric.merge(await parts[0], await parts[1]));
    expect(merged.mean).toBeCloseTo(whole.mean, 12);
    expect(merged.std).toBeCloseTo(whole.std, 12);
  });

  test("refuses more splits than images", () => {
    expect(() => inceptionScore(formula(5, 3, 0))).toThrow(
      /10 splits need at least one image each; got 5/,
    );
  });
});

describe("precision, recall, density, coverage", () => {
  test("agree with torch-fidelity", async () => {
    const { precision, recall } = await precisionRecall(formula(60, 16, 1), formula(50, 16, 0), {
      k: 3,
    });
    expect(precision).toBeCloseTo(0.98, 6);
    expect(recall).toBeCloseTo(0.9, 6);
  });

  test("are 1 for a set against itself and 0 for sets far apart", async () => {
    const a = normal(50, 4, 1);
    const same = await precisionRecall(a, a);
    expect([same.precision, same.recall, same.coverage]).toEqual([1, 1, 1]);
    const far = await precisionRecall(
      a,
      float32(
        [50, 4],
        a.data.map((value) => value + 1000),
      ),
    );
    expect([far.precision, far.recall, far.density, far.coverage]).toEqual([0, 0, 0, 0]);
  });

  test("tell lost diversity from lost fidelity", async () => {
    const real = normal(300, 2, 1);
    const collapsed = float32(
      [300, 2],
      normal(300, 2, 2).data.map((value) => 0.1 * value),
    );
    const { precision, recall } = await precisionRecall(real, collapsed);
    expect(precision).toBeGreaterThan(0.95);
    expect(recall).toBeLessThan(0.2);
  });

  test("on a line of points the radii are known", async () => {
    const line = float32([5, 1], [0, 1, 3, 6, 10]);
    const { realRadii } = await precisionRecall(line, line, { k: 2 });
    expect([...realRadii]).toEqual([3, 2, 3, 4, 7]);
  });

  test("refuse sets not larger than k", async () => {
    await expect(precisionRecall(normal(3, 2, 1), normal(9, 2, 1))).rejects.toThrow(
      /k = 3 needs more than 3/,
    );
  });
});

describe("memorisation", () => {
  test("flags copies, exact or nearly so, and nothing else", async () => {
    const training = normal(200, 8, 1);
    const fresh = normal(20, 8, 2);
    const copies = rows(training, [5, 17]);
    const nearly = float32(
      [1, 8],
      rows(training, [40]).data.map((value) => value + 1e-3),
    );
    const generated = tensor(
      "float32",
      [23, 8],
      Float32Array.from([...fresh.data, ...copies.data, ...nearly.data]),
    );
    const { neighbours, copiedShare } = await memorisation(generated, training);
    expect(neighbours.flatMap(({ copied }, i) => (copied ? [i] : []))).toEqual([20, 21, 22]);
    expect(neighbours.slice(20).map(({ indices }) => indices[0])).toEqual([5, 17, 40]);
    expect(neighbours[20].distances[0]).toBe(0);
    expect(copiedShare).toBeCloseTo(3 / 23, 12);
  });
});
