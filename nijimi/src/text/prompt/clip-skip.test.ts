import { describe, expect, it } from "vitest";
import { hiddenStateFor } from "./clip-skip.ts";

describe("clip skip", () => {
  it("is counted as each program counts it", () => {
    const sd = { family: "sd", layers: 12 } as const;
    const [a1111, diffusers] = [
      { ...sd, convention: "a1111" },
      { ...sd, convention: "diffusers" },
    ] as const;
    expect(hiddenStateFor(a1111)).toEqual({ fromEnd: 1, normalize: true });
    expect(hiddenStateFor({ ...a1111, clipSkip: 2 })).toEqual({ fromEnd: 2, normalize: true });
    expect(hiddenStateFor(diffusers)).toEqual({ fromEnd: 1, normalize: true });
    expect(hiddenStateFor({ ...diffusers, clipSkip: 1 })).toEqual({ fromEnd: 2, normalize: true });
  });

  it("begins before the last layer in SDXL", () => {
    const sdxl = { family: "sdxl", layers: 32 } as const;
    expect(hiddenStateFor({ ...sdxl, convention: "diffusers" })).toEqual({
      fromEnd: 2,
      normalize: false,
    });
    expect(hiddenStateFor({ ...sdxl, convention: "diffusers", clipSkip: 1 })).toEqual({
      fromEnd: 3,
      normalize: false,
    });
    expect(hiddenStateFor({ ...sdxl, convention: "a1111", clipSkip: 5 })).toEqual({
      fromEnd: 2,
      normalize: false,
    });
  });

  it("has as many steps as the encoder has layers", () => {
    const options = { family: "sd", layers: 12, convention: "a1111" } as const;
    expect(hiddenStateFor({ ...options, clipSkip: 13 }).fromEnd).toBe(13);
    expect(() => hiddenStateFor({ ...options, clipSkip: 14 })).toThrow(/takes 1 to 13/);
    expect(() => hiddenStateFor({ ...options, clipSkip: 0 })).toThrow(/takes 1 to 13/);
  });
});
