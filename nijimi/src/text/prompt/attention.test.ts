import { describe, expect, it } from "vitest";
import { parseAttention } from "./attention.ts";
import { parseConjunction } from "./conjunction.ts";
import { readLoraTag, takeNetworks } from "./networks.ts";

const weighted = (text: string): [string, number][] =>
  parseAttention(text).map(({ text: part, weight }) => [part, weight]);

describe("weighted text", () => {
  it.each<[string, [string, number][]]>([
    ["normal text", [["normal text", 1]]],
    ["", [["", 1]]],
    [
      "an (important) word",
      [
        ["an ", 1],
        ["important", 1.1],
        [" word", 1],
      ],
    ],
    ["[a]", [["a", 1 / 1.1]]],
    ["(unbalanced", [["unbalanced", 1.1]]],
    ["\\(literal\\]", [["(literal]", 1]]],
    ["(unnecessary)(parens)", [["unnecessaryparens", 1.1]]],
    [
      "(a [b] c:1.3)",
      [
        ["a ", 1.3],
        ["b", (1 / 1.1) * 1.3],
        [" c", 1.3],
      ],
    ],
    ["(a:1e3)", [["a:1e3", 1.1]]],
    ["( a : １.５ )", [[" a ", 1.5]]],
    ["a) b]", [["a) b]", 1]]],
    [
      "a  BREAK b BREAKx",
      [
        ["a", 1],
        ["BREAK", -1],
        ["b BREAKx", 1],
      ],
    ],
    [
      "(a BREAK b:1.2)",
      [
        ["a", 1.2],
        ["BREAK", -1.2],
        ["b", 1.2],
      ],
    ],
  ])("%j", (text, expected) => {
    expect(weighted(text)).toEqual(expected);
  });

  it("multiplies weights within each other", () => {
    expect(weighted("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).")).toEqual([
      ["a ", 1],
      ["house", 1.3 * 1.1 * 1.1],
      [" ", 1.1],
      ["on", 1],
      [" a ", 1.1],
      ["hill", 0.5 * 1.1],
      [", sun, ", 1.1],
      ["sky", 1.1 * 1.1 * 1.1 * 1.1],
      [".", 1.1],
    ]);
  });

  it("refuses weights that are no numbers", () => {
    expect(() => parseAttention("(a:1.2.3)")).toThrow(/"1.2.3" is not a number/);
  });

  it("survives hostile nesting", () => {
    expect(weighted("(".repeat(200_000) + ")".repeat(200_000))).toEqual([["", 1]]);
    expect(() => parseAttention("(a ".repeat(100_000))).toThrow(/within each other/);
    for (const text of [
      `${" ".repeat(200_000)}BREA`,
      `:${"1".repeat(200_000)}`,
      `(${": ".repeat(100_000)}`,
    ])
      parseAttention(text);
  }, 10_000);
});

describe("conjunctions", () => {
  it("splits at AND and reads each part's weight", () => {
    expect(parseConjunction("a cat :1.2 AND a dog AND a penguin :-2.2 ")).toEqual([
      { text: "a cat", weight: 1.2 },
      { text: " a dog", weight: 1 },
      { text: " a penguin", weight: -2.2 },
    ]);
    expect(parseConjunction("SAND ANDY x:1:2")).toEqual([{ text: "SAND ANDY x:1", weight: 2 }]);
    expect(parseConjunction("")).toEqual([{ text: "", weight: 1 }]);
  });
});

describe("extra networks", () => {
  it("are taken out of the prompt", () => {
    const { text, tags } = takeNetworks(
      "a <lora:ink:0.8> cat<hypernet:x> <b> <lora:two:0.5:unet=0.25",
    );
    expect(text).toBe("a  cat <b> <lora:two:0.5:unet=0.25");
    expect(tags).toEqual([
      { kind: "lora", positional: ["ink", "0.8"], named: {} },
      { kind: "hypernet", positional: ["x"], named: {} },
    ]);
  });

  it("give a LoRA's weights", () => {
    const read = (prompt: string) => readLoraTag(takeNetworks(prompt).tags[0]);
    expect(read("<lora:ink>")).toEqual({ name: "ink", textWeight: 1, unetWeight: 1 });
    expect(read("<lora:ink:0.8>")).toEqual({ name: "ink", textWeight: 0.8, unetWeight: 0.8 });
    expect(read("<lora:ink:0.8:0.5>")).toEqual({ name: "ink", textWeight: 0.8, unetWeight: 0.5 });
    expect(read("<lora:ink:unet=0.25:te=2>")).toEqual({
      name: "ink",
      textWeight: 2,
      unetWeight: 0.25,
    });
    expect(() => read("<lora:ink:much>")).toThrow(/"much" is not a number/);
  });

  it("are found in time in proportion to the prompt", () => {
    takeNetworks("<a:".repeat(200_000));
    expect(takeNetworks("<a:b>".repeat(50_000)).tags).toHaveLength(50_000);
  }, 5000);
});
