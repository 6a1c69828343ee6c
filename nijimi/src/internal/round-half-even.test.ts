import { expect, it } from "vitest";
import { roundHalfEven } from "./round-half-even.ts";

it("rounds halves to even", () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4].map(roundHalfEven)).toEqual([0, 2, 2, 0, -2, 2]);
});
