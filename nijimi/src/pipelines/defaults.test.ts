import { expect, it } from "vitest";
import { DEFAULT_KEYS, samplingDefaults } from "./defaults.ts";

it("takes what the model says, else what is usual for its family", () => {
  expect(samplingDefaults({ settings: {}, isSdxl: false })).toEqual({
    steps: 25,
    guidanceScale: 7.5,
  });
  expect(samplingDefaults({ settings: {}, isSdxl: true }).guidanceScale).toBe(5);
  const settings = { [DEFAULT_KEYS.steps]: 20, [DEFAULT_KEYS.guidanceScale]: 3 };
  expect(samplingDefaults({ settings, isSdxl: false })).toEqual({ steps: 20, guidanceScale: 3 });
});

it("passes over what cannot be meant", () => {
  const settings = { [DEFAULT_KEYS.steps]: "many", [DEFAULT_KEYS.guidanceScale]: 0 };
  expect(samplingDefaults({ settings, isSdxl: false })).toEqual({
    steps: 25,
    guidanceScale: 7.5,
  });
});
