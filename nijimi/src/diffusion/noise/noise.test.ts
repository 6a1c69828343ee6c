import { describe, expect, it } from "vitest";
import { torchGenerator } from "../../tensor/random/torch.ts";
import { brownianNoise } from "./brownian-noise.ts";
import { brownianTree } from "./brownian-tree.ts";
import { imageNoise } from "./image-noise.ts";
import { seedSequenceWords } from "./seed-sequence.ts";
import { slerp } from "./slerp.ts";

const interval = { sigma: 1, sigmaNext: 0.5 };

function variance(data: Float32Array): number {
  return data.reduce((sum, value) => sum + value * value, 0) / data.length;
}

describe("seedSequenceWords", () => {
  // numpy.random.SeedSequence(entropy, spawn_key=…, pool_size=…).generate_state(3)
  it.each([
    [0n, {}, [2968811710, 3677149159, 745650761]],
    [42n, {}, [3444837047, 2669555309, 2046530742]],
    [2n ** 63n - 1n, { poolSize: 24 }, [3933966826, 1740585616, 1226780579]],
    [7n, { spawnKey: [3, 2], poolSize: 24 }, [136233753, 1309325778, 1961886070]],
  ] as const)("%s", (entropy, options, expected) => {
    expect([...seedSequenceWords(entropy, 3, options)]).toEqual([...expected]);
  });

  it("refuses negative entropy", () => {
    expect(() => seedSequenceWords(-1, 1)).toThrow(/whole number ≥ 0/);
  });
});

describe("brownianTree", () => {
  const tree = () => brownianTree({ shape: [2000], start: 0, end: 10, seed: 3 });

  it("has increments of the right variance", () => {
    for (const [from, to] of [
      [0, 10],
      [1, 1.5],
      [7.25, 9],
    ] as const)
      expect(variance(tree().increment(from, to)) / (to - from)).toBeCloseTo(1, 0.9);
  });

  it("gives the same path in whatever order and pieces it is asked", () => {
    const a = tree();
    const whole = a.increment(2, 6);
    const b = tree();
    const pieces = [b.increment(4.5, 6), b.increment(2, 3.123456), b.increment(3.123456, 4.5)];
    whole.forEach((value, i) =>
      expect(pieces[0][i] + pieces[1][i] + pieces[2][i]).toBeCloseTo(value, 4),
    );
    expect(a.increment(2, 6)).toEqual(whole);
  });

  it("has independent increments", () => {
    const [a, b] = [tree().increment(1, 2), tree().increment(2, 3)];
    expect(Math.abs(a.reduce((sum, value, i) => sum + value * b[i], 0) / 2000)).toBeLessThan(0.08);
  });

  it("stays at its ends and refuses falling times", () => {
    expect(
      tree()
        .increment(-5, 0)
        .every((value) => value === 0),
    ).toBe(true);
    expect(() => tree().increment(2, 1)).toThrow(/must not fall/);
  });
});

describe("brownianNoise", () => {
  const options = { sigmaMin: 0.03, sigmaMax: 14.6 };

  it("has unit variance over any interval", () => {
    const noise = brownianNoise({ ...options, shape: [1, 4000], seed: [1] });
    for (const pair of [
      { sigma: 14.6, sigmaNext: 3 },
      { sigma: 0.5, sigmaNext: 0.4 },
    ])
      expect(variance(noise([1, 4000], pair).data)).toBeCloseTo(1, 1);
  });

  it("gives every image its own path, whatever the batch", () => {
    const both = brownianNoise({ ...options, shape: [2, 3, 3], seed: [5, 6] })([2, 3, 3], interval);
    const second = brownianNoise({ ...options, shape: [1, 3, 3], seed: [6] })([1, 3, 3], interval);
    expect(both.data.slice(9)).toEqual(second.data);
  });

  it("refuses another shape, a wrong number of seeds and an empty range", () => {
    const noise = brownianNoise({ ...options, shape: [2, 3], seed: 1 });
    expect(() => noise([3, 3], interval)).toThrow(/made for \[2,3\], asked for \[3,3\]/);
    expect(() => brownianNoise({ ...options, shape: [2, 3], seed: [1] })).toThrow(
      /needs as many seeds/,
    );
    expect(() => brownianNoise({ shape: [1], seed: 1, sigmaMin: 1, sigmaMax: 1 })).toThrow(
      /sigmaMin < sigmaMax/,
    );
  });
});

describe("slerp", () => {
  const [low, high] = [torchGenerator(1).randn([4, 8, 8]), torchGenerator(2).randn([4, 8, 8])];

  it("ends at both noises and keeps their size between", () => {
    slerp(0, low, high).data.forEach((value, i) => expect(value).toBeCloseTo(low.data[i], 5));
    slerp(1, low, high).data.forEach((value, i) => expect(value).toBeCloseTo(high.data[i], 5));
    expect(variance(slerp(0.5, low, high).data)).toBeGreaterThan(0.8);
  });

  it("refuses noises of different shapes", () => {
    expect(() => slerp(0.5, low, torchGenerator(2).randn([4, 8, 4]))).toThrow(/one shape/);
  });
});

describe("imageNoise", () => {
  const shape = [4, 8, 8] as const;
  const draw = ({ steps }: ReturnType<typeof imageNoise>) => steps([2, ...shape], interval).data;

  it("gives an image the same noise in any batch", () => {
    const both = imageNoise({ shape, seeds: [1, 2] });
    const second = imageNoise({ shape, seeds: [2] });
    expect(both.start.data.slice(256)).toEqual(second.start.data);
    expect(draw(both).slice(256)).toEqual(draw(second));
  });

  it("starts like torch", () => {
    expect(imageNoise({ shape, seeds: [42] }).start.data[0]).toBeCloseTo(1.92692, 5);
  });

  it("changes little with a little variation", () => {
    const plain = imageNoise({ shape, seeds: [1] }).start.data;
    const varied = imageNoise({ shape, seeds: [1], variationSeeds: [9], variationStrength: 0.1 })
      .start.data;
    const distance = Math.sqrt(
      plain.reduce((sum, value, i) => sum + (value - varied[i]) ** 2, 0) / plain.length,
    );
    expect(distance).toBeGreaterThan(0.01);
    expect(distance).toBeLessThan(0.5);
  });

  it("keeps the middle when the size changes", () => {
    const small = imageNoise({ shape: [4, 4, 4], seeds: [1] }).start.data;
    const large = imageNoise({ shape, seeds: [1], resizeFrom: [4, 4] }).start.data;
    expect(large.slice(2 * 8 + 2, 2 * 8 + 6)).toEqual(small.slice(0, 4));
  });

  it("draws the steps from other seeds with ENSD", () => {
    const [plain, shifted] = [
      imageNoise({ shape, seeds: [1] }),
      imageNoise({ shape, seeds: [1], stepSeedDelta: 31337 }),
    ];
    expect(shifted.start.data).toEqual(plain.start.data);
    expect(draw(shifted)).toEqual(imageNoise({ shape, seeds: [1 + 31337] }).start.data);
  });

  it.each([
    [{ seeds: [] }, /seeds are empty/],
    [{ variationStrength: 2 }, /between 0 and 1/],
    [{ source: "gpu" as "nv" }, /"cpu" or "nv"/],
    [{ resizeFrom: [0, 4] as const }, /sizes must be/],
  ])("refuses %j", (wrong, message) => {
    expect(() => imageNoise({ shape, seeds: [1], ...wrong })).toThrow(message);
  });
});
