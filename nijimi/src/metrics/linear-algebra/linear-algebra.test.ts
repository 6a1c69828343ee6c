import { describe, expect, test } from "vitest";
import { torchGenerator } from "../../tensor/random/torch.ts";
import { engineProduct } from "./engine-product.ts";
import { hostProduct } from "./product.ts";
import { semidefiniteCholesky } from "./semidefinite-cholesky.ts";
import { symmetricEigenvalues } from "./symmetric-eigenvalues.ts";
import { traceSqrtProduct } from "./trace-sqrt-product.ts";
import { tridiagonalEigenvalues } from "./tridiagonal-eigenvalues.ts";

const normal = (size: number, seed: number): Float64Array =>
  torchGenerator(seed).randn([size], "float64").data;

/** x xᵀ / k of a random [n, k]: positive semi-definite of rank min(n, k). */
const covariance = (n: number, k: number, seed: number): Promise<Float64Array> => {
  const x = normal(n * k, seed).map(
    (value, i) => (value / Math.sqrt(k)) * (1 + Math.floor(i / k) / n),
  );
  return hostProduct(x, x, n, k, n);
};

const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);
const trace = (m: Float64Array, n: number): number => sum(m.filter((_, i) => i % (n + 1) === 0));
const largestDifference = (a: Float64Array, b: Float64Array): number =>
  a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i])), 0);

describe("products", () => {
  test.each([
    [1, 1, 1],
    [2, 5, 3],
    [7, 4, 6],
  ])("a·bᵀ for %i × %i × %i is the sum of products", async (rows, inner, columns) => {
    const a = normal(rows * inner, 1);
    const b = normal(columns * inner, 2);
    const expected = Float64Array.from({ length: rows * columns }, (_, at) => {
      let total = 0;
      for (let k = 0; k < inner; k++)
        total += a[Math.floor(at / columns) * inner + k] * b[(at % columns) * inner + k];
      return total;
    });
    expect(largestDifference(await hostProduct(a, b, rows, inner, columns), expected)).toBeLessThan(
      1e-14,
    );
  });

  test("the engine multiplies as the host does, in both precisions", async () => {
    const { product, dispose } = engineProduct();
    const a = normal(30 * 20, 1);
    const b = normal(25 * 20, 2);
    const expected = await hostProduct(a, b, 30, 20, 25);
    expect(largestDifference(await product(a, b, 30, 20, 25), expected)).toBeLessThan(1e-13);
    const single = await product(new Float32Array(a), new Float32Array(b), 30, 20, 25);
    expect(single).toBeInstanceOf(Float32Array);
    expect(largestDifference(new Float64Array(single), expected)).toBeLessThan(1e-5);
    await dispose();
  });
});

describe("eigenvalues", () => {
  test("of the second difference matrix are 2 − 2 cos(kπ / (n + 1))", () => {
    const n = 200;
    const got = tridiagonalEigenvalues(
      new Float64Array(n).fill(2),
      new Float64Array(n - 1).fill(-1),
    );
    const expected = Float64Array.from(
      { length: n },
      (_, k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)),
    );
    expect(largestDifference(got, expected)).toBeLessThan(1e-14);
  });

  test.each([1, 2, 3, 64, 67, 150])(
    "of a random symmetric matrix of %i rows keep tr A and tr A²",
    async (n) => {
      const a = await covariance(n, n + 5, n);
      const values = await symmetricEigenvalues(a.slice(), n, hostProduct);
      expect(values.length).toBe(n);
      expect(Math.abs(sum(values) / trace(a, n) - 1)).toBeLessThan(1e-13);
      expect(Math.abs(sum(values.map((v) => v * v)) / sum(a.map((v) => v * v)) - 1)).toBeLessThan(
        1e-12,
      );
    },
  );

  test("of a graded matrix converge in both orientations", async () => {
    const n = 90;
    const scale = (i: number): number => 10 ** (-i / 6);
    const c = await covariance(n, n, 3);
    const graded = c.map((value, at) => value * scale(Math.floor(at / n)) * scale(at % n));
    const reversed = graded.slice().reverse();
    const down = await symmetricEigenvalues(graded, n, hostProduct);
    const up = await symmetricEigenvalues(reversed, n, hostProduct);
    expect(largestDifference(down, up)).toBeLessThan(1e-14 * down[n - 1]);
  });

  test("of a block-diagonal and of a zero matrix", async () => {
    const blocks = Float64Array.of(2, 1, 0, 0, 1, 2, 0, 0, 0, 0, 5, 0, 0, 0, 0, 7);
    expect(
      largestDifference(
        await symmetricEigenvalues(blocks, 4, hostProduct),
        Float64Array.of(1, 3, 5, 7),
      ),
    ).toBeLessThan(1e-15);
    expect(await symmetricEigenvalues(new Float64Array(9), 3, hostProduct)).toEqual(
      new Float64Array(3),
    );
  });
});

describe("Cholesky factorisation of semi-definite matrices", () => {
  test.each([
    [5, 9, 5],
    [80, 200, 80],
    [80, 30, 30],
    [130, 1, 1],
  ])("of %i rows from %i samples has rank %i", async (n, samples, rank) => {
    const a = await covariance(n, samples, 7);
    const factor = await semidefiniteCholesky(a, n, hostProduct);
    expect(factor.rank).toBe(rank);
    const back = new Float64Array(n * n);
    for (let r = 0; r < rank; r++)
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++)
          back[i * n + j] += factor.rows[r * n + i] * factor.rows[r * n + j];
    expect(largestDifference(back, a)).toBeLessThan(1e-13);
  });

  test("features that never vary take no row, wherever they stand", async () => {
    const a = Float64Array.of(0, 0, 0, 0, 4, 2, 0, 2, 5);
    const { rank, rows } = await semidefiniteCholesky(a, 3, hostProduct);
    expect(rank).toBe(2);
    expect(rows).toEqual(Float64Array.of(0, 2, 1, 0, 0, 2));
  });

  test("NaN is refused", async () => {
    await expect(
      semidefiniteCholesky(Float64Array.of(1, NaN, NaN, 1), 2, hostProduct),
    ).rejects.toThrow(/NaN/);
    await expect(semidefiniteCholesky(Float64Array.of(NaN), 1, hostProduct)).rejects.toThrow(/NaN/);
  });
});

describe("tr √(AB)", () => {
  test("of diagonal matrices is Σ √(ab)", async () => {
    const a = Float64Array.of(4, 0, 0, 0, 9, 0, 0, 0, 0);
    const b = Float64Array.of(1, 0, 0, 0, 16, 0, 0, 0, 25);
    expect(await traceSqrtProduct(a, b, 3, hostProduct)).toBeCloseTo(2 + 12, 13);
  });

  test.each([
    [40, 100, 100],
    [100, 30, 200],
    [100, 30, 20],
  ])("n = %i from %i and %i samples: tr A for A = B, and symmetric", async (n, m1, m2) => {
    const a = await covariance(n, m1, 1);
    const b = await covariance(n, m2, 2);
    expect(Math.abs((await traceSqrtProduct(a, a, n, hostProduct)) - trace(a, n))).toBeLessThan(
      1e-10,
    );
    const ab = await traceSqrtProduct(a, b, n, hostProduct);
    const ba = await traceSqrtProduct(b, a, n, hostProduct);
    expect(Math.abs(ab / ba - 1)).toBeLessThan(1e-6); // zero eigenvalues come back as √ε
  });
});
