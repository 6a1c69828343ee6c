/** The process of the nijimi command: arguments, streams, Ctrl-C and exit code. */
import { NijimiError } from "../errors.ts";
import { COMMANDS } from "./commands.ts";
import { readVersion } from "./package-version.ts";
import { runCommandLine } from "./run.ts";

/** Runs the command line of this process and sets its exit code. */
export async function main(commands = COMMANDS): Promise<void> {
  const controller = new AbortController();
  const stop = () => {
    // From here on a signal has its default action again: the second Ctrl-C kills.
    process.off("SIGINT", stop).off("SIGTERM", stop);
    process.stderr.write("\nStopping … (Ctrl-C again stops at once)\n");
    controller.abort(new NijimiError("cancelled", "Cancelled."));
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  ignoreClosedPipe(process.stdout);
  ignoreClosedPipe(process.stderr);
  try {
    const surroundings = {
      stdout: process.stdout,
      stderr: process.stderr,
      env: process.env,
      signal: controller.signal,
      now: () => performance.now(),
      version: readVersion(),
    };
    process.exitCode = await runCommandLine(process.argv.slice(2), surroundings, commands);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

/** `nijimi … | head` ends quietly. */
function ignoreClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}
