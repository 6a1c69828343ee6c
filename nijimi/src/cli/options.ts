/**
 * Options and arguments of commands: declared as a table, read by citty, checked by us. citty lets unknown
 * options and surplus arguments pass and knows no numbers; here they are refused and read.
 */
import { type ArgsDef, parseArgs } from "citty";
import { NijimiError, unknownName } from "../errors.ts";

interface Common {
  /** One line for help, starting with a capital, without a full stop. */
  readonly description: string;
}

/** `--name text` */
export interface StringOption extends Common {
  readonly type: "string";
  readonly default?: string;
  readonly alias?: string;
  /** What stands for the value in help. @default the option's name */
  readonly hint?: string;
}

/** `--name 3` */
export interface NumberOption extends Common {
  readonly type: "number";
  readonly default?: number;
  readonly alias?: string;
  readonly hint?: string;
  readonly integer?: boolean;
  readonly min?: number;
  readonly max?: number;
}

/** `--name`, `--no-name` */
export interface BooleanOption extends Common {
  readonly type: "boolean";
  readonly default?: boolean;
  readonly alias?: string;
}

/** `--name one-of-several` */
export interface ChoiceOption extends Common {
  readonly type: "choice";
  readonly choices: readonly string[];
  readonly default?: string;
  readonly alias?: string;
}

/** `--name text`, any number of times */
export interface ListOption extends Common {
  readonly type: "list";
  readonly default?: undefined;
  readonly alias?: string;
  readonly hint?: string;
}

/** An argument without a dash, by order of declaration. Required unless `optional` or with a default. */
export interface Argument extends Common {
  readonly type: "argument";
  readonly default?: string;
  readonly optional?: boolean;
  readonly choices?: readonly string[];
}

export type Option =
  | StringOption
  | NumberOption
  | BooleanOption
  | ChoiceOption
  | ListOption
  | Argument;

/** Options by camelCase name; on the command line they are kebab-case. */
export type Options = Readonly<Record<string, Option>>;

type Value<O extends Option> = O extends NumberOption
  ? number
  : O extends ListOption
    ? readonly string[]
    : O extends BooleanOption
      ? boolean
      : O extends { readonly choices: readonly (infer C)[] }
        ? C
        : string;

type IsPresent<O extends Option> = O extends { readonly default: string | number | boolean }
  ? true
  : O extends BooleanOption | ListOption
    ? true
    : O extends Argument
      ? O extends { readonly optional: true }
        ? false
        : true
      : false;

/** Values as a command gets them: an option without a default may be undefined; a boolean is then
 * false, a list empty. */
export type Values<O extends Options> = {
  readonly [K in keyof O]: IsPresent<O[K]> extends true ? Value<O[K]> : Value<O[K]> | undefined;
};

/** `guidanceScale` → `guidance-scale`. */
export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/**
 * Reads `rawArguments` by `options`.
 *
 * @throws NijimiError `option` for whatever is unknown, missing, surplus or not accepted
 */
export function readOptions<const O extends Options>(
  options: O,
  rawArguments: readonly string[],
): Values<O> {
  const parsed: Record<string, unknown> = parseArgs(
    normalise(options, rawArguments),
    toCitty(options),
  );
  const read = Object.entries(options).map(([name, option]) => [
    name,
    readValue(name, option, parsed[name] ?? option.default),
  ]);
  return Object.fromEntries(read) as Values<O>;
}

function toCitty(options: Options): ArgsDef {
  const definitions = Object.entries(options).map(([name, option]): [string, ArgsDef[string]] => {
    if (option.type === "argument") return [name, { type: "positional", required: false }];
    const type = option.type === "boolean" ? "boolean" : "string";
    return [name, { type, alias: option.alias }];
  });
  return Object.fromEntries(definitions);
}

function readValue(
  name: string,
  option: Option,
  value: unknown,
): string | number | boolean | readonly string[] | undefined {
  if (option.type === "boolean") return value === true;
  if (option.type === "list")
    return value === undefined ? [] : (JSON.parse(String(value)) as string[]);
  if (value === undefined) {
    if (option.type !== "argument" || option.optional) return undefined;
    throw new NijimiError("option", `Missing ${labelOf(name, option)}: ${option.description}.`);
  }
  if (option.type === "number") return readNumber(name, option, value);
  const choices = "choices" in option ? option.choices : undefined;
  if (choices && !choices.includes(String(value)))
    throw unknownName(labelOf(name, option), String(value), choices);
  return String(value);
}

function readNumber(name: string, option: NumberOption, value: unknown): number {
  const { integer = false, min = -Infinity, max = Infinity } = option;
  const number = String(value).trim() === "" ? NaN : Number(value);
  if (
    (integer ? Number.isSafeInteger(number) : Number.isFinite(number)) &&
    number >= min &&
    number <= max
  )
    return number;
  const bounds = [min > -Infinity ? `≥ ${min}` : "", max < Infinity ? `≤ ${max}` : ""].filter(
    Boolean,
  );
  const wanted = [integer ? "a whole number" : "a number", bounds.join(" and ")]
    .join(" ")
    .trimEnd();
  throw new NijimiError(
    "option",
    `${labelOf(name, option)} must be ${wanted}; got ${JSON.stringify(value)}.`,
  );
}

/**
 * Writes every option as `--name=value`, so that nothing is left to interpret, and refuses unknown options,
 * options without their value, and surplus arguments.
 */
function normalise(options: Options, rawArguments: readonly string[]): string[] {
  const spellings = spellingsOf(options);
  const flags: string[] = [];
  const lists = new Map<string, string[]>();
  const rest: string[] = [];
  for (let i = 0; i < rawArguments.length; i++) {
    const raw = rawArguments[i];
    if (raw === "--") {
      rest.push(...rawArguments.slice(i + 1));
      break;
    }
    if (!raw.startsWith("-") || raw === "-") {
      rest.push(raw);
      continue;
    }
    const [flag, ...pieces] = raw.split("=");
    const spelling = spellings.get(flag);
    if (!spelling) throw unknownName("option", flag, listed(spellings));
    if (spelling.option.type === "boolean") {
      if (pieces.length > 0)
        throw new NijimiError("option", `${flag} takes no value; got ${JSON.stringify(raw)}.`);
      flags.push(spelling.name);
      continue;
    }
    const value = pieces.length > 0 ? pieces.join("=") : rawArguments[++i];
    if (value === undefined || (pieces.length === 0 && spellings.has(value)))
      throw new NijimiError("option", `${flag} needs a value: ${spelling.option.description}.`);
    if (spelling.option.type === "list")
      lists.set(spelling.name, [...(lists.get(spelling.name) ?? []), value]);
    else flags.push(`${spelling.name}=${value}`);
  }
  // citty keeps the last of several values: a list travels as one.
  for (const [name, values] of lists) flags.push(`${name}=${JSON.stringify(values)}`);
  const accepted = Object.values(options).filter(({ type }) => type === "argument").length;
  if (rest.length > accepted)
    throw new NijimiError(
      "option",
      `Expected at most ${accepted} arguments; got ${rest.length}. Put quotes around a text with spaces.`,
    );
  return [...flags, "--", ...rest];
}

/** Every spelling that is accepted with a dash, and the one that it stands for. */
function spellingsOf(options: Options): Map<string, { name: string; option: Option }> {
  const spellings = new Map<string, { name: string; option: Option }>();
  for (const [key, option] of Object.entries(options)) {
    if (option.type === "argument") continue;
    const name = `--${kebabCase(key)}`;
    spellings.set(name, { name, option });
    if (option.alias !== undefined) spellings.set(`-${option.alias}`, { name, option });
    if (option.type === "boolean") {
      const negated = `--no-${kebabCase(key)}`;
      spellings.set(negated, { name: negated, option });
    }
  }
  return spellings;
}

/** The spellings worth telling: what is off already need not be negated. */
function listed(spellings: ReturnType<typeof spellingsOf>): string[] {
  return [...spellings].flatMap(([spelling, { name, option }]) =>
    spelling.startsWith("--no-") && spelling === name && option.default !== true ? [] : [spelling],
  );
}

/** An option in messages: `--steps`, `<prompt>`. */
export function labelOf(name: string, option: Option): string {
  return option.type === "argument" ? `<${kebabCase(name)}>` : `--${kebabCase(name)}`;
}
