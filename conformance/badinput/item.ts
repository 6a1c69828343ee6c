/** Entries of a manifest of bad input, and judging what became of one. */
import { existsSync } from "node:fs";
import type { Case, Comparison } from "../case.ts";

/** One entry: a file or folder, and what a reader must do with it. */
export interface Item {
  /** Below the manifest's folder; folders end in a slash. */
  readonly file: string;
  /** In words: "loads", "refused …", or both. */
  readonly expected: string;
  readonly why?: string;
  /** Values of well-formed files; tensors by name. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** What became of an item. */
export type Outcome =
  | {
      readonly loaded: true;
      /** What differs from the manifest's values, when something does. */
      readonly difference?: string;
      /** What the reader remarked. */
      readonly warnings?: readonly string[];
    }
  | { readonly loaded: false; readonly error: unknown };

/** Reads an item with the library. Errors are outcomes. */
export type Handler = (item: Item, c: Case) => Promise<Outcome>;

/** Most processor time for an item: unlike the clock's it does not grow on a slow disk or beside other work. */
const MAX_SECONDS = 5;
/** Most memory that an item may add to the process. */
const MAX_BYTES = 2 ** 28;

/** Runs a handler within limits of time and memory, and judges the outcome. */
export async function judge(item: Item, c: Case, handler: Handler): Promise<Comparison> {
  const startTime = process.cpuUsage();
  const startBytes = process.resourceUsage().maxRSS * 1024;
  const outcome = await handler(item, c);
  const { user, system } = process.cpuUsage(startTime);
  const seconds = (user + system) / 1e6;
  const bytes = process.resourceUsage().maxRSS * 1024 - startBytes;
  const problem =
    judgeOutcome(item, outcome) ??
    (seconds > MAX_SECONDS ? `took ${seconds.toFixed(1)} s of processor time` : undefined) ??
    (bytes > MAX_BYTES ? `took ${Math.round(bytes / 2 ** 20)} MB` : undefined) ??
    markersOf(item, c)
      .filter((marker) => existsSync(marker))
      .map((marker) => `${marker} has been made: something was executed or written`)[0];
  return {
    name: item.file,
    error: problem === undefined ? 0 : Infinity,
    passed: problem === undefined,
    ...(problem !== undefined && { message: problem }),
  };
}

function judgeOutcome({ expected }: Item, outcome: Outcome): string | undefined {
  if (!outcome.loaded) {
    if (!/\brefus/.test(expected)) return `was refused: ${messageOf(outcome.error)}`;
    return judgeError(expected, outcome.error);
  }
  if (
    !/\bload|\bread as\b|\bconverted\b|\bpartial\b|\bbytes are swapped\b|\bbounded memory\b/.test(
      expected,
    )
  )
    return `was loaded; expected: ${expected}`;
  return outcome.difference;
}

/** A refusal is an error of the library's family that names what the manifest says. */
function judgeError(expected: string, error: unknown): string | undefined {
  const message = messageOf(error);
  if (!(error instanceof Error) || error.name !== "NijimiError") return `failed: ${message}`;
  const missing = namesIn(expected).filter((name) => !message.includes(name));
  return missing.length === 0
    ? undefined
    : `the error does not name ${missing.join(", ")}: ${message}`;
}

/** Dotted and other identifiers that a refusal is expected to name: `torch.hub.load`, `EvilPipeline`. */
function namesIn(expected: string): string[] {
  const named =
    /^refused: (?:unknown \w+ (?:\w+ )?|names the missing \w+ )?(.*)$/.exec(expected)?.[1] ?? "";
  return (
    named.match(/[A-Za-z_]\w*(?:\.[A-Za-z_]\w+)+|[A-Z]\w*(?:Pipeline|Model|KL|Block9D)/g) ?? []
  ).filter((name) => !name.endsWith(".json"));
}

/** Files whose existence proves that something ran: absolute paths that the manifest speaks of. */
function markersOf({ expected, why = "" }: Item, { json }: Case): string[] {
  const text = `${String(json.description)} ${expected} ${why}`;
  return [...text.matchAll(/(?<![\w.])\/[\w/]*FIXTURE_\w+/g)].map(([file]) => file);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
