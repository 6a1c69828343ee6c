/** What a command is: a declaration that help is made from, and one function. */
import type { Options, Values } from "./options.ts";
import type { Progress, ProgressOptions } from "./progress.ts";

export interface Example {
  /** Without the leading `nijimi`. */
  readonly command: string;
  readonly description: string;
}

/** What a command gets beside its options. It touches the process through this only. */
export interface CommandContext {
  /** Fires at Ctrl-C. Pass it on; stop cleanly. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * The command's result: with `--json` one JSON document on standard output, else the text of `human`.
   * Called at most once.
   */
  result<T>(value: T, human: (value: T) => string): void;
  /** A line for people, on standard error; not written with `--quiet`. */
  say(line: string): void;
  /** Starts a progress display on standard error; see {@link Progress}. */
  progress(options: ProgressOptions): Progress;
}

export interface Command<O extends Options = Options> {
  /** One line, starting with a capital, without a full stop. */
  readonly description: string;
  readonly options: O;
  readonly examples: readonly Example[];
  run(values: Values<O>, context: CommandContext): Promise<void> | void;
}

/**
 * Declares a command with the types of its options inferred.
 *
 * @example
 * export const command = defineCommand({
 *   description: "Say hello",
 *   options: { times: { type: "number", default: 1, description: "How often" } },
 *   examples: [{ command: "hello --times 3", description: "Be polite" }],
 *   run: ({ times }, { result }) => result({ times }, () => "hello ".repeat(times)),
 * });
 */
export function defineCommand<const O extends Options>(command: Command<O>): Command<O> {
  return command;
}
