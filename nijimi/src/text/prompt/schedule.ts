/**
 * Prompt editing of the A1111 web UI: `[from:to:when]`, `[to:when]`, `[from::when]` and `[a|b|c]` make a prompt a
 * schedule of texts over the sampling steps.
 *
 * A bracket that is none of these is text, as are `(…)` and `[…]` of emphasis (see `attention.ts`); a prompt with a
 * `|` outside `[a|b]`, or a backslash at its end, is text throughout. One pass with a stack, no recursion. The web
 * UI's grammar is ambiguous; its parser takes `[to:when]` and its like for text before two stray brackets or colons.
 */
import { NijimiError } from "../../errors.ts";
import { PYTHON_SPACE } from "../python-text.ts";

export interface ScheduledText {
  /** The last step, counted from 1, at which this text is in use. */
  readonly until: number;
  readonly text: string;
}

export interface ScheduleOptions {
  /** Sampling steps of the first pass. */
  readonly steps: number;
  /** Steps of the high-resolution pass, when that is the one the schedule is for: fractions 1 to 2 and later steps apply. */
  readonly hiresSteps?: number;
  /** A number below 1 is a fraction of the steps, any other a step; the high-resolution pass repeats the schedule. @default false */
  readonly oldScheduling?: boolean;
}

/** A stretch of tokens. */
type Range = readonly [from: number, to: number];

/** What an opening bracket turned out to begin. */
type Edit =
  | {
      readonly kind: "switch";
      readonly before: Range;
      readonly after: Range;
      readonly when: string;
      readonly next: number;
    }
  | { readonly kind: "alternate"; readonly options: readonly Range[]; readonly next: number };

/** A prompt taken apart: its tokens, and the edits by the token that opens them. */
interface ParsedPrompt {
  readonly tokens: readonly string[];
  readonly edits: ReadonlyMap<number, Edit>;
}

/** More text than this over all steps together is refused. */
const MAX_TEXT = 1 << 27;

/**
 * The texts of a prompt over the steps, in order; the last one is in use until the end.
 *
 * @throws NijimiError `option` when the texts of all steps together would fill the memory
 * @example
 * scheduleOf("a [red:green:0.5] apple", { steps: 20 });
 * // [{ until: 10, text: "a red apple" }, { until: 20, text: "a green apple" }]
 */
export function scheduleOf(prompt: string, options: ScheduleOptions): ScheduledText[] {
  const { steps, hiresSteps, oldScheduling = false } = options;
  const total = hiresSteps === undefined || oldScheduling ? steps : hiresSteps;
  const parsed = parseEdits(prompt);
  if (!parsed) return [{ until: total, text: prompt }];
  const ends = new Set([total]);
  const whenOf = new Map<Edit, number>();
  for (const edit of parsed.edits.values()) {
    if (edit.kind === "alternate") for (let step = 1; step <= total; step++) ends.add(step);
    else {
      const when = Math.min(total, stepOf(edit.when, options));
      whenOf.set(edit, when);
      if (when >= 1) ends.add(when);
    }
  }
  if (ends.size * prompt.length > MAX_TEXT)
    throw new NijimiError(
      "option",
      `prompt: ${prompt.length} characters that change at ${ends.size} steps are too many; shorten the prompt.`,
    );
  return [...ends]
    .sort((a, b) => a - b)
    .map((until) => ({ until, text: textAt(until, parsed, whenOf) }));
}

/** The step at which an edit switches. */
function stepOf(
  when: string,
  { steps, hiresSteps, oldScheduling = false }: ScheduleOptions,
): number {
  const value = Number(when);
  if (oldScheduling) return Math.trunc(value < 1 ? value * steps : value);
  if (hiresSteps === undefined) return Math.trunc(when.includes(".") ? value * steps : value);
  return Math.trunc(when.includes(".") ? (value - 1) * hiresSteps : value - steps);
}

/** The text in use at a step. */
function textAt(
  step: number,
  { tokens, edits }: ParsedPrompt,
  whenOf: ReadonlyMap<Edit, number>,
): string {
  const pieces: string[] = [];
  const returns: { readonly at: number; readonly next: number }[] = [];
  for (let i = 0; i < tokens.length || returns.length > 0;) {
    if (returns.at(-1)?.at === i) {
      i = returns.pop()!.next;
      continue;
    }
    const edit = edits.get(i);
    if (!edit) {
      pieces.push(tokens[i++]);
      continue;
    }
    const [from, to] =
      edit.kind === "alternate"
        ? edit.options[(step - 1) % edit.options.length]
        : step <= whenOf.get(edit)!
          ? edit.before
          : edit.after;
    returns.push({ at: to, next: edit.next });
    i = from;
  }
  return pieces.join("");
}

/** A bracket that is still open. */
interface Open {
  readonly bracket: "(" | "[";
  readonly at: number;
  readonly colons: number[];
  readonly bars: number[];
}

const TOKEN = /\\[^\n]|[[\]():|]|[^\\[\]():|]+|\\/g;
const WHEN = new RegExp(
  `^[${PYTHON_SPACE}]*([+-]?(?:\\d+[eE][+-]?\\d+|(?:\\d+\\.\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?|\\d+))[${PYTHON_SPACE}]*$`,
);

/** Finds the edits of a prompt; undefined when the prompt is text throughout. */
function parseEdits(prompt: string): ParsedPrompt | undefined {
  const tokens = prompt.match(TOKEN) ?? [];
  const edits = new Map<number, Edit>();
  /** Brackets, colons and bars that are part of an edit or an emphasis, by the token that opens it. */
  const owned = new Map<number, readonly number[]>();
  let open: Open[] = [];
  /** Brackets that stay text make everything around them text, which a bar cannot be. */
  const giveUp = (): boolean => {
    const hasBars = open.some(({ bars }) => bars.length > 0);
    open = [];
    return !hasBars;
  };
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    const innermost = open.at(-1);
    if (token === "\\") return undefined;
    if (token === "(" || token === "[") open.push({ bracket: token, at: i, colons: [], bars: [] });
    else if (token === ":") innermost?.colons.push(i);
    else if (token === "|") {
      if (!innermost) return undefined;
      innermost.bars.push(i);
    } else if (token === ")" || token === "]") {
      const edit =
        innermost && closes(innermost, token) ? editOf(innermost, i, tokens, edits) : undefined;
      if (edit === undefined) {
        if (!giveUp()) return undefined;
        continue;
      }
      const { at, colons, bars } = open.pop()!;
      owned.set(at, [at, i, ...colons, ...bars]);
      if (edit !== "emphasis") edits.set(at, edit);
    }
  }
  if (!giveUp()) return undefined;
  dropBeforeStrays(tokens, edits, owned);
  return { tokens, edits };
}

/** Edits that switch, when two brackets or colons follow that are part of nothing, are text. */
function dropBeforeStrays(
  tokens: readonly string[],
  edits: Map<number, Edit>,
  owned: Map<number, readonly number[]>,
): void {
  const used = new Set([...owned.values()].flat());
  const isStray = (i: number): boolean => /^[[\]():]$/.test(tokens[i] ?? "") && !used.has(i);
  // What becomes text here may be what stands after the edit before: from the last to the first.
  for (const [at, edit] of [...edits].sort(([a], [b]) => b - a)) {
    if (edit.kind !== "switch" || !isStray(edit.next) || !isStray(edit.next + 1)) continue;
    edits.delete(at);
    for (const token of owned.get(at) ?? []) used.delete(token);
  }
}

function closes({ bracket }: Open, token: string): boolean {
  return token === (bracket === "(" ? ")" : "]");
}

/** What a closed bracket is; undefined when it is just text. */
function editOf(
  { bracket, at, colons, bars }: Open,
  close: number,
  tokens: readonly string[],
  edits: ReadonlyMap<number, Edit>,
): Edit | "emphasis" | undefined {
  const next = close + 1;
  if (bars.length > 0) {
    if (bracket === "(" || colons.length > 0) return undefined;
    const cuts = [at, ...bars, close];
    return {
      kind: "alternate",
      options: bars.concat(close).map((end, i): Range => [cuts[i] + 1, end]),
      next,
    };
  }
  if (colons.length === 0 || (bracket === "(" && colons.length === 1)) return "emphasis";
  if (bracket === "(" || colons.length > 2) return undefined;
  const last = colons.at(-1)!;
  const when =
    last + 2 === close && !edits.has(last + 1) ? WHEN.exec(tokens[last + 1])?.[1] : undefined;
  if (when === undefined) return undefined;
  const [from] = colons;
  const before: Range = colons.length === 2 ? [at + 1, from] : [at + 1, at + 1];
  return {
    kind: "switch",
    before,
    after: [colons.length === 2 ? from + 1 : at + 1, last],
    when,
    next,
  };
}
