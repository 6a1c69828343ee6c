import { expect, it } from "vitest";
import { COMPOSITIONS, WITHHELD_EMOJI, withheldKeys } from "./split.ts";
import { splitProblems } from "./split-check.ts";

it("withholds at least 80 emoji and 40 compositions, each once", () => {
  expect(WITHHELD_EMOJI.length).toBeGreaterThanOrEqual(80);
  expect(COMPOSITIONS.length).toBeGreaterThanOrEqual(40);
  const keys = withheldKeys();
  expect(new Set(keys).size).toBe(keys.length);
  expect(new Set(COMPOSITIONS).size).toBe(COMPOSITIONS.length);
});

it("finds words that nothing else teaches, and compositions that have a picture", () => {
  const withheld = WITHHELD_EMOJI.flatMap(({ key, caption, variants }) =>
    [key, ...variants].map((own) => ({ key: own, caption })),
  );
  const words = [...WITHHELD_EMOJI.map(({ caption }) => caption), ...COMPOSITIONS].join(" ");
  const whole = [...withheld, { key: "all", caption: words }];
  expect(splitProblems(whole)).toEqual([]);
  expect(splitProblems([...whole, { key: "one", caption: COMPOSITIONS[0] }])).toEqual([
    `"${COMPOSITIONS[0]}" has a picture.`,
  ]);
  expect(splitProblems([...withheld, { key: "some", caption: "heart" }])).toContain(
    '"purple heart": no other caption has "purple".',
  );
  expect(splitProblems(whole.slice(1))).toContain("There is no 1f49c.");
});
