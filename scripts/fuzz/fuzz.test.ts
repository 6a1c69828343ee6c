import { describe, expect, it } from "vitest";
import { NijimiError } from "nijimi";
import { fuzz } from "./fuzz.ts";
import { makeInput } from "./input.ts";
import { peakMemory, runWithin } from "./limits.ts";
import { makeRandom } from "./random.ts";
import type { Target } from "./target.ts";
import { targets } from "./targets/index.ts";

describe("the parsers", () => {
  it("survive 10,000 mutated inputs", { timeout: 300_000 }, async () => {
    const { inputs, findings } = await fuzz({ targets, seed: 20240607, inputs: 10_000 });
    expect(Object.values(inputs).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(
      10_000,
    );
    expect(findings).toEqual([]);
  });
});

describe("the fuzzer", () => {
  const input = () => ({ bytes: new Uint8Array(0), random: makeRandom(1) });
  const target = (run: Target["run"]): Target => ({
    name: "x",
    share: 1,
    material: async () => ({ seeds: [] }),
    run,
  });

  it("makes the same input from the same numbers, and others from others", async () => {
    for (const candidate of targets) {
      const material = await candidate.material();
      const first = makeInput(candidate, material, 7, 11).bytes;
      expect(makeInput(candidate, material, 7, 11).bytes).toEqual(first);
    }
    const [one] = targets;
    const material = await one.material();
    const different = new Set(
      Array.from({ length: 100 }, (_, i) => String(makeInput(one, material, 7, i).bytes)),
    );
    expect(different.size).toBeGreaterThan(90);
  });

  it.each<[string, Target["run"], string | undefined]>([
    ["nothing in an input that is read", async () => {}, undefined],
    [
      "nothing in one that is refused",
      async () => Promise.reject(new NijimiError("format", "x")),
      undefined,
    ],
    ["an error of another family", async () => void [].reduce((a) => a), "error"],
    ["a broken invariant", async () => Promise.reject(new NijimiError("internal", "x")), "error"],
    ["a second of work", async () => spin(1300), "hang"],
    ["300 MB", async () => void new Uint8Array(3e8).fill(1), "memory"],
  ])("finds %s", async (_, run, kind) => {
    expect((await runWithin(target(run), input(), peakMemory()))?.kind).toBe(kind);
  });
});

/** Uses the processor for some milliseconds. */
function spin(milliseconds: number): void {
  const { user } = process.cpuUsage();
  while (process.cpuUsage().user - user < milliseconds * 1000);
}
