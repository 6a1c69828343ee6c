/** The web UI's prompt parsers: weighted text, schedules over the steps, conjunctions. */
import { parseAttention, parseConjunction, scheduleOf } from "nijimi/text";
import type { Case, Comparison, Suite } from "../case.ts";

type Entry = Readonly<Record<string, unknown>> & { readonly prompt: string };

/** One list of prompts with what the parser makes of each. */
interface Listing {
  readonly name: string;
  readonly entries: readonly {
    readonly label: string;
    readonly got: unknown;
    readonly expected: unknown;
  }[];
}

export const suite: Suite = {
  kind: "prompt-grammar",
  accepts: ({ json }) => /\bprompt_parser\b/.test(json.function ?? ""),
  run: async (c) => listingsOf(c).map(compareListing),
};

/** Single cases have `cases` of the function's kind; a whole parser's case has all kinds, each under its own field. */
function listingsOf({ json }: Case): Listing[] {
  const name = json.function ?? "";
  const cases = (json.cases ?? []) as readonly Entry[];
  const listings: Listing[] = [];
  if (name.endsWith("parse_prompt_attention")) listings.push(attention(cases, "expected"));
  if (name.endsWith("get_learned_conditioning_prompt_schedules"))
    listings.push(schedules(cases, "expected"));
  if (name.endsWith("get_multicond_prompt_list"))
    for (const entry of cases as readonly unknown[])
      listings.push(conjunctions(entry as MulticondLists));
  if (Array.isArray(json.attention)) listings.push(attention(json.attention as Entry[], "parsed"));
  for (const field of ["schedules", "hires_schedules"])
    if (Array.isArray(json[field])) listings.push(schedules(json[field] as Entry[], "schedule"));
  if (json.multicond) listings.push(subprompts(json.multicond as MulticondRecords));
  return listings;
}

function attention(entries: readonly Entry[], field: string): Listing {
  return {
    name: "attention",
    entries: entries.map((entry) => ({
      label: entry.prompt,
      got: parseAttention(entry.prompt).map(({ text, weight }) => [text, weight]),
      expected: entry[field],
    })),
  };
}

function schedules(entries: readonly Entry[], field: string): Listing {
  return {
    name: "schedules",
    entries: entries.map((entry) => {
      const texts = scheduleOf(entry.prompt, {
        steps: (entry.steps ?? entry.base_steps) as number,
        hiresSteps: (entry.hires_steps as number | null | undefined) ?? undefined,
        oldScheduling: (entry.use_old_scheduling as boolean | undefined) ?? false,
      });
      return {
        label: entry.prompt,
        got: texts.map(({ until, text }) => [until, text]),
        expected: entry[field],
      };
    }),
  };
}

interface MulticondLists {
  readonly prompts: readonly string[];
  readonly flat: readonly string[];
  readonly indexes: readonly (readonly [index: number, weight: number][])[];
}

interface MulticondRecords {
  readonly prompts: readonly string[];
  readonly subprompts: readonly { readonly text: string; readonly weight: number }[][];
}

/** Parts are given by their place in the list of all different texts. */
function conjunctions({ prompts, flat, indexes }: MulticondLists): Listing {
  return {
    name: "conjunctions",
    entries: prompts.map((prompt, i) => ({
      label: prompt,
      got: parseConjunction(prompt).map(({ text, weight }) => [text, weight]),
      expected: indexes[i].map(([index, weight]) => [flat[index], weight]),
    })),
  };
}

function subprompts({ prompts, subprompts: parts }: MulticondRecords): Listing {
  return {
    name: "conjunctions",
    entries: prompts.map((prompt, i) => ({
      label: prompt,
      got: parseConjunction(prompt).map(({ text, weight }) => [text, weight]),
      expected: parts[i].map(({ text, weight }) => [text, weight]),
    })),
  };
}

function compareListing({ name, entries }: Listing): Comparison {
  const wrong = entries.filter(({ got, expected }) => !sameUpToRounding(got, expected));
  if (wrong.length === 0) return { name, error: 0, passed: true };
  const [{ label, got, expected }] = wrong;
  const message = `${wrong.length} of ${entries.length} prompts, ${JSON.stringify(label)}: got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`;
  return { name, error: wrong.length, passed: false, message };
}

/** Texts exactly, numbers to a relative 1e-9, lists element by element. */
function sameUpToRounding(got: unknown, expected: unknown): boolean {
  if (Array.isArray(got) && Array.isArray(expected))
    return (
      got.length === expected.length &&
      got.every((value, i) => sameUpToRounding(value, expected[i]))
    );
  if (typeof got === "number" && typeof expected === "number")
    return Math.abs(got - expected) <= 1e-9 * Math.abs(expected);
  return got === expected;
}
