import { describe, expect, it } from "vitest";
import { type Options, readOptions } from "./options.ts";

const OPTIONS = {
  prompt: { type: "argument", description: "What to draw" },
  output: { type: "argument", optional: true, description: "Where to" },
  steps: {
    type: "number",
    integer: true,
    min: 1,
    max: 1000,
    default: 20,
    alias: "n",
    description: "Steps",
  },
  guidanceScale: { type: "number", description: "Guidance" },
  sampler: { type: "choice", choices: ["euler", "heun"], default: "euler", description: "Sampler" },
  negative: { type: "string", description: "Negative prompt" },
  preview: { type: "boolean", default: true, description: "Show previews" },
  tiled: { type: "boolean", description: "Decode in tiles" },
  set: { type: "list", description: "Setting" },
} as const satisfies Options;

const read = (...line: string[]) => readOptions(OPTIONS, line);

describe("readOptions", () => {
  it("gives defaults, undefined for what is absent, and false for absent flags", () => {
    expect(read("a cat")).toEqual({
      prompt: "a cat",
      output: undefined,
      steps: 20,
      guidanceScale: undefined,
      sampler: "euler",
      negative: undefined,
      preview: true,
      tiled: false,
      set: [],
    });
  });

  it.each([
    [["p", "--steps", "5"], { steps: 5 }],
    [["p", "-n", "5"], { steps: 5 }],
    [["p", "-n=5"], { steps: 5 }],
    [["--guidance-scale", "-1.5", "p"], { guidanceScale: -1.5, prompt: "p" }],
    [["p", "--guidance-scale=1e3"], { guidanceScale: 1000 }],
    [["p", "--sampler", "heun", "--sampler", "euler"], { sampler: "euler" }],
    [["p", "--no-preview", "--tiled"], { preview: false, tiled: true }],
    [["p", "--negative", "--no-hands"], { negative: "--no-hands", prompt: "p" }],
    [["p", "--negative=a=b"], { negative: "a=b" }],
    [["p", "--negative="], { negative: "" }],
    [["--set", "a=1", "p", "--set=b=[1, 2]"], { set: ["a=1", "b=[1, 2]"] }],
    [["--", "--steps", "-"], { prompt: "--steps", output: "-", steps: 20 }],
  ] as const)("reads %j", (line, expected) => {
    expect(read(...line)).toMatchObject(expected);
  });

  it.each([
    [["p", "--step", "5"], 'Unknown option "--step". Did you mean "--steps"'],
    [["p", "--guidanceScale", "5"], 'Did you mean "--guidance-scale"'],
    [["p", "-x"], 'Unknown option "-x"'],
    [["p", "-x"], "--preview, --no-preview, --tiled, --set"],
    [["p", "--steps"], "--steps needs a value: Steps."],
    [["p", "--steps", "--tiled"], "--steps needs a value"],
    [["p", "--steps", "many"], '--steps must be a whole number ≥ 1 and ≤ 1000; got "many".'],
    [["p", "--steps", "2.5"], "whole number"],
    [["p", "--steps", "0"], "≥ 1"],
    [["p", "--steps="], "whole number"],
    [["p", "--guidance-scale", "Infinity"], "--guidance-scale must be a number; got"],
    [["p", "--sampler", "eulr"], 'Unknown --sampler "eulr". Did you mean "euler"'],
    [["p", "--tiled=yes"], "--tiled takes no value"],
    [["p", "q", "r"], "at most 2 arguments; got 3. Put quotes"],
    [[], "Missing <prompt>: What to draw."],
  ] as const)("refuses %j", (line, message) => {
    expect(() => read(...line)).toThrow(expect.objectContaining({ code: "option" }));
    expect(() => read(...line)).toThrow(message);
  });
});
