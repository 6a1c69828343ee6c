/** Runs a command line in this process and keeps what it writes. */
import { runCommandLine, type Surroundings } from "../run.ts";

/** What of the outside world a test chooses. */
export interface LineOptions extends Partial<Pick<Surroundings, "env" | "signal" | "now">> {
  /** Whether both outputs are terminals. @default false */
  readonly isTTY?: boolean;
  /** @default nijimi's own commands */
  readonly commands?: Parameters<typeof runCommandLine>[2];
}

/** How a command line ended. */
export interface LineOutcome {
  /** The exit code. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param line without the program: `["generate", "--steps", "20"]` */
export async function runLine(
  line: readonly string[],
  {
    env = {},
    signal = new AbortController().signal,
    now = () => 0,
    isTTY = false,
    commands,
  }: LineOptions = {},
): Promise<LineOutcome> {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr") => ({
    isTTY,
    write: (text: string) => void (written[name] += text),
  });
  const surroundings = {
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    env,
    signal,
    now,
    version: "1.2.3",
  };
  const code = await runCommandLine(line, surroundings, commands);
  return { code, ...written };
}
