import { describe, expect, it } from "vitest";
import { textAtStep } from "./plan.ts";
import { scheduleOf, type ScheduleOptions } from "./schedule.ts";

const schedule = (prompt: string, options: Partial<ScheduleOptions> = {}): [number, string][] =>
  scheduleOf(prompt, { steps: 10, ...options }).map(({ until, text }) => [until, text]);

describe("prompt editing", () => {
  it.each<[string, [number, string][]]>([
    ["test", [[10, "test"]]],
    [
      "a [b:3]",
      [
        [3, "a "],
        [10, "a b"],
      ],
    ],
    [
      "a [b::3]",
      [
        [3, "a b"],
        [10, "a "],
      ],
    ],
    [
      "a [b : c : 1] d",
      [
        [1, "a b  d"],
        [10, "a  c  d"],
      ],
    ],
    [
      "a [[[b]]:2]",
      [
        [2, "a "],
        [10, "a [[b]]"],
      ],
    ],
    [
      "a[b:[c:d:2]:1]e",
      [
        [1, "abe"],
        [2, "ace"],
        [10, "ade"],
      ],
    ],
    [
      "[(a:2):3]",
      [
        [3, ""],
        [10, "(a:2)"],
      ],
    ],
    [
      "a [b:.5] c",
      [
        [5, "a  c"],
        [10, "a b c"],
      ],
    ],
    ["[a:b:0]", [[10, "b"]]],
    ["[a:b:100]", [[10, "a"]]],
    ["esc \\[a:b:0.5\\]", [[10, "esc \\[a:b:0.5\\]"]]],
  ])("%j", (prompt, expected) => {
    expect(schedule(prompt)).toEqual(expected);
  });

  it("alternates at every step", () => {
    expect(schedule("[a|b|]x", { steps: 4 })).toEqual([
      [1, "ax"],
      [2, "bx"],
      [3, "x"],
      [4, "ax"],
    ]);
  });

  it("leaves text alone that only looks like an edit", () => {
    for (const prompt of [
      "a [unbalanced",
      "[a:b:c]",
      "(a|b)",
      "a|b",
      "trailing \\",
      "[a:b:c:0.5]",
      "a) b]",
    ])
      expect(schedule(prompt)).toEqual([[10, prompt]]);
  });

  it("edits what is well-formed in what is not", () => {
    expect(schedule("((a][:b:c [d:3]")).toEqual([
      [3, "((a][:b:c "],
      [10, "((a][:b:c d"],
    ]);
  });

  it("shifts numbers for the high-resolution pass", () => {
    expect(schedule("a [b:.5] c", { hiresSteps: 10 })).toEqual([[10, "a b c"]]);
    expect(schedule("a [b:1.5] c", { hiresSteps: 10 })).toEqual([
      [5, "a  c"],
      [10, "a b c"],
    ]);
    expect(schedule("a [b:12] c", { hiresSteps: 10 })).toEqual([
      [2, "a  c"],
      [10, "a b c"],
    ]);
    expect(schedule("a [b:.5] c", { hiresSteps: 4, oldScheduling: true })).toEqual([
      [5, "a  c"],
      [10, "a b c"],
    ]);
  });

  it("has a text for every step", () => {
    const texts = scheduleOf("[a:b:3]", { steps: 10 });
    expect([0, 3, 4, 10, 99].map((step) => textAtStep(texts, step))).toEqual([
      "a",
      "a",
      "b",
      "b",
      "a",
    ]);
  });

  it("takes hostile prompts in time in proportion to their length", () => {
    const deep = 50_000;
    expect(schedule(`${"[".repeat(deep)}a${":1]".repeat(deep)}`)).toHaveLength(2);
    expect(schedule("[".repeat(deep * 4))).toHaveLength(1);
    expect(schedule("[a|".repeat(deep) + "]".repeat(deep), { steps: 3 })).toHaveLength(3);
    expect(schedule(`[a:${" ".repeat(deep)}x]`)).toHaveLength(1);
    expect(() => schedule(`[a|b]${"word ".repeat(deep)}`, { steps: 10_000 })).toThrow(/too many/);
  }, 10_000);
});
