import { describe, expect, test } from "vitest";
import { isNijimiError } from "../../errors.ts";
import { cast, toFloat64 } from "../convert.ts";
import { float32, type Tensor } from "../tensor.ts";
import { deriveSeed, splitSeed } from "./derive.ts";
import { mt19937 } from "./mt19937.ts";
import { numpyRandomState } from "./numpy.ts";
import { philoxGenerator } from "./philox.ts";
import { perImage, restoreRandom } from "./streams.ts";
import { torchGenerator, type DrawDType } from "./torch.ts";

const values = (x: Tensor) => [...toFloat64(x)];

function moments(x: Tensor): { mean: number; variance: number; kurtosis: number } {
  const data = toFloat64(x);
  const mean = data.reduce((a, b) => a + b, 0) / data.length;
  const centred = (power: number) =>
    data.reduce((a, b) => a + (b - mean) ** power, 0) / data.length;
  return { mean, variance: centred(2), kurtosis: centred(4) / centred(2) ** 2 };
}

test("the twister's 10,000th word for seed 5489 is the published one", () => {
  const engine = mt19937(5489n);
  engine.fill(new Uint32Array(9999));
  expect(engine.uint32()).toBe(4123659995); // C++ standard, [rand.predef]
});

describe("torch", () => {
  test("latents of seed 42 begin as everybody's do", () => {
    const start = values(torchGenerator(42).randn([1, 4, 64, 64])).slice(0, 4);
    [1.92692, 1.48728, 0.90072, -2.10552].forEach((value, i) =>
      expect(start[i]).toBeCloseTo(value, 5),
    );
  });

  test("known float32 values of seed 0", () => {
    expect(values(torchGenerator(0).rand([2]))).toEqual([0.49625658988952637, 0.7682217955589294]);
    expect(values(torchGenerator(0).randn([3])).map((v) => v.toFixed(4))).toEqual([
      "1.5410",
      "-0.2934",
      "-2.1788",
    ]);
    expect(values(torchGenerator(0).randperm(5))).toEqual([4, 0, 1, 3, 2]);
  });

  test("a short draw keeps its second normal, whatever is drawn in between", () => {
    const [a, b] = values(torchGenerator(3).randn([2], "float64"));
    const generator = torchGenerator(3);
    expect(values(generator.randn([1], "float64"))).toEqual([a]);
    generator.rand([5]);
    expect(values(generator.randn([1], "float64"))).toEqual([b]);
  });

  test("sizes that are no multiple of 16 redraw the last 16 with the words after the others", () => {
    const generator = torchGenerator(9);
    const whole = values(generator.randn([32]));
    const redrawn = values(torchGenerator(9).randn([20]));
    expect(redrawn.slice(0, 4)).toEqual(whole.slice(0, 4));
    const shifted = torchGenerator(9);
    shifted.rand([20]);
    expect(redrawn.slice(4)).toEqual(values(shifted.randn([16])));
  });

  test("seeds wrap to 64 bits and the generator uses the low 32", () => {
    const draw = (seed: number | bigint) => values(torchGenerator(seed).rand([4]));
    expect(torchGenerator(-1).seed).toBe(2n ** 64n - 1n);
    expect(draw(-1)).toEqual(draw(2n ** 32n - 1n));
    expect(draw(2 ** 32 + 7)).toEqual(draw(7));
  });

  test.each<DrawDType>(["float32", "float64"])(
    "normal %s numbers have the moments of N(2, 3²)",
    (dtype) => {
      const { mean, variance, kurtosis } = moments(
        torchGenerator(1).normal([200_000], 2, 3, dtype),
      );
      expect(Math.abs(mean - 2)).toBeLessThan(4 * (3 / Math.sqrt(200_000)));
      expect(Math.abs(variance / 9 - 1)).toBeLessThan(0.02);
      expect(Math.abs(kurtosis - 3)).toBeLessThan(0.06);
    },
  );

  test("exponential, bernoulli and multinomial have their means", () => {
    const generator = torchGenerator(5);
    expect(moments(generator.exponential([50_000], 4)).mean).toBeCloseTo(0.25, 2);
    expect(moments(generator.bernoulli([50_000], 0.3)).mean).toBeCloseTo(0.3, 1);
    const drawn = values(
      generator.multinomial(float32([3], [1, 0, 3]), 20_000, { replacement: true }),
    );
    expect(drawn.filter((i) => i === 2).length / 20_000).toBeCloseTo(0.75, 1);
    expect(drawn).not.toContain(1);
  });

  test("drawing without replacement is a choice of distinct indices per row", () => {
    const drawn = torchGenerator(5).multinomial(float32([2, 4], [1, 1, 1, 1, 5, 1, 1, 1]), 4);
    expect(drawn.shape).toEqual([2, 4]);
    for (const row of [values(drawn).slice(0, 4), values(drawn).slice(4)])
      expect(row.toSorted()).toEqual([0, 1, 2, 3]);
  });

  test("randint covers every range up to 64 bits and casts", () => {
    const generator = torchGenerator(8);
    const narrow = values(generator.randint(-3, 4, [1000], "int32"));
    expect([Math.min(...narrow), Math.max(...narrow)]).toEqual([-3, 3]);
    const wide = generator.randint(-(2n ** 63n), 2n ** 63n - 1n, [100]).data;
    expect(wide.some((v) => v > 2n ** 60n) && wide.some((v) => v < -(2n ** 60n))).toBe(true);
  });

  test("half types are drawn in their own precision", () => {
    for (const dtype of ["float16", "bfloat16"] as const) {
      const x = torchGenerator(2).randn([40], dtype);
      expect(x.data).toEqual(cast(cast(x, "float32"), dtype).data);
      expect(values(x)).not.toEqual(values(cast(torchGenerator(2).randn([40]), dtype)));
    }
  });

  test("a state saved as JSON continues exactly, the cached normal included", () => {
    const generator = torchGenerator(11);
    generator.randn([3]);
    const state = JSON.parse(JSON.stringify(generator.state()));
    const next = [values(generator.randn([2])), values(generator.rand([700]))];
    const restored = restoreRandom(state) as typeof generator;
    expect([values(restored.randn([2])), values(restored.rand([700]))]).toEqual(next);
    expect(restored.seed).toBe(11n);
  });

  test.each<[string, () => unknown]>([
    ["seed", () => torchGenerator(1.5)],
    ["seed", () => torchGenerator(2n ** 64n)],
    ["low < high", () => torchGenerator(1).randint(4, 4, [1])],
    ["replacement", () => torchGenerator(1).multinomial(float32([2], [1, 1]), 3)],
    ["sum to 0", () => torchGenerator(1).multinomial(float32([2], [0, 0]), 1)],
    ["between 0 and 1", () => torchGenerator(1).bernoulli([1], 1.5)],
    ["624 words", () => torchGenerator({ ...torchGenerator(1).state(), words: [1] })],
  ])("refuses what torch refuses: %s", (message, act) => {
    expect(act).toThrow(new RegExp(message, "i"));
    expect(isNijimiError(catchError(act))).toBe(true);
  });
});

function catchError(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

describe("numpy", () => {
  test("known values of seed 0", () => {
    expect(values(numpyRandomState(0).rand([2]))).toEqual([0.5488135039273248, 0.7151893663724195]);
    expect(values(numpyRandomState(0).randn([2]))).toEqual([1.764052345967664, 0.4001572083672233]);
    expect(values(numpyRandomState(0).randint(0, 100, [4]))).toEqual([44, 47, 64, 67]);
  });

  test("choice without replacement is distinct and leaves out what has no probability", () => {
    const drawn = values(
      numpyRandomState(1).choice(5, [4], { p: [0.1, 0.2, 0, 0.3, 0.4], replace: false }),
    );
    expect(drawn.toSorted()).toEqual([0, 1, 3, 4]);
  });

  test("continues from a saved state", () => {
    const generator = numpyRandomState(3);
    generator.randn([3]);
    const state = generator.state();
    expect(values(numpyRandomState(state).randn([5]))).toEqual(values(generator.randn([5])));
  });
});

describe("philox", () => {
  test("known vector of the authors: counter and key of zeros", () => {
    // Words 0 and 1 of philox4x32-10 for zeros are 6627e8d5 and e169c58d.
    const unit = (word: number) => (word + 0.5) / 2 ** 32;
    const expected =
      Math.sqrt(-2 * Math.log(unit(0x6627e8d5))) * Math.sin(2 * Math.PI * unit(0xe169c58d));
    expect(values(philoxGenerator(0).randn([1]))[0]).toBeCloseTo(expected, 6);
  });

  test("every call is a new draw, and an element does not depend on the size", () => {
    const generator = philoxGenerator(7);
    const first = values(generator.randn([4]));
    const restored = restoreRandom(
      JSON.parse(JSON.stringify(generator.state())),
    ) as typeof generator;
    expect(values(generator.randn([8])).slice(0, 4)).not.toEqual(first);
    expect(values(restored.randn([2]))).toEqual(
      values(philoxGenerator({ kind: "philox", seed: "7", offset: 1 }).randn([8])).slice(0, 2),
    );
  });
});

describe("streams", () => {
  test("an image is the same whatever batch it is drawn in", () => {
    const shape = [4, 8, 8];
    const batch = perImage([1, 2, 3].map((seed) => torchGenerator(seed))).randn([3, ...shape]);
    expect(values(batch).slice(256, 512)).toEqual(values(torchGenerator(2).randn([1, ...shape])));
  });

  test("refuses a batch of another size", () => {
    expect(() => perImage([torchGenerator(1)]).randn([2, 3])).toThrow(/1 streams.*batch of 2/);
  });

  test("derived seeds differ by every label and are reproducible", () => {
    const seeds = [
      deriveSeed(1),
      deriveSeed(1, "noise"),
      deriveSeed(2, "noise"),
      deriveSeed(1, "noise", 0),
      deriveSeed(1, "noise", "0"),
      deriveSeed(1, "no", "ise"),
      ...splitSeed(1, 1000),
    ];
    expect(new Set(seeds.map((seed) => BigInt.asUintN(32, seed))).size).toBe(seeds.length);
    expect(deriveSeed(1, "noise", 3)).toBe(deriveSeed(1n, "noise", 3n));
  });
});
