/** The frame around commands: finds the command, reads its options, runs it, and says how it ended. */
import { isNijimiError, NijimiError, unknownName } from "../errors.ts";
import type { Command, CommandContext } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { COMMON_OPTIONS, renderCommandHelp, renderMainHelp } from "./help.ts";
import { type Options, readOptions } from "./options.ts";
import { type Progress, type ProgressStream, startProgress } from "./progress.ts";
import { style, useColour } from "./style.ts";

/** The outside world of a run; `main.ts` passes the process, tests pass strings. */
export interface Surroundings {
  readonly stdout: ProgressStream;
  readonly stderr: ProgressStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Version of nijimi. */
  readonly version: string;
}

/**
 * Runs one command line and returns the exit code. Errors are reported on standard error, with `--json` as
 * `{"error":{"code","message"}}`.
 *
 * @param commandLine without the program: `["generate", "--steps", "20"]`
 */
export async function runCommandLine(
  commandLine: readonly string[],
  surroundings: Surroundings,
  commands = COMMANDS,
): Promise<number> {
  const displays: Progress[] = [];
  try {
    await dispatch(commandLine, surroundings, commands, displays);
    surroundings.signal.throwIfAborted();
    return 0;
  } catch (error) {
    const reason = surroundings.signal.aborted ? cancelled(surroundings.signal) : error;
    for (const display of displays) display.end("stopped");
    report(reason, commandLine, surroundings);
    return exitCodeOf(reason);
  }
}

async function dispatch(
  [name, ...rest]: readonly string[],
  surroundings: Surroundings,
  commands: typeof COMMANDS,
  displays: Progress[],
): Promise<void> {
  const { stdout, env, version } = surroundings;
  const paint = style(useColour(stdout, env));
  if (
    name === undefined ||
    name === "--help" ||
    name === "-h" ||
    (name === "help" && rest.length === 0)
  ) {
    stdout.write(`${renderMainHelp(version, paint)}\n`);
    return;
  }
  if (name === "help") return dispatch([rest[0], "--help"], surroundings, commands, displays);
  if (name === "--version" || name === "-v")
    return dispatch(["version", ...rest], surroundings, commands, displays);
  if (!Object.hasOwn(commands, name)) throw unknownName("command", name, Object.keys(commands));
  const { command } = await commands[name].load();
  if (asksForHelp(rest)) {
    stdout.write(`${renderCommandHelp(name, command, paint)}\n`);
    return;
  }
  await runOne(command, rest, surroundings, displays);
}

async function runOne(
  command: Command,
  rawArguments: readonly string[],
  { stdout, stderr, env, signal, now }: Surroundings,
  displays: Progress[],
): Promise<void> {
  const options: Options = { ...command.options, ...COMMON_OPTIONS };
  const values = readOptions(options, rawArguments);
  const visible = values.quiet ? undefined : stderr;
  const context: CommandContext = {
    signal,
    env,
    result: (value, human) => {
      const text = values.json ? JSON.stringify(value, null, 2) : human(value);
      if (text !== "") stdout.write(`${text}\n`);
    },
    say: (line) => void visible?.write(`${line}\n`),
    progress: (wanted) => {
      const display = startProgress(visible, wanted, now);
      displays.push(display);
      return display;
    },
  };
  await command.run(values, context);
}

/** Also when other options are wrong: who asks for help gets it. */
function asksForHelp(rawArguments: readonly string[]): boolean {
  const end = rawArguments.indexOf("--");
  return rawArguments
    .slice(0, end < 0 ? undefined : end)
    .some((raw) => raw === "--help" || raw === "-h");
}

function cancelled(signal: AbortSignal): unknown {
  return isNijimiError(signal.reason) ? signal.reason : new NijimiError("cancelled", "Cancelled.");
}

function report(
  error: unknown,
  commandLine: readonly string[],
  { stderr, env }: Surroundings,
): void {
  const { message } = error instanceof Error ? error : new Error(String(error));
  const code = isNijimiError(error) ? error.code : "unknown";
  if (commandLine.includes("--json")) {
    stderr.write(`${JSON.stringify({ error: { code, message } })}\n`);
    return;
  }
  const paint = style(useColour(stderr, env));
  stderr.write(code === "cancelled" ? `${message}\n` : `${paint.red("Error:")} ${message}\n`);
  if (code === "option") stderr.write(`${paint.dim(`See nijimi ${helpOf(commandLine)}`)}\n`);
  const unexpected = !isNijimiError(error) || code === "internal";
  if (unexpected && error instanceof Error && error.stack !== undefined)
    stderr.write(`${paint.dim(error.stack.split("\n").slice(1).join("\n"))}\n`);
}

function helpOf([name]: readonly string[]): string {
  return name !== undefined && Object.hasOwn(COMMANDS, name) ? `${name} --help` : "--help";
}
